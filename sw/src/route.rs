//! Which requests are ours: decided at once, from the request alone.

use crate::range::RangeSpec;

/// Endings of paths that page scripts fetch as media.
const MEDIA_ENDINGS: [&str; 24] = [
    "jpg", "jpeg", "png", "webp", "avif", "gif", "mp4", "m4v", "m4s", "m4a", "cmfv", "cmfa",
    "webm", "mkv", "mov", "ts", "mp3", "aac", "ogg", "oga", "ogv", "opus", "flac", "wav",
];

/// Those of them that only streams are cut into.
const SEGMENT_ENDINGS: [&str; 4] = ["m4s", "cmfv", "cmfa", "ts"];

/// Those that scripts read streams from part by part, too.
const STREAM_ENDINGS: [&str; 7] = ["mp4", "m4v", "m4a", "webm", "aac", "mp3", "opus"];

/// The conditions that the origin answers with 304 or 412. (`If-Range` is not one of them.)
pub const CONDITIONS: [&str; 4] =
    ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"];

/// What of a request decides.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Whether its method is GET.
    pub is_get: bool,
    /// Path with query, if it is of our origin and without credentials in the URL.
    pub url: Option<&'a str>,
    /// `Request.destination`.
    pub destination: &'a str,
    /// `Request.cache`.
    pub cache: &'a str,
    /// Whether it carries `Authorization`.
    pub authorized: bool,
    /// Whether it carries subresource integrity.
    pub has_integrity: bool,
    /// Whether it has a condition of the page's own, `If-None-Match` for one.
    pub is_conditional: bool,
    /// `Range`, if it is there.
    pub range: Option<&'a str>,
}

/// Whether the worker answers the request. `false` leaves it to the browser.
pub fn is_ours(asked: &Asked<'_>) -> bool {
    let Some(url) = asked.url else { return false };
    if !asked.is_get || asked.authorized || asked.has_integrity || asked.is_conditional {
        return false;
    }
    // The page wants to go past caches (or not past one), and we are a cache.
    if matches!(asked.cache, "no-store" | "reload" | "only-if-cached") {
        return false;
    }
    if !is_of_site(url) {
        return false;
    }
    // Several ranges in one request are rare and the origin's business.
    if asked.range.is_some() && RangeSpec::parse(asked.range) == RangeSpec::Whole {
        return false;
    }
    match asked.destination {
        "image" | "video" | "audio" => true,
        "" => ends_with(url, &MEDIA_ENDINGS),
        _ => false,
    }
}

/// Whether a path is the site's and not our own.
pub fn is_of_site(url: &str) -> bool {
    url != "/sw.js" && !url.starts_with("/dcdn/")
}

/// Whether a resource is something that the worker would ever be asked for, by its MIME
/// type or its path.
pub fn is_media(mime: &str, url: &str) -> bool {
    ["image/", "audio/", "video/"].iter().any(|kind| mime.starts_with(kind))
        || ends_with(url, &MEDIA_ENDINGS)
}

/// Whether a request is for a piece of what a script plays: hls.js, Shaka Player and the
/// like. They ask for the next one while there is something to play.
pub fn is_segment(destination: &str, url: &str, is_range: bool) -> bool {
    let of_parts = is_range && ends_with(url, &STREAM_ENDINGS);
    destination.is_empty() && (of_parts || ends_with(url, &SEGMENT_ENDINGS))
}

fn ends_with(url: &str, endings: &[&str]) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let Some((_, ending)) = path.rsplit_once('.') else { return false };
    endings.iter().any(|it| it.eq_ignore_ascii_case(ending))
}

/// Whether a page's URL turns DCDN off for that page: `?dcdn=off`.
pub fn turns_off(page_url: &str) -> bool {
    let Some((_, query)) = page_url.split_once('?') else { return false };
    query.split(['&', '#']).any(|pair| pair == "dcdn=off")
}

/// The path of an absolute URL, without query.
pub fn path_of(url: &str) -> &str {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after_scheme.find('/').map_or("/", |slash| &after_scheme[slash..]);
    path.split(['?', '#']).next().unwrap_or("/")
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    fn image() -> Asked<'static> {
        Asked {
            is_get: true,
            url: Some("/a.jpg"),
            destination: "image",
            cache: "default",
            authorized: false,
            has_integrity: false,
            is_conditional: false,
            range: None,
        }
    }

    #[test]
    fn media_elements_and_fetched_media_are_ours() {
        assert!(is_ours(&image()));
        assert!(is_ours(&Asked { destination: "video", range: Some("bytes=0-"), ..image() }));
        assert!(is_ours(&Asked { destination: "", url: Some("/v/1.M4S?x=1"), ..image() }));
    }

    #[test]
    fn what_is_not_media_is_not_ours() {
        for destination in ["document", "script", "style", "font", "worker"] {
            assert!(!is_ours(&Asked { destination, ..image() }));
        }
        for url in ["/api", "/data.json", "/page.html?x=.jpg", "/live.m3u8"] {
            assert!(!is_ours(&Asked { destination: "", url: Some(url), ..image() }), "{url}");
        }
    }

    #[test]
    fn media_are_known_by_type_or_by_name() {
        assert!(is_media("video/mp4", "/film"));
        assert!(is_media("application/octet-stream", "/a.m4s?x"));
        assert!(!is_media("text/html", "/"));
        assert!(!is_of_site("/dcdn/worker_bg.wasm") && is_of_site("/a.jpg"));
    }

    #[test]
    fn what_a_script_plays_is_a_segment() {
        assert!(is_segment("", "/v/1.m4s?x=1", false));
        assert!(is_segment("", "/v/1.TS", false));
        assert!(is_segment("", "/v/film.mp4", true));
        assert!(!is_segment("", "/v/film.mp4", false), "a file that is fetched whole");
        assert!(!is_segment("video", "/v/film.mp4", true));
        assert!(!is_segment("", "/a.jpg", true));
    }

    #[test]
    fn what_is_private_or_elsewhere_is_not_ours() {
        assert!(!is_ours(&Asked { is_get: false, ..image() }));
        assert!(!is_ours(&Asked { url: None, ..image() }));
        assert!(!is_ours(&Asked { authorized: true, ..image() }));
        assert!(!is_ours(&Asked { has_integrity: true, ..image() }));
        assert!(!is_ours(&Asked { is_conditional: true, ..image() }));
        assert!(!is_ours(&Asked { url: Some("/dcdn/logo.png"), ..image() }));
        for cache in ["no-store", "reload", "only-if-cached"] {
            assert!(!is_ours(&Asked { cache, ..image() }));
        }
        assert!(!is_ours(&Asked { range: Some("bytes=0-1,5-6"), ..image() }));
    }

    #[test]
    fn a_page_turns_us_off_by_its_query_alone() {
        assert!(turns_off("https://a.example/x?dcdn=off"));
        assert!(turns_off("https://a.example/x?a=1&dcdn=off#top"));
        assert!(!turns_off("https://a.example/dcdn=off"));
        assert!(!turns_off("https://a.example/x?dcdn=offline"));
    }

    #[test]
    fn the_path_of_a_page_has_no_query() {
        assert_eq!(path_of("https://a.example/x/y?z=1#t"), "/x/y");
        assert_eq!(path_of("https://a.example"), "/");
    }
}
