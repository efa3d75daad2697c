//! Who may see what goes on. Pure.

use std::fmt;
use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::origin::forward::SAID_BY_PROXIES;

/// Characters of a token at the least: what can be guessed is none.
const MIN_TOKEN: usize = 16;

/// What whoever wants to see the dashboard must show. Its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

/// A text that is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token has {MIN_TOKEN} characters at least, none of them a space; openssl rand -hex 32 makes one"
)]
pub struct WeakToken;

impl Token {
    /// The token in `text`, which may have spaces and line ends around it.
    ///
    /// # Errors
    /// If it is too short, or could not be sent.
    pub fn new(text: &str) -> Result<Self, WeakToken> {
        let text = text.trim();
        let is_fit = text.len() >= MIN_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_fit.then(|| Self(digest(text))).ok_or(WeakToken)
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        let said = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = said.and_then(|said| said.split_once(' ')).unwrap_or_default();
        // Hashes are compared, so that the time it takes says nothing of the token.
        scheme.eq_ignore_ascii_case("bearer") && digest(token.trim()) == self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// With a token, whoever shows it; without one, whoever sits at the machine.
///
/// # Errors
/// The answer for everybody else.
pub fn check(token: Option<&Token>, address: IpAddr, headers: &HeaderMap) -> Result<(), ApiError> {
    match token {
        Some(token) if token.is_in(headers) => Ok(()),
        Some(_) => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "token",
            "show the token: Authorization: Bearer TOKEN",
        )),
        None if is_here(address, headers) => Ok(()),
        None => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "elsewhere",
            "shown on the server itself, or with a token: --dashboard-token-file",
        )),
    }
}

/// Whether a request was made on this machine, by nobody else through a proxy on it, nor by
/// a page of somebody else's whose name stands for this machine.
fn is_here(address: IpAddr, headers: &HeaderMap) -> bool {
    let is_passed_on = headers.contains_key(header::VIA)
        || SAID_BY_PROXIES.iter().any(|name| headers.contains_key(name));
    address.to_canonical().is_loopback() && !is_passed_on && is_for_loopback(headers)
}

fn is_for_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(Ok(authority)) = host.map(str::parse::<Authority>) else { return false };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::http::HeaderName;

    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), value.parse().unwrap())
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn without_a_token_it_is_for_those_at_the_machine() {
        let allowed = |address: &str, fields: &[(&str, &str)]| {
            check(None, address.parse().unwrap(), &headers(fields)).is_ok()
        };
        assert!(allowed("127.0.0.1", &[("host", "localhost:8080")]));
        assert!(allowed("::ffff:127.0.0.1", &[("host", "127.0.0.1")]));
        assert!(allowed("::1", &[("host", "[::1]:8080")]));
        assert!(!allowed("192.168.1.7", &[("host", "localhost:8080")]), "another machine");
        assert!(!allowed("127.0.0.1", &[("host", "site.example")]), "a proxy that keeps the name");
        let proxied = [("host", "127.0.0.1:8080"), ("x-forwarded-for", "203.0.113.7")];
        assert!(!allowed("127.0.0.1", &proxied), "a proxy that says so");
        assert!(!allowed("127.0.0.1", &[("host", "localhost"), ("via", "1.1 a")]), "another");
        assert!(!allowed("127.0.0.1", &[]));
    }

    #[test]
    fn with_a_token_it_is_for_those_who_show_it() {
        let token = Token::new(" 0123456789abcdef\n").unwrap();
        let here = "127.0.0.1".parse().unwrap();
        let allowed = |fields: &[(&str, &str)]| check(Some(&token), here, &headers(fields)).is_ok();
        assert!(allowed(&[("authorization", "Bearer 0123456789abcdef")]));
        assert!(allowed(&[("authorization", "bearer 0123456789abcdef")]));
        assert!(!allowed(&[("authorization", "Bearer 0123456789abcdeF")]));
        assert!(!allowed(&[("authorization", "0123456789abcdef")]));
        assert!(!allowed(&[("host", "localhost")]), "not even at the machine");
        assert_eq!(Token::new("short"), Err(WeakToken));
        assert_eq!(Token::new("a token with some spaces"), Err(WeakToken));
    }
}
