//! HTTP byte ranges (RFC 9110 section 14), without any browser.

use dcdn_protocol::ByteRange;

/// Most bytes in one answer to an open-ended range from a media element. Both
/// engines ask for the next piece themselves, and a short answer is lost cheaply
/// when the browser stops the worker in the middle of it.
pub const MEDIA_CAP: u64 = 2 * 1024 * 1024;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeSpec {
    /// No `Range`, or one that a server may ignore.
    Whole,
    /// `bytes=first-last`, last byte included.
    Closed(u64, u64),
    /// `bytes=first-`.
    From(u64),
    /// `bytes=-count`.
    Suffix(u64),
}

/// The bytes to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// 200 with everything.
    Whole,
    /// 206 with these bytes, at least one.
    Part(ByteRange),
    /// 416.
    Unsatisfiable,
}

impl RangeSpec {
    /// Reads a `Range` header. Several ranges, other units and malformed headers
    /// count as no header, as RFC 9110 allows.
    pub fn parse(header: Option<&str>) -> Self {
        header.and_then(Self::parse_header).unwrap_or(Self::Whole)
    }

    fn parse_header(header: &str) -> Option<Self> {
        let (unit, set) = header.trim().split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", count) => Some(Self::Suffix(digits(count)?)),
            (first, "") => Some(Self::From(digits(first)?)),
            (first, last) => {
                let (first, last) = (digits(first)?, digits(last)?);
                (first <= last).then_some(Self::Closed(first, last))
            }
        }
    }

    /// Offset at which reading starts, if that is known without the length.
    pub fn start(self) -> Option<u64> {
        match self {
            Self::Whole => Some(0),
            Self::Closed(first, _) | Self::From(first) => Some(first),
            Self::Suffix(_) => None,
        }
    }

    /// The bytes of a content of `length` bytes; with `cap` no more than
    /// [`MEDIA_CAP`] of an open-ended range.
    pub fn resolve(self, length: u64, cap: bool) -> Resolved {
        let range = match self {
            Self::Whole => return Resolved::Whole,
            Self::Closed(first, last) => ByteRange::new(first, last.saturating_add(1).min(length)),
            Self::From(first) if cap => {
                ByteRange::new(first, first.saturating_add(MEDIA_CAP).min(length))
            }
            Self::From(first) => ByteRange::new(first, length),
            Self::Suffix(count) => ByteRange::new(length.saturating_sub(count), length),
        };
        if range.is_empty() { Resolved::Unsatisfiable } else { Resolved::Part(range) }
    }
}

/// Reads `Content-Range: bytes first-last/total`; `None` unless all three are there.
pub fn parse_content_range(header: &str) -> Option<(ByteRange, u64)> {
    let (span, total) = header.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let (first, last, total) = (digits(first)?, digits(last)?, digits(total)?);
    (first <= last && last < total).then(|| (ByteRange::new(first, last + 1), total))
}

fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read() {
        let parse = |header| RangeSpec::parse(Some(header));
        assert_eq!(parse("bytes=0-1"), RangeSpec::Closed(0, 1));
        assert_eq!(parse("bytes=5-"), RangeSpec::From(5));
        assert_eq!(parse("bytes=-7"), RangeSpec::Suffix(7));
        assert_eq!(parse(" Bytes = 3 - 9 "), RangeSpec::Closed(3, 9));
        assert_eq!(RangeSpec::parse(None), RangeSpec::Whole);
    }

    #[test]
    fn what_a_server_may_ignore_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-3",
            "bytes=0-1,4-5",
            "rows=0-1",
            "bytes=+1-2",
            "bytes=99999999999999999999-",
        ] {
            assert_eq!(RangeSpec::parse(Some(header)), RangeSpec::Whole, "{header:?}");
        }
    }

    #[test]
    fn a_range_past_the_end_cannot_be_satisfied() {
        assert_eq!(RangeSpec::From(10).resolve(10, false), Resolved::Unsatisfiable);
        assert_eq!(RangeSpec::Closed(10, 12).resolve(10, false), Resolved::Unsatisfiable);
        assert_eq!(RangeSpec::Suffix(0).resolve(10, false), Resolved::Unsatisfiable);
        assert_eq!(RangeSpec::Suffix(5).resolve(0, false), Resolved::Unsatisfiable);
    }

    #[test]
    fn only_open_ended_media_ranges_are_capped() {
        let long = 100 * MEDIA_CAP;
        let part = |start, end| Resolved::Part(ByteRange::new(start, end));
        assert_eq!(RangeSpec::From(5).resolve(long, true), part(5, 5 + MEDIA_CAP));
        assert_eq!(RangeSpec::From(5).resolve(long, false), part(5, long));
        assert_eq!(RangeSpec::Closed(0, long - 1).resolve(long, true), part(0, long));
        assert_eq!(RangeSpec::Whole.resolve(long, true), Resolved::Whole);
    }

    #[test]
    fn content_range_needs_all_three_numbers() {
        assert_eq!(
            parse_content_range("bytes 0-524287/3200000"),
            Some((ByteRange::new(0, 524_288), 3_200_000))
        );
        for header in ["bytes */10", "bytes 0-5/*", "bytes 5-4/10", "bytes 0-10/10", "rows 0-1/2"] {
            assert_eq!(parse_content_range(header), None, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn an_answer_lies_within_the_content(a in any::<u64>(), b in any::<u64>(), length in 0..1u64 << 40, cap: bool) {
            for spec in [RangeSpec::Closed(a.min(b), a.max(b)), RangeSpec::From(a), RangeSpec::Suffix(a)] {
                if let Resolved::Part(range) = spec.resolve(length, cap) {
                    prop_assert!(!range.is_empty() && range.end <= length);
                }
            }
        }

        #[test]
        fn no_header_makes_the_parser_panic(header in ".*") {
            let _ = RangeSpec::parse(Some(&header));
            let _ = parse_content_range(&header);
        }
    }
}
