//! A report as Markdown: a row for each number, a column for each configuration.

use std::fmt::Write as _;

use super::{Report, Spread, Summary};

pub(super) fn of(report: &Report) -> String {
    let Report { scenario, seed, viewers, slack_ms, slack_percent, .. } = report;
    let origin = report.origin_mbit.map_or("unlimited".to_owned(), |mbit| format!("{mbit} Mbit/s"));
    let megabytes = report.content_bytes as f64 / 1e6;
    let mut text = format!(
        "### {scenario}\n\n{viewers} viewers, {megabytes:.1} MB of contents, origin {origin}, \
         slack {slack_ms} ms + {slack_percent} %, seed {seed}. Times in ms from a viewer's \
         arrival: p50 / p95 / p99.\n\n"
    );
    let names = report.configurations.iter().map(|it| it.configuration);
    let heads: Vec<&str> = std::iter::once("").chain(names).collect();
    let _ = writeln!(text, "| {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len()));
    for (name, value) in rows() {
        let cells: Vec<String> = report.configurations.iter().map(value).collect();
        let nothing = cells.iter().all(|cell| cell.is_empty() || cell == "-");
        if !nothing {
            let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
        }
    }
    text += &by_line(report);
    for (configuration, violation) in report.violations() {
        let _ = writeln!(text, "\n**Violation** ({configuration}): {violation}");
    }
    text
}

/// How those fare whose line is slow, and those whose line is fast. One or two
/// viewers say nothing of their kind.
fn by_line(report: &Report) -> String {
    let mut text = "\n| line, Mbit/s down / up | configuration | viewers | offload | uploaded \
                    for each byte | stalled | stalled ms each |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    if report.viewers < 20 {
        return String::new();
    }
    for class in 0..report.configurations.first().map_or(0, |it| it.lines.len()) {
        for it in &report.configurations {
            let line = &it.lines[class];
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.1} % | {:.2} | {:.1} % | {:.0} |",
                line.line,
                it.configuration,
                line.viewers,
                line.offload_percent,
                line.upload_ratio,
                line.stalled_percent,
                line.stalled_ms,
            );
        }
    }
    text
}

type Row = (&'static str, fn(&Summary) -> String);

fn rows() -> [Row; 22] {
    [
        ("origin sends", |it| format!("{:.1} MB", it.origin_bytes as f64 / 1e6)),
        ("origin copies", |it| format!("{:.2}", it.origin_copies)),
        ("of plain HTTP", |it| format!("{:.2} %", it.origin_percent_of_http)),
        ("offload", |it| format!("{:.2} %", it.offload_percent)),
        ("origin requests", |it| it.origin_requests.to_string()),
        ("first byte", |it| spread(it.first_byte)),
        ("last byte", |it| spread(it.last_byte)),
        ("last byte later than plain HTTP, median (max)", |it| {
            if it.last_byte.count == 0 {
                return "-".to_owned();
            }
            format!("{} ({})", it.lateness.last_byte_p50, it.lateness.last_byte_max)
        }),
        ("last byte against plain HTTP, median (max)", |it| {
            if it.last_byte.count == 0 {
                return "-".to_owned();
            }
            let of = &it.lateness;
            format!("{:.2} ({:.2})", of.last_byte_ratio_p50, of.last_byte_ratio_max)
        }),
        ("start-up", |it| spread(it.start_up)),
        ("stalls per viewer", |it| played(it, format!("{:.3}", it.per_viewer.stalls))),
        ("stalled ms per viewer", |it| played(it, format!("{:.0}", it.per_viewer.stalled_ms))),
        ("viewers that stalled", |it| {
            played(it, format!("{:.2} %", it.per_viewer.stalled_percent))
        }),
        ("sent and not used", |it| format!("{:.2} %", it.wasted_percent)),
        ("wrong hashes", |it| it.wrong_hashes.to_string()),
        ("upload: Jain's index", |it| format!("{:.3}", it.upload.jain)),
        ("upload: largest share", |it| format!("{:.3} %", it.upload.largest_percent)),
        ("server messages per viewer, in / out", |it| {
            format!("{:.1} / {:.1}", it.per_viewer.server_in, it.per_viewer.server_out)
        }),
        ("connections per viewer", |it| format!("{:.1}", it.per_viewer.links)),
        ("scheduler calls per viewer (per chunk)", |it| {
            format!("{:.0} ({:.1})", it.per_viewer.handles, it.handles_per_chunk)
        }),
        ("commands per viewer (per chunk)", |it| {
            format!("{:.0} ({:.1})", it.per_viewer.commands, it.commands_per_chunk)
        }),
        ("saw all / missed it / errors", |it| {
            format!("{} / {} / {}", it.finished, it.lateness.missed, it.failures)
        }),
    ]
}

fn spread(of: Spread) -> String {
    if of.count == 0 {
        return "-".to_owned();
    }
    format!("{} / {} / {}", of.p50, of.p95, of.p99)
}

fn played(summary: &Summary, value: String) -> String {
    if summary.start_up.count == 0 { "-".to_owned() } else { value }
}

/// How what a viewer costs grows with the number of viewers.
pub(super) fn growth(reports: &[Report]) -> String {
    let mut text = "### What a viewer costs\n\n| viewers | configuration | server messages in \
                    | out | scheduler calls | commands | connections | origin copies |\n\
                    |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for report in reports {
        let swarms = report.configurations.iter().filter(|it| it.per_viewer.handles > 0.0);
        for it in swarms {
            let per = &it.per_viewer;
            let _ = writeln!(
                text,
                "| {} | {} | {:.1} | {:.1} | {:.0} | {:.0} | {:.1} | {:.2} |",
                report.viewers,
                it.configuration,
                per.server_in,
                per.server_out,
                per.handles,
                per.commands,
                per.links,
                it.origin_copies,
            );
        }
    }
    text
}
