//! Medians with minimum and maximum.

use std::fmt;

/// What some values are like. NaN if there are none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one, or what lies between the middle two.
    pub median: f64,
    /// The largest.
    pub max: f64,
    /// Digits behind the point.
    digits: usize,
}

impl Spread {
    /// Of these values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(at(middle.wrapping_sub(1)), at(middle)),
            _ => at(middle),
        };
        Self { min: at(0), median, max: at(values.len().wrapping_sub(1)), digits: 0 }
    }

    /// Written with so many digits behind the point.
    pub fn digits(self, digits: usize) -> Self {
        Self { digits, ..self }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, median, max, digits } = self;
        write!(f, "{median:.digits$}")?;
        if min < max { write!(f, " ({min:.digits$} to {max:.digits$})") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.5, 4.0));
        assert_eq!(spread.digits(1).to_string(), "2.5 (1.0 to 4.0)");
    }

    #[test]
    fn a_single_value_has_no_range_and_none_is_no_number() {
        assert_eq!(Spread::of([7.0]).to_string(), "7");
        assert!(Spread::of([]).median.is_nan());
    }
}
