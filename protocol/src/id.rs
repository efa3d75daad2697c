//! Identifiers: fixed-size bytes, written as lower-case hex on every wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "hex::serde")] pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}…)"), hex::encode(&self.0[..4]))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId {
                    kind: stringify!($name),
                    digits: $len * 2,
                })?;
                Ok(Self(bytes))
            }
        }
    };
}

hex_id! {
    /// One page's signalling socket: 16 random bytes that the coordination
    /// server assigns, so that nobody can choose to be somebody else.
    PeerId, 16
}

hex_id! {
    /// One browser profile: 16 random bytes that the browser makes up. Its tabs
    /// share a cache, so the server never pairs them with each other.
    GroupId, 16
}

hex_id! {
    /// One version of one content: SHA-256 over its length, chunk size and chunk
    /// hashes (see [`crate::Manifest::content_id`]). Two URLs with the same bytes
    /// share it; a changed file has another.
    ContentId, 32
}

/// A text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind}: expected {digits} hexadecimal digits")]
pub struct InvalidId {
    kind: &'static str,
    digits: usize,
}
