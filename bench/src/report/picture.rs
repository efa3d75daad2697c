//! Pictures as SVG that stand for themselves, light and dark.

use std::fmt::Write as _;

use crate::spread::Spread;
use crate::trials::Section;
use crate::trials::section::TimeLine;

const WIDTH: f64 = 720.0;
const LABELS: f64 = 210.0;
const ROW: f64 = 26.0;
const BAR: f64 = 9.0;
/// Height of a time line: the bytes from the first, at its top, to the last.
const LINE: f64 = 52.0;

const STYLE: &str = "svg{color-scheme:light dark;font:13px system-ui,sans-serif}\
    text{fill:light-dark(#24292f,#e6edf3)}\
    .bar{fill:light-dark(#7aa7d9,#4f7fb5)}\
    .range{stroke:light-dark(#24292f,#e6edf3);stroke-width:1.5;fill:none}\
    .rule{stroke:light-dark(#d0d5dd,#3a3f48)}\
    .http{fill:light-dark(#d98c4a,#e0a065)}.p2p{fill:light-dark(#3f9c72,#58b98c)}\
    .cache{fill:light-dark(#8a7fc9,#a097dc)}";

/// The pictures of a section that its table does not show as well, with names for their files.
pub fn pictures(section: &Section) -> Option<(String, String)> {
    if section.time_lines.is_empty() {
        return None;
    }
    Some((format!("trials-{}.svg", section.key), time_lines(&section.time_lines)))
}

/// The medians of a column as bars, its ranges as lines through their ends.
pub fn bars(section: &Section, column: usize) -> String {
    let spreads: Vec<Spread> =
        section.rows.iter().map(|row| Spread::of(row.values[column].iter().copied())).collect();
    let most = spreads.iter().map(|it| it.max).fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LABELS - 60.0) / most;
    let digits = section.columns[column].digits;
    let mut body = String::new();
    for (place, (row, spread)) in section.rows.iter().zip(&spreads).enumerate() {
        let y = ROW * count(place) + ROW / 2.0;
        let (from, to) = (LABELS + spread.min * scale, LABELS + spread.max * scale);
        let _ = write!(
            body,
            r#"<text x="{}" y="{}" text-anchor="end">{}</text><rect x="{LABELS}" y="{}" width="{:.1}" height="{}" class="bar"/><path d="M{from:.1} {y}H{to:.1}" class="range"/><text x="{:.1}" y="{}">{:.digits$}</text>"#,
            LABELS - 8.0,
            y + 4.0,
            escaped(&row.name),
            y - BAR,
            spread.median * scale,
            BAR * 2.0,
            to + 6.0,
            y + 4.0,
            spread.median,
        );
    }
    svg(ROW * count(section.rows.len()), section.columns[column].name, &body)
}

/// Each piece of a content from when it was asked for until it was there, coloured by where it
/// came from: time to the right, bytes downwards.
pub fn time_lines(lines: &[TimeLine]) -> String {
    let ends = lines.iter().flat_map(|line| &line.pieces).map(|piece| piece.there);
    let scale = (WIDTH - LABELS - 60.0) / ends.fold(1.0, f64::max);
    let step = LINE + 12.0;
    let mut body = String::new();
    for (place, line) in lines.iter().enumerate() {
        let top = step * count(place);
        let middle = top + LINE / 2.0 + 4.0;
        let _ = write!(
            body,
            r#"<text x="{}" y="{middle}" text-anchor="end">{}</text><path d="M{LABELS} {}H{WIDTH}" class="rule"/>"#,
            LABELS - 8.0,
            escaped(&line.name),
            top + LINE + 6.0,
        );
        let down = LINE / line.length;
        for piece in &line.pieces {
            let _ = write!(
                body,
                r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" class="{}"/>"#,
                LABELS + piece.asked * scale,
                top + piece.start * down,
                ((piece.there - piece.asked) * scale).max(2.0),
                ((piece.end - piece.start) * down - 0.5).max(1.0),
                escaped(&piece.source)
            );
        }
        let end = line.pieces.iter().map(|piece| piece.there).fold(0.0, f64::max);
        let _ = write!(
            body,
            r#"<text x="{:.1}" y="{middle}">{end:.0}</text>"#,
            LABELS + end * scale + 6.0
        );
    }
    svg(step * count(lines.len()), "time lines", &body)
}

fn svg(height: f64, label: &str, body: &str) -> String {
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{}"><style>{STYLE}</style>{body}</svg>"#,
        escaped(label)
    )
}

/// Text for HTML and SVG.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[allow(clippy::cast_precision_loss, reason = "a few rows")]
fn count(rows: usize) -> f64 {
    rows as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::section::{Piece, plain};

    #[test]
    fn each_row_has_a_bar_and_its_name_is_text() {
        let mut section = Section::new("a", "A", "", &[plain("ms", 0)]);
        section.add("a < b", &[1.0]);
        section.add("c", &[2.0]);
        let picture = bars(&section, 0);
        assert_eq!(picture.matches("<rect").count(), 2);
        assert!(picture.contains("a &lt; b"));
    }

    #[test]
    fn a_time_line_has_each_piece_at_its_time_and_place() {
        let piece = |start, end, asked, there, source: &str| Piece {
            start,
            end,
            asked,
            there,
            source: source.to_owned(),
        };
        let pieces =
            vec![piece(0.0, 50.0, 0.0, 225.0, "http"), piece(50.0, 100.0, 225.0, 450.0, "p2p")];

        let picture = time_lines(&[TimeLine { name: "a".to_owned(), length: 100.0, pieces }]);

        let bars: Vec<&str> = picture.split("<rect ").skip(1).collect();
        assert!(
            bars[0].starts_with(r#"x="210.0" y="0.0" width="225.0" height="25.5" class="http""#)
        );
        assert!(
            bars[1].starts_with(r#"x="435.0" y="26.0" width="225.0" height="25.5" class="p2p""#)
        );
    }
}
