//! The trials as Markdown tables.

use std::fmt::Write as _;

use super::picture::pictures;
use crate::spread::Spread;
use crate::trials::about::About;
use crate::trials::{Results, Section};

/// How cells are to be read.
pub const LEGEND: &str = "Medians, in parentheses minimum and maximum, in brackets the ratio of \
                          the medians to the row named in the table's head.";

/// A table for each section, and which targets were reached.
pub fn trials(results: &Results) -> String {
    let About { commit, browser, cores } = &results.about;
    let mut text = format!("{LEGEND} Commit {commit}, {browser}, {cores} cores for everybody.\n");
    if !results.targets.is_empty() {
        text.push_str("\n### What was to be reached\n\n");
        let head = ["", "wanted", "measured", ""].map(str::to_owned);
        text.push_str(&line(&head));
        text.push_str(&line(&["---"; 4].map(str::to_owned)));
    }
    for target in &results.targets {
        let verdict = if target.is_reached() { "reached" } else { "missed" };
        let (wanted, got) = (target.wanted.to_string(), format!("{:.2}", target.got));
        text.push_str(&line(&[target.of.clone(), wanted, got, verdict.to_owned()]));
    }
    for section in &results.sections {
        let _ = write!(text, "\n### {}\n\n{}\n\n", section.title, section.note);
        text.push_str(&table(section));
        if let Some((name, _)) = pictures(section) {
            let _ = write!(text, "\n![{}](plots/{name})\n", section.title);
        }
    }
    text
}

fn table(section: &Section) -> String {
    let published = section.rows.iter().any(|row| row.thesis.is_some());
    let base = section.base.as_ref().map(|base| format!(" [to {base}]")).unwrap_or_default();
    let mut head: Vec<String> = vec![String::new()];
    for column in &section.columns {
        let base = if column.compared { base.as_str() } else { "" };
        head.push(format!("{}{base}", column.name));
    }
    if published {
        head.push("thesis (2014): first, last, share, MB/s".to_owned());
    }
    let mut text = line(&head);
    text.push_str(&line(&vec!["---".to_owned(); head.len()]));
    for row in &section.rows {
        let mut cells = vec![row.name.clone()];
        cells.extend((0..section.columns.len()).map(|column| cell(section, &row.values, column)));
        if published {
            cells.push(row.thesis.unwrap_or_default().to_owned());
        }
        text.push_str(&line(&cells));
    }
    text
}

/// One cell: its median, its range and its ratio to the base.
pub fn cell(section: &Section, values: &[Vec<f64>], at: usize) -> String {
    let column = section.columns[at];
    let spread = Spread::of(values[at].iter().copied());
    let base = section.rows.iter().find(|row| Some(&row.name) == section.base.as_ref());
    match base.filter(|_| column.compared) {
        Some(base) => {
            let ratio = spread.median / Spread::of(base.values[at].iter().copied()).median;
            format!("{} [{ratio:.2}]", spread.digits(column.digits))
        }
        None => spread.digits(column.digits).to_string(),
    }
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::section::{compared, plain};

    #[test]
    fn a_row_has_a_ratio_where_that_says_something() {
        let columns = [compared("ms", 0), plain("%", 1)];
        let mut section = Section::new("a", "A", "", &columns).compared_to("http");
        section.add("http", &[10.0, 0.0]);
        section.add("mixed", &[20.0, 50.0]);
        section.add("mixed", &[40.0, 52.0]);
        section.beside(&[("mixed", "386")]);

        let table = table(&section);

        assert!(table.contains("|  | ms [to http] | % | thesis"), "{table}");
        assert!(table.contains("| http | 10 [1.00] | 0.0 |  |"), "{table}");
        assert!(table.contains("| mixed | 30 (20 to 40) [3.00] | 51.0 (50.0 to 52.0) | 386 |"));
    }
}
