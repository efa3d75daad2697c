//! Conversions that saturate, so that no result is wrong in silence.

/// As many as fit.
pub fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A count.
pub fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The whole part; 0 for what is negative or no number.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
pub fn whole(value: f64) -> u64 {
    value as u64
}

/// An index.
pub fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// `part` in percent of `whole`; 0 of nothing.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// `a` divided by `b`; 0 where there is nothing to divide by.
pub fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}
