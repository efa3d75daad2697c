//! What one part of the trials gave.

use serde::Serialize;

/// A table: configurations in rows, what was measured in columns.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Section {
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
    /// Milliseconds from navigationStart, bytes there by then, and where the last of them
    /// came from: `http`, `p2p` or `cache`.
    pub steps: Vec<(f64, u64, String)>,
}

impl Section {
    /// Nothing has been measured yet.
    pub fn new(title: impl Into<String>, note: impl Into<String>, columns: &[Column]) -> Self {
        let columns = columns.to_vec();
        Self { title: title.into(), note: note.into(), columns, ..Self::default() }
    }

    /// With ratios to this row.
    pub fn compared_to(mut self, row: &str) -> Self {
        self.base = Some(row.to_owned());
        self
    }

    /// Notes one trial: a value for each column.
    pub fn add(&mut self, row: &str, values: &[f64]) {
        let known = self.rows.iter().position(|it| it.name == row);
        let at = known.unwrap_or_else(|| {
            let values = vec![Vec::new(); self.columns.len()];
            self.rows.push(Row { name: row.to_owned(), thesis: None, values });
            self.rows.len() - 1
        });
        for (column, value) in self.rows[at].values.iter_mut().zip(values) {
            column.push(*value);
        }
    }

    /// Keeps how a delivery went, instead of the one before.
    pub fn keep(&mut self, row: &str, steps: Vec<(f64, u64, String)>) {
        self.time_lines.retain(|line| line.name != row);
        self.time_lines.push(TimeLine { name: row.to_owned(), steps });
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
