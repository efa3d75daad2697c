//! What the person at the terminal reads.

use std::fmt::Display;
use std::time::Duration;

/// Starts a piece of work.
pub fn heading(text: impl Display) {
    eprintln!("\n==> {text}");
}

/// Something worth knowing within a piece of work.
pub fn note(text: impl Display) {
    eprintln!("    {text}");
}

/// `8.1 s`, or `2 min 05 s` from a minute on.
pub fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        return format!("{:.1} s", time.as_secs_f64());
    }
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_seconds_until_a_minute() {
        assert_eq!(elapsed(Duration::from_millis(8_149)), "8.1 s");
        assert_eq!(elapsed(Duration::from_secs(125)), "2 min 05 s");
    }
}
