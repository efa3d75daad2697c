//! Where the site's own server is.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::uri::{Authority, InvalidUriParts, Parts, PathAndQuery, Scheme};
use axum::http::{HeaderValue, Uri};

/// Scheme and authority of the site's own server, `http://127.0.0.1:3000`. Nothing that a
/// visitor sends changes either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginUrl {
    scheme: Scheme,
    authority: Authority,
}

impl OriginUrl {
    /// The URL of a path and query there.
    ///
    /// # Errors
    /// If `target` is no path, as the `*` of `OPTIONS *` is not.
    pub fn join(&self, target: PathAndQuery) -> Result<Uri, InvalidUriParts> {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        Uri::from_parts(parts)
    }

    /// The `Host` of requests to it, unless the site's owner wants another.
    pub fn host(&self) -> HeaderValue {
        // An authority consists of characters that headers may have.
        HeaderValue::from_str(self.authority.as_str())
            .unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// Whether it is named by its address, which no name server can change.
    pub fn is_literal(&self) -> bool {
        self.authority.host().trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    }

    /// The name and port to look up.
    pub fn endpoint(&self) -> (&str, u16) {
        let default = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        (self.authority.host(), self.authority.port_u16().unwrap_or(default))
    }

    /// What is left of a URL of this server when its scheme and authority are taken off:
    /// it starts with one `/`, so it leads nowhere else.
    pub fn path_of(&self, url: &str) -> Option<String> {
        let own = self.to_string();
        let (start, rest) = url.split_at_checked(own.len())?;
        if !start.eq_ignore_ascii_case(&own) || !(rest.is_empty() || rest.starts_with(['/', '?'])) {
            return None;
        }
        Some(format!("/{}", rest.trim_start_matches(['/', '\\'])))
    }
}

impl fmt::Display for OriginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl FromStr for OriginUrl {
    type Err = NotAnOriginUrl;

    fn from_str(text: &str) -> Result<Self, NotAnOriginUrl> {
        let wrong = |why| NotAnOriginUrl { text: text.to_owned(), why };
        let uri: Uri = text.parse().map_err(|_| wrong("it is no URL"))?;
        let Parts { scheme, authority, path_and_query, .. } = uri.into_parts();
        let scheme = scheme
            .filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme))
            .ok_or_else(|| wrong("it starts neither with http:// nor with https://"))?;
        let authority = authority
            .filter(|it| !it.host().is_empty())
            .ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it has a user name"));
        }
        if path_and_query.is_some_and(|it| it != "/") {
            return Err(wrong("it has a path; the site's paths stay as they are"));
        }
        Ok(Self { scheme, authority })
    }
}

/// A text that does not say where a server is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}: {text:?}; write http://HOST:PORT or https://HOST")]
pub struct NotAnOriginUrl {
    text: String,
    why: &'static str,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn origin(text: &str) -> OriginUrl {
        text.parse().unwrap()
    }

    #[test]
    fn scheme_and_authority_are_all_that_an_origin_has() {
        for text in ["http://127.0.0.1:3000", "https://shop.example", "http://[::1]:80"] {
            assert_eq!(origin(text).to_string(), text);
            assert_eq!(origin(&format!("{text}/")).to_string(), text);
        }
        let wrong = [
            "",
            "shop.example",
            "ftp://shop.example",
            "http://",
            "http:///a",
            "https://shop.example/a",
            "https://shop.example/?a",
            "https://user@shop.example",
        ];
        for text in wrong {
            assert!(text.parse::<OriginUrl>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_path_is_joined_and_nothing_else() {
        let origin = origin("http://127.0.0.1:3000");

        let joined = origin.join(PathAndQuery::from_static("//evil.example/a?b=http://c/"));

        let expected = "http://127.0.0.1:3000//evil.example/a?b=http://c/";
        let joined = joined.unwrap();
        assert_eq!(joined.to_string(), expected);
        assert_eq!(joined.authority().unwrap(), "127.0.0.1:3000");
    }

    #[test]
    fn addresses_are_literal_and_names_are_not() {
        assert!(origin("http://127.0.0.1:3000").is_literal());
        assert!(origin("http://[fd00::1]").is_literal());
        assert!(!origin("http://localhost").is_literal());
        assert_eq!(origin("http://localhost:81").endpoint(), ("localhost", 81));
        assert_eq!(origin("https://shop.example").endpoint(), ("shop.example", 443));
    }

    #[test]
    fn the_servers_own_urls_become_paths_of_the_site() {
        let origin = origin("http://127.0.0.1:3000");
        let cases = [
            ("http://127.0.0.1:3000/login?next=/a", Some("/login?next=/a")),
            ("HTTP://127.0.0.1:3000", Some("/")),
            ("http://127.0.0.1:3000?a", Some("/?a")),
            ("http://127.0.0.1:3000//evil.example/", Some("/evil.example/")),
            ("http://127.0.0.1:3000/\\evil.example/", Some("/evil.example/")),
            ("http://127.0.0.1:30001/", None),
            ("http://127.0.0.1:3000.evil.example/", None),
            ("http://127.0.0.1:3000@evil.example/", None),
            ("https://127.0.0.1:3000/", None),
            ("/login", None),
            ("https://other.example/", None),
        ];
        for (location, path) in cases {
            assert_eq!(origin.path_of(location).as_deref(), path, "{location}");
        }
    }
}
