//! Join tokens: who has one that the site has signed may take part.
//!
//! A token is a JWT (RFC 7519) signed with HMAC-SHA256 by a secret that the site's own
//! server shares with this one. Its claims: `exp`, which it must have and which may not be
//! far away; `nbf`, if it has one; and `aud`, if it has one: the origin of the page, or
//! several.
//!
//! It comes in `hello` and nowhere else: browsers let no page set a socket's headers, what is in
//! a URL is in the logs of every proxy on the way, and a subprotocol is a header that logs
//! may have too and that a server must repeat.

mod hmac;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dcdn_protocol::message::coord::MAX_TOKEN;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::signalling::is_same_origin;

/// Fewest bytes of a secret: as many as the hash has (RFC 7518, section 3.2).
pub const MIN_SECRET: usize = 32;

/// Longest life of a token that is issued or accepted, unless the site says otherwise.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// By how much the clocks of who issues and of this server may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(30);

/// What tokens are signed with.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// Issues and checks tokens.
#[derive(Clone)]
pub struct Tokens {
    signs: EncodingKey,
    checks: DecodingKey,
    validation: Validation,
    longest: Duration,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aud: Option<Audience>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Secret {
    /// What is in a file, without the end of its last line.
    ///
    /// # Errors
    /// If it cannot be read, or has fewer than [`MIN_SECRET`] bytes.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let mut bytes = fs::read(path)
            .map_err(|source| SecretError::Unreadable { path: path.to_owned(), source })?;
        while bytes.last().is_some_and(|last| [b'\n', b'\r'].contains(last)) {
            bytes.pop();
        }
        match bytes.len() {
            found if found < MIN_SECRET => Err(SecretError::Short { path: path.to_owned(), found }),
            _ => Ok(Self(bytes)),
        }
    }
}

impl Tokens {
    /// Of `secret`, with lives of at most `longest`.
    pub fn new(secret: &Secret, longest: Duration) -> Self {
        hmac::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = CLOCKS_DIFFER.as_secs();
        validation.validate_nbf = true;
        // Whose page it is differs from socket to socket.
        validation.validate_aud = false;
        Self {
            signs: EncodingKey::from_secret(&secret.0),
            checks: DecodingKey::from_secret(&secret.0),
            validation,
            longest,
        }
    }

    /// A token for pages of `audience`, or of any origin, that is good for `life`.
    ///
    /// # Errors
    /// If it cannot be written, which no such token is.
    pub fn issue(
        &self,
        life: Duration,
        audience: Option<String>,
        now: SystemTime,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let exp = seconds(now + life).floor();
        let claims = Claims { exp, aud: audience.map(Audience::One) };
        encode(&Header::new(Algorithm::HS256), &claims, &self.signs)
    }

    /// Whether the page of a socket may take part, whose origin its browser says.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(
        &self,
        token: Option<&str>,
        origin: Option<&str>,
        now: SystemTime,
    ) -> Result<(), Refused> {
        let token = token.ok_or(Refused::None)?;
        if token.len() > MAX_TOKEN {
            return Err(Refused::Wrong);
        }
        let Claims { exp, aud } = decode(token, &self.checks, &self.validation)?.claims;
        if exp > seconds(now + self.longest + CLOCKS_DIFFER) {
            return Err(Refused::TooLong(self.longest.as_secs()));
        }
        let listed = match &aud {
            None => return Ok(()),
            Some(Audience::One(one)) => std::slice::from_ref(one),
            Some(Audience::Many(many)) => many,
        };
        let is_listed = |origin| listed.iter().any(|it| is_same_origin(it, origin));
        if origin.is_some_and(is_listed) { Ok(()) } else { Err(Refused::Audience) }
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("longest", &self.longest).finish_non_exhaustive()
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |it| it.as_secs_f64())
}

/// A secret that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is none.
    #[error("cannot read the join secret {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It can be guessed.
    #[error(
        "the join secret {} has {found} bytes, and needs {MIN_SECRET}; \
         make one: openssl rand -hex 32 > FILE",
        path.display()
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// Bytes in it.
        found: usize,
    },
}

