//! What one part of the trials gave.

use serde::{Deserialize, Serialize};

use crate::spread::Spread;

/// A table: configurations in rows, what was measured in columns.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Section {
    /// What it goes by in file names.
    pub key: String,
    /// Its name.
    pub title: String,
    /// What was done, in a sentence or two.
    pub note: String,
    /// What each column has.
    pub columns: Vec<Column>,
    /// In the order in which they came.
    pub rows: Vec<Row>,
    /// The row that ratios refer to.
    pub base: Option<String>,
    /// How the last delivery of each configuration went.
    pub time_lines: Vec<TimeLine>,
}

/// What a column has.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Column {
    /// Its name, with the unit.
    pub name: &'static str,
    /// Digits behind the point that say something.
    pub digits: usize,
    /// Whether ratios to the base say something.
    pub compared: bool,
}

/// One configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What the thesis published for it.
    pub thesis: Option<&'static str>,
    /// For each column, what each trial gave.
    pub values: Vec<Vec<f64>>,
}

/// How one delivery went.
#[derive(Clone, Debug, Serialize)]
pub struct TimeLine {
    /// Which.
    pub name: String,
    /// Bytes of the whole.
    pub length: f64,
    /// As they came.
    pub pieces: Vec<Piece>,
}

/// Bytes that came together. Times are milliseconds from navigationStart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// Its first byte.
    pub start: f64,
    /// One behind its last.
    pub end: f64,
    /// When it was asked for.
    pub asked: f64,
    /// When it was there.
    pub there: f64,
    /// `http`, `p2p` or `cache`.
    pub source: String,
}

impl Section {
    /// Nothing has been measured yet.
    pub fn new(
        key: impl Into<String>,
        title: impl Into<String>,
        note: impl Into<String>,
        columns: &[Column],
    ) -> Self {
        let (key, title, note) = (key.into(), title.into(), note.into());
        Self { key, title, note, columns: columns.to_vec(), ..Self::default() }
    }

    /// With these rows first, in whichever order they will be measured.
    pub fn with_rows(mut self, names: &[&str]) -> Self {
        for name in names {
            self.row(name);
        }
        self
    }

    /// With ratios to this row.
    pub fn compared_to(mut self, row: &str) -> Self {
        self.base = Some(row.to_owned());
        self
    }

    /// Notes one trial: a value for each column.
    pub fn add(&mut self, row: &str, values: &[f64]) {
        for (column, value) in self.row(row).values.iter_mut().zip(values) {
            column.push(*value);
        }
    }

    /// The median of what a row has in a column, if it was measured.
    pub fn median(&self, row: &str, column: &str) -> Option<f64> {
        let column = self.columns.iter().position(|it| it.name == column)?;
        let row = self.rows.iter().find(|it| it.name == row)?;
        let median = Spread::of(row.values[column].iter().copied()).median;
        (!median.is_nan()).then_some(median)
    }

    /// Keeps how a delivery went, instead of the one before.
    pub fn keep(&mut self, line: TimeLine) {
        match self.time_lines.iter_mut().find(|it| it.name == line.name) {
            Some(known) => *known = line,
            None => self.time_lines.push(line),
        }
        let place = |line: &TimeLine| self.rows.iter().position(|row| row.name == line.name);
        self.time_lines.sort_by_key(place);
    }

    fn row(&mut self, name: &str) -> &mut Row {
        let known = self.rows.iter().position(|it| it.name == name);
        let at = known.unwrap_or_else(|| {
            let values = vec![Vec::new(); self.columns.len()];
            self.rows.push(Row { name: name.to_owned(), thesis: None, values });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// Puts the thesis's figures beside ours.
    pub fn beside(&mut self, published: &[(&str, &'static str)]) {
        for row in &mut self.rows {
            let found = published.iter().find(|(name, _)| *name == row.name);
            row.thesis = found.map(|(_, figures)| *figures);
        }
    }
}

/// A column with a value that ratios can be made of.
pub const fn compared(name: &'static str, digits: usize) -> Column {
    Column { name, digits, compared: true }
}

/// A column without.
pub const fn plain(name: &'static str, digits: usize) -> Column {
    Column { name, digits, compared: false }
}
