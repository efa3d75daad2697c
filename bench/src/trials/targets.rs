//! What the project has set itself to reach, as ratios within the run.

use std::fmt;

use serde::Serialize;

use super::Section;
use super::delivery::RAW;

/// One of them, and what came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// Of what.
    pub of: String,
    /// The bound.
    pub wanted: Bound,
    /// What was measured.
    pub got: f64,
}

/// What a figure may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Target {
    /// Whether the figure keeps to the bound.
    pub fn is_reached(&self) -> bool {
        match self.wanted {
            Bound::AtMost(most) => self.got <= most,
            Bound::AtLeast(least) => self.got >= least,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

const FIRST: &str = "first byte, ms";
const LAST: &str = "last byte, ms";
const SHARE: &str = "from peers, %";
const RATE: &str = "MB/s";
const PLAIN: &str = "plain HTTP";
const OURS: [&str; 2] = ["head-start", "adaptive"];

/// Those that these sections say something of.
pub fn targets(sections: &[Section]) -> Vec<Target> {
    let mut found = Vec::new();
    let median = |key: &str, row: &str, column: &str| {
        sections.iter().find(|it| it.key == key)?.median(row, column)
    };
    let mut add = |of: String, wanted: Bound, got: Option<f64>| {
        found.extend(got.map(|got| Target { of, wanted, got }));
    };
    let ratio = |key: &str, column: &str, row: &str, base: &str| {
        Some(median(key, row, column)? / median(key, base, column)?)
    };
    for ours in OURS {
        for (key, visit) in [
            ("near", "returning, near"),
            ("far", "returning, far"),
            ("first-near", "first visit, near"),
            ("first-far", "first visit, far"),
        ] {
            let of = format!("{ours}, first byte to that of the pass-through worker ({visit})");
            add(of, Bound::AtMost(1.2), ratio(key, FIRST, ours, "http"));
        }
    }
    let of = "basic, first byte to that of plain HTTP (near)".to_owned();
    add(of, Bound::AtMost(5.0), ratio("near", FIRST, "basic", PLAIN));
    for ours in OURS {
        let share = format!("{ours}, percent from peers (near)");
        add(share, Bound::AtLeast(80.0), median("near", ours, SHARE));
        let last = format!("{ours}, last byte to that of open data channels (near)");
        add(last, Bound::AtMost(3.0), ratio("near", LAST, ours, RAW));
        let rate = format!("{ours}, bandwidth to that of open data channels (near)");
        add(rate, Bound::AtLeast(0.5), ratio("near", RATE, ours, RAW));
    }
    for ours in OURS {
        let share = format!("{ours}, percent from peers (far)");
        add(share, Bound::AtLeast(80.0), median("far", ours, SHARE));
        let last = format!("{ours}, times sooner than plain HTTP to the last byte (far)");
        add(last, Bound::AtLeast(3.0), ratio("far", LAST, PLAIN, ours));
    }
    let of = "adaptive, 50 MB, throughput to that of open data channels".to_owned();
    add(of, Bound::AtLeast(0.7), ratio("large", RATE, "adaptive", RAW));
    let of = "eight a second apart, copies from the server".to_owned();
    add(of, Bound::AtMost(2.0), median("crowd", "adaptive", "copies from the server"));
    let of = "eight a second apart, mean last byte, times sooner than plain HTTP".to_owned();
    add(of, Bound::AtLeast(3.0), ratio("crowd", "mean last byte, ms", PLAIN, "adaptive"));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trials::section::compared;

    #[test]
    fn a_target_is_named_where_both_rows_were_measured() {
        let mut far = Section::new("far", "Far", "", &[compared(LAST, 0)]);
        far.add(PLAIN, &[1500.0]);
        far.add("adaptive", &[600.0]);

        let [target] = &targets(&[far])[..] else { panic!("one target") };

        assert_eq!((target.wanted, target.got), (Bound::AtLeast(3.0), 2.5));
        assert!(!target.is_reached());
        assert!(target.of.contains("adaptive"));
    }
}
