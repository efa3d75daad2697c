//! What the headers of a response let caches do with it (RFC 9111, RFC 8246).
//!
//! Unlike a browser's cache, a visitor's store serves other visitors: what is only for
//! one of them stays out of it.

/// What matters of `Cache-Control`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// `no-store` or `private`, with or without field names: for one visitor alone.
    personal: bool,
    /// `no-cache`: nothing may be used before the origin has been asked.
    no_cache: bool,
    /// `max-age` in seconds.
    max_age: Option<u32>,
}

impl CacheControl {
    /// Reads the header. Directives that are unknown or malformed count as absent;
    /// a `max-age` that is no number counts as 0 (RFC 9111 section 4.2.1).
    pub fn parse(header: Option<&str>) -> Self {
        let mut control = Self::default();
        for directive in header.unwrap_or_default().split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "private" => control.personal = true,
                "no-cache" => control.no_cache = true,
                // The shorter of two.
                "max-age" => {
                    let seconds = seconds(value.trim().trim_matches('"'));
                    control.max_age = Some(control.max_age.map_or(seconds, |it| it.min(seconds)));
                }
                _ => {}
            }
        }
        control
    }

    /// Whether visitors may give the response to each other.
    pub fn may_be_shared(self) -> bool {
        !self.personal
    }

    /// Milliseconds after the origin has spoken in which it need not be asked again. 0
    /// without a `max-age`: a guess would show visitors what is out of date.
    pub fn fresh_ms(self) -> u64 {
        if self.no_cache || self.personal {
            return 0;
        }
        u64::from(self.max_age.unwrap_or_default()) * 1000
    }
}

/// A number too large to hold is as good as for ever.
fn seconds(text: &str) -> u32 {
    let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if is_number { text.parse().unwrap_or(u32::MAX) } else { 0 }
}

/// Whether a response with this `Vary` may be another one for the next visitor. What
/// depends on the request's encoding, origin or range alone is not: we ask without
/// an encoding, from one origin, and put ranges together by their version.
pub fn varies_by_visitor(vary: Option<&str>) -> bool {
    const SAME_FOR_ALL: [&str; 4] = ["accept-encoding", "origin", "range", ""];
    vary.unwrap_or_default()
        .split(',')
        .any(|name| !SAME_FOR_ALL.contains(&name.trim().to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: &str) -> CacheControl {
        CacheControl::parse(Some(header))
    }

    #[test]
    fn what_is_for_one_visitor_is_not_shared() {
        for header in ["no-store", "private", "max-age=60, Private", "private=\"set-cookie\""] {
            assert!(!parse(header).may_be_shared(), "{header}");
            assert_eq!(parse(header).fresh_ms(), 0, "{header}");
        }
        for header in ["", "public", "no-cache", "max-age=60", "x-private, store"] {
            assert!(parse(header).may_be_shared(), "{header}");
        }
        assert!(CacheControl::parse(None).may_be_shared());
    }

    #[test]
    fn freshness_is_what_the_origin_has_promised_and_nothing_else() {
        assert_eq!(parse("public, max-age=3600, immutable").fresh_ms(), 3_600_000);
        assert_eq!(parse("MAX-AGE=\"5\"").fresh_ms(), 5_000);
        assert_eq!(parse("max-age=5, max-age=7").fresh_ms(), 5_000);
        assert_eq!(parse("max-age=99999999999").fresh_ms(), u64::from(u32::MAX) * 1000);
        for header in ["", "public", "max-age=-1", "max-age=x", "max-age", "max-age=9, no-cache"] {
            assert_eq!(parse(header).fresh_ms(), 0, "{header}");
        }
    }

    #[test]
    fn what_depends_on_who_asks_varies() {
        for vary in ["Cookie", "*", "Accept-Encoding, Authorization", "Accept"] {
            assert!(varies_by_visitor(Some(vary)), "{vary}");
        }
        for vary in ["", "Accept-Encoding", "origin , RANGE"] {
            assert!(!varies_by_visitor(Some(vary)), "{vary}");
        }
        assert!(!varies_by_visitor(None));
    }
}