/// Why a page may not take part, in words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has shown none.
    #[error("this site asks for a join token, and the page has none")]
    None,
    /// It was good once.
    #[error("the join token has expired")]
    Expired,
    /// It will be.
    #[error("the join token is not valid yet")]
    Early,
    /// It would be good for too long, in seconds.
    #[error("the join token is good for longer than {0} s")]
    TooLong(u64),
    /// It is for pages of another origin.
    #[error("the join token is for another origin")]
    Audience,
    /// It is none, or another's.
    #[error("the join token is not one of this site")]
    Wrong,
}

impl From<jsonwebtoken::errors::Error> for Refused {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        match error.kind() {
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::Early,
            _ => Self::Wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    const ORIGIN: &str = "https://shop.example";

    fn tokens(secret: &[u8]) -> Tokens {
        Tokens::new(&Secret(secret.to_vec()), LONGEST)
    }

    fn own() -> Tokens {
        tokens(&[7; MIN_SECRET])
    }

    fn signed(header: &Header, claims: &serde_json::Value) -> String {
        encode(header, claims, &own().signs).unwrap()
    }

    fn in_seconds(seconds_from_now: f64) -> f64 {
        seconds(SystemTime::now()) + seconds_from_now
    }

    fn check(token: &str) -> Result<(), Refused> {
        own().check(Some(token), Some(ORIGIN), SystemTime::now())
    }

    #[test]
    fn a_token_that_was_issued_is_good_until_it_expires() {
        let now = SystemTime::now();
        let issue = |life, issued| own().issue(Duration::from_secs(life), None, issued).unwrap();

        assert_eq!(check(&issue(600, now)), Ok(()));
        assert_eq!(check(&issue(600, now - Duration::from_secs(700))), Err(Refused::Expired));
        assert_eq!(check(&issue(4000, now)), Err(Refused::TooLong(3600)));
        assert_eq!(own().check(None, Some(ORIGIN), now), Err(Refused::None));
    }

    #[test]
    fn a_token_of_another_secret_or_another_kind_is_none() {
        let now = SystemTime::now();
        let other = tokens(&[8; MIN_SECRET]).issue(LONGEST, None, now).unwrap();
        let good = own().issue(LONGEST, None, now).unwrap();
        let (claims, _) = good.rsplit_once('.').unwrap();
        // {"alg":"none"} and a signature of nothing.
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", claims.split_once('.').unwrap().1);
        let long = "a".repeat(MAX_TOKEN + 1);
        let without_end = signed(&Header::new(Algorithm::HS256), &json!({}));
        for token in [&other, claims, &unsigned, "", "a.b.c", &long, &without_end] {
            assert_eq!(check(token), Err(Refused::Wrong), "{token}");
        }
    }

    #[test]
    fn what_a_token_says_of_its_time_and_its_pages_counts() {
        let exp = in_seconds(60.5);
        for (claims, expected) in [
            (json!({ "exp": exp }), Ok(())),
            (json!({ "exp": exp, "aud": ORIGIN }), Ok(())),
            (
                json!({ "exp": exp, "aud": ["https://a.example", "HTTPS://Shop.example:443"] }),
                Ok(()),
            ),
            (json!({ "exp": exp, "aud": "https://evil.example" }), Err(Refused::Audience)),
            (json!({ "exp": exp, "aud": [] }), Err(Refused::Audience)),
            (json!({ "exp": exp, "nbf": in_seconds(300.0) }), Err(Refused::Early)),
            (json!({ "exp": "tomorrow" }), Err(Refused::Wrong)),
        ] {
            let token = signed(&Header::new(Algorithm::HS256), &claims);
            assert_eq!(check(&token), expected, "{claims}");
        }
        let bound = own().issue(LONGEST, Some(ORIGIN.to_owned()), SystemTime::now()).unwrap();
        let nobodys = own().check(Some(&bound), None, SystemTime::now());
        assert_eq!(nobodys, Err(Refused::Audience));
    }

    #[test]
    fn a_secret_is_long_enough_and_its_files_line_end_is_not_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, [b"0123456789abcdef0123456789abcdef".as_slice(), b"\n"].concat()).unwrap();
        assert_eq!(Secret::read(&path).unwrap().0.len(), 32);
        fs::write(&path, "short\n").unwrap();
        let said = Secret::read(&path).err().unwrap().to_string();
        assert!(said.contains("5 bytes") && said.contains("32"), "{said}");
        assert!(Secret::read(&directory.path().join("none")).is_err());
    }
}
