//! The trials as a page of its own.

use std::fmt::Write as _;

use super::markdown::{LEGEND, cell};
use super::picture::{bars, escaped, time_lines};
use crate::trials::targets::Target;
use crate::trials::{Results, Section};

const STYLE: &str = "
  :root { color-scheme: light dark; --ink: light-dark(#1a1c20, #e9eaee);
    --paper: light-dark(#fff, #16181d); --faint: light-dark(#6a6f7a, #9aa0ac);
    --rule: light-dark(#e2e4e9, #30343d);
    --http: light-dark(#d98c4a, #e0a065); --p2p: light-dark(#3f9c72, #58b98c);
    --cache: light-dark(#8a7fc9, #a097dc); }
  body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
    margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 62rem; }
  h1, h2 { line-height: 1.2; } h2 { margin-top: 3rem; }
  p { max-width: 46rem; } .faint { color: var(--faint); }
  .wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .875rem; }
  th, td { text-align: left; padding: .35rem .8rem .35rem 0; vertical-align: top;
    border-bottom: 1px solid var(--rule); } td { font-variant-numeric: tabular-nums; }
  th { font-weight: 600; } tbody th { white-space: nowrap; }
  figure { margin: 1.5rem 0; } figcaption { font-size: .875rem; color: var(--faint); }
  svg { display: block; width: 100%; max-width: 720px; }
  .missed { color: var(--http); }
  .key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; }
  .key.http { background: var(--http); } .key.p2p { background: var(--p2p); }
  .key.cache { background: var(--cache); }";

/// A page with a table and pictures for each section.
pub fn trials(results: &Results) -> String {
    let mut text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>DCDN: trials</title>\
         <style>{STYLE}</style><h1>DCDN: trials</h1><p>{LEGEND} Compare within this run: every \
         browser and the server share {} cores. Commit {}, {}.</p>",
        results.about.cores,
        escaped(&results.about.commit),
        escaped(&results.about.browser),
    );
    targets(&mut text, results);
    for section in &results.sections {
        let (title, note) = (escaped(&section.title), escaped(&section.note.replace('`', "")));
        let key = &section.key;
        let _ = write!(text, "<h2 id=\"{key}\">{title}</h2><p class=\"faint\">{note}</p>");
        pictures(&mut text, section);
        table(&mut text, section);
    }
    text.push_str("</html>\n");
    text
}

fn pictures(text: &mut String, section: &Section) {
    let compared = (0..section.columns.len()).filter(|it| section.columns[*it].compared);
    for column in compared {
        let name = escaped(section.columns[column].name);
        let picture = bars(section, column);
        let _ = write!(
            text,
            "<figure><figcaption>{name}: median, minimum to maximum</figcaption>{picture}</figure>"
        );
    }
    if !section.time_lines.is_empty() {
        let _ = write!(
            text,
            "<figure><figcaption>The image from its first byte, above, to its last, in the last \
             trial of each, ms from navigationStart: a chunk of a peer from when it was asked for \
             until it was there, what others sent until it was delivered.\
             <span class=\"key http\"></span>server\
             <span class=\"key p2p\"></span>peers<span class=\"key cache\"></span>store\
             </figcaption>{}</figure>",
            time_lines(&section.time_lines)
        );
    }
}

fn targets(text: &mut String, results: &Results) {
    if results.targets.is_empty() {
        return;
    }
    text.push_str(
        "<h2>What was to be reached</h2><div class=\"wide\"><table><thead><tr><td></td>\
         <th>wanted</th><th>measured</th><th></th></tr></thead><tbody>",
    );
    for target in &results.targets {
        let (class, word) = verdict(target);
        let _ = write!(
            text,
            "<tr><th>{}</th><td>{}</td><td>{:.2}</td><td class=\"{class}\">{word}</td></tr>",
            escaped(&target.of),
            target.wanted,
            target.got
        );
    }
    text.push_str("</tbody></table></div>");
}

fn verdict(target: &Target) -> (&'static str, &'static str) {
    if target.is_reached() { ("", "reached") } else { ("missed", "missed") }
}

fn table(text: &mut String, section: &Section) {
    let published = section.rows.iter().any(|row| row.thesis.is_some());
    text.push_str("<div class=\"wide\"><table><thead><tr><td></td>");
    for column in &section.columns {
        let _ = write!(text, "<th>{}</th>", escaped(column.name));
    }
    if published {
        text.push_str("<th>thesis (2014): first, last, share, MB/s</th>");
    }
    text.push_str("</tr></thead><tbody>");
    for row in &section.rows {
        let _ = write!(text, "<tr><th>{}</th>", escaped(&row.name));
        for column in 0..section.columns.len() {
            let _ = write!(text, "<td>{}</td>", escaped(&cell(section, &row.values, column)));
        }
        if published {
            let _ = write!(text, "<td>{}</td>", row.thesis.unwrap_or_default());
        }
        text.push_str("</tr>");
    }
    text.push_str("</tbody></table></div>");
    if let Some(base) = &section.base {
        let _ = write!(text, "<p class=\"faint\">Ratios are to {}.</p>", escaped(base));
    }
}
