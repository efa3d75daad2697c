//! Which pages may open a socket. Browsers send cookies and the like along with
//! any page's socket and say in `Origin` whose page it is.

use std::str::FromStr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

/// Pages of the same host, and those that the site's owner lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    any: bool,
    listed: Vec<Origin>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl AllowedOrigins {
    /// Same host, and each of `texts`: `https://example.com`, or `*` for any.
    ///
    /// # Errors
    /// The first text that is neither.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NotAnOrigin> {
        let mut origins = Self::default();
        for text in texts {
            match text {
                "*" => origins.any = true,
                text => origins.listed.push(text.parse()?),
            }
        }
        Ok(origins)
    }

    /// Whether a request may open a socket. One without `Origin` comes from no
    /// browser, which could say anything.
    pub fn allow(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        if self.any {
            return true;
        }
        let Some(origin) = origin.to_str().ok().and_then(|text| Origin::from_str(text).ok()) else {
            return false;
        };
        self.listed.contains(&origin) || origin.is_host(uri, headers)
    }
}

impl Origin {
    /// Whether the request is for the host that the page is from. The scheme may
    /// differ: a proxy that ends TLS asks us over HTTP.
    fn is_host(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let named = uri.authority().map(Authority::as_str).or(named);
        let Some(host) = named.and_then(|host| Authority::from_str(host).ok()) else {
            return false;
        };
        let port = host.port_u16().or(default_port(&self.scheme));
        self.host.eq_ignore_ascii_case(host.host()) && self.port == port
    }
}

/// Whether two texts name one origin.
pub fn is_same_origin(one: &str, other: &str) -> bool {
    let origin = |text: &str| text.parse::<Origin>().ok();
    origin(one).is_some_and(|one| origin(other) == Some(one))
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let not_an_origin = || NotAnOrigin(text.to_owned());
        let (scheme, authority) = text.split_once("://").ok_or_else(not_an_origin)?;
        let authority = Authority::from_str(authority).map_err(|_| not_an_origin())?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(not_an_origin());
        }
        let scheme = scheme.to_ascii_lowercase();
        let port = authority.port_u16().or(default_port(&scheme));
        Ok(Self { scheme, host: authority.host().to_ascii_lowercase(), port })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// A text that is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an origin: {0:?}; write https://example.com, without a path, or *")]
pub struct NotAnOrigin(String);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn allows(listed: &[&str], origin: &str, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        headers.insert(header::HOST, host.parse().unwrap());
        let origins = AllowedOrigins::new(listed.iter().copied()).unwrap();
        origins.allow(&Uri::from_static("/dcdn/ws"), &headers)
    }

    #[test]
    fn a_page_of_the_same_host_is_allowed() {
        assert!(allows(&[], "http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(allows(&[], "https://Example.com", "example.com"));
        assert!(allows(&[], "https://example.com", "example.com:443"));
        assert!(allows(&[], "http://[::1]:8080", "[::1]:8080"));
    }

    #[test]
    fn a_page_of_another_host_or_port_is_not() {
        assert!(!allows(&[], "http://evil.example", "example.com"));
        assert!(!allows(&[], "http://example.com:81", "example.com"));
        assert!(!allows(&[], "http://example.com.evil.example", "example.com"));
        assert!(!allows(&[], "http://a@example.com", "example.com"));
        assert!(!allows(&[], "null", "example.com"));
    }

    #[test]
    fn listed_pages_are_allowed_besides() {
        let listed = ["https://shop.example", "https://cdn.example:8443"];
        assert!(allows(&listed, "https://shop.example", "coord.example"));
        assert!(allows(&listed, "https://cdn.example:8443", "coord.example"));
        assert!(allows(&listed, "https://coord.example", "coord.example"));
        assert!(!allows(&listed, "http://shop.example", "coord.example"));
        assert!(allows(&["*"], "https://anybody.example", "coord.example"));
    }

    #[test]
    fn who_is_no_browser_is_allowed() {
        let origins = AllowedOrigins::default();

        assert!(origins.allow(&Uri::from_static("/dcdn/ws"), &HeaderMap::new()));
    }

    #[test]
    fn what_is_no_origin_is_not_listed() {
        for text in ["example.com", "https://", "https://a/b", "https://u@h", ""] {
            assert!(AllowedOrigins::new([text]).is_err(), "{text:?}");
        }
    }
}
