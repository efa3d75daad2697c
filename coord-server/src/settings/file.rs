//! The file -> settings, each with its line. Pure.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Mistake, Mistakes, Place, Setting};

/// How like a known name an unknown one is, at least, to be taken for a typing error.
const LIKE: f64 = 0.75;

/// Reads the text of `file`, which may have the settings `known`.
///
/// # Errors
/// Everything that is wrong with it; but what is not TOML ends at the first.
pub fn parse(text: &str, file: &Path, known: &[&str]) -> Result<Vec<Setting>, Mistakes> {
    let place = |span: Range<usize>| Place::Line {
        file: file.to_owned(),
        line: text[..span.start.min(text.len())].matches('\n').count() + 1,
    };
    let table = DeTable::parse(text).map_err(|error| {
        let place = place(error.span().unwrap_or_default());
        let text = format!("this is not TOML: {}", error.message());
        Mistakes::from(Mistake { place, text })
    })?;
    let (mut settings, mut mistakes) = (Vec::new(), Vec::new());
    for (key, value) in table.get_ref() {
        let (name, place) = (key.get_ref().as_ref(), place(key.span()));
        if !known.contains(&name) {
            mistakes.push(Mistake { place, text: unknown(name, known) });
            continue;
        }
        match values(value) {
            Ok(values) => settings.push(Setting { name: name.to_owned(), values, place }),
            Err(what) => {
                mistakes.push(Mistake { place, text: format!("{name}: {what}") });
            }
        }
    }
    Mistakes::check(mistakes.into_iter())?;
    Ok(settings)
}

/// What to say of a name that no setting has.
pub fn unknown(name: &str, known: &[&str]) -> String {
    let likeness = |known: &str| strsim::jaro_winkler(name, known);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|nearest| likeness(nearest) >= LIKE) {
        Some(nearest) => format!("there is no setting {name:?}; did you mean {nearest:?}?"),
        None => format!("there is no setting {name:?}; coord-server --help lists them"),
    }
}

fn values(value: &Spanned<DeValue>) -> Result<Vec<String>, &'static str> {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().map(single).collect(),
        _ => Ok(vec![single(value)?]),
    }
}

fn single(value: &Spanned<DeValue>) -> Result<String, &'static str> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().replace('_', "")),
        DeValue::Integer(_) => Err("write the number in decimal"),
        DeValue::Float(_) => Err("write a whole number"),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err("write a text, a number, true or false, or a list of these")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const KNOWN: &[&str] = &["root", "slack_ms", "stun", "disabled"];

    fn read(text: &str) -> Result<Vec<Setting>, Mistakes> {
        parse(text, Path::new("dcdn.toml"), KNOWN)
    }

    #[test]
    fn a_setting_has_its_values_and_its_line() {
        let text = "# A site\nroot = '/var/www'\n\nslack_ms = 1_500\ndisabled = false\nstun = [\n  \
                    'stun:a:1',\n  'stun:b:2',\n]\n";
        let found: Vec<_> = read(text)
            .unwrap()
            .into_iter()
            .map(|Setting { name, values, place }| (name, values.join(" "), place.to_string()))
            .collect();
        let expected = [
            ("disabled", "false", "dcdn.toml:5"),
            ("root", "/var/www", "dcdn.toml:2"),
            ("slack_ms", "1500", "dcdn.toml:4"),
            ("stun", "stun:a:1 stun:b:2", "dcdn.toml:6"),
        ];
        let mut found = found;
        found.sort();
        assert_eq!(found, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "slak_ms = 5\nroot = 1.5\nslack_ms = 0x10\n[server]\nport = 1\n";
        let said = read(text).unwrap_err().to_string();
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "dcdn.toml:1: there is no setting \"slak_ms\"; did you mean \"slack_ms\"?",
                "dcdn.toml:2: root: write a whole number",
                "dcdn.toml:3: slack_ms: write the number in decimal",
                "dcdn.toml:4: there is no setting \"server\"; coord-server --help lists them",
            ]
        );
        let said = read("root = '/a'\nslack_ms 5\n").unwrap_err().to_string();
        assert!(said.starts_with("dcdn.toml:2: this is not TOML: "), "{said}");
        let said = read("root = '/a'\nroot = '/b'\n").unwrap_err().to_string();
        assert!(said.starts_with("dcdn.toml:2: "), "{said}");
    }
}
