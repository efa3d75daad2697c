//! Pictures as SVG, in the colours of the page that shows them.

use std::fmt::Write as _;

use crate::spread::Spread;
use crate::trials::Section;
use crate::trials::section::TimeLine;

const WIDTH: f64 = 720.0;
const LABELS: f64 = 210.0;
const ROW: f64 = 26.0;
const BAR: f64 = 9.0;

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

/// Bytes over time, coloured by where they came from.
pub fn time_lines(lines: &[TimeLine]) -> String {
    let ends = lines.iter().filter_map(|line| line.steps.last());
    let until = ends.map(|(ms, _, _)| *ms).fold(1.0, f64::max);
    let scale = (WIDTH - LABELS - 60.0) / until;
    let mut body = String::new();
    for (place, line) in lines.iter().enumerate() {
        let y = ROW * count(place) + ROW / 2.0;
        let _ = write!(
            body,
            r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#,
            LABELS - 8.0,
            y + 4.0,
            escaped(&line.name)
        );
        let mut before = line.steps.first().map_or(0.0, |(ms, _, _)| *ms);
        for (ms, _, source) in &line.steps {
            let width = ((ms - before) * scale).max(2.0);
            let _ = write!(
                body,
                r#"<rect x="{:.1}" y="{}" width="{width:.1}" height="{}" class="{}"/>"#,
                LABELS + before * scale,
                y - BAR,
                BAR * 2.0,
                escaped(source)
            );
            before = *ms;
        }
        let _ = write!(
            body,
            r#"<text x="{:.1}" y="{}">{before:.0}</text>"#,
            LABELS + before * scale + 6.0,
            y + 4.0
        );
    }
    svg(ROW * count(lines.len()), "time lines", &body)
}

fn svg(height: f64, label: &str, body: &str) -> String {
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{}">{body}</svg>"#,
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
    use crate::trials::section::plain;

    #[test]
    fn each_row_has_a_bar_and_its_name_is_text() {
        let mut section = Section::new("A", "", &[plain("ms", 0)]);
        section.add("a < b", &[1.0]);
        section.add("c", &[2.0]);
        let picture = bars(&section, 0);
        assert_eq!(picture.matches("<rect").count(), 2);
        assert!(picture.contains("a &lt; b"));
    }

    #[test]
    fn a_time_line_has_a_piece_for_each_step() {
        let steps = vec![(10.0, 1, "http".to_owned()), (20.0, 2, "p2p".to_owned())];
        let picture = time_lines(&[TimeLine { name: "a".to_owned(), steps }]);
        assert!(picture.contains(r#"class="http""#) && picture.contains(r#"class="p2p""#));
    }
}
