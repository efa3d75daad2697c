//! Identifiers: fixed-size bytes, written as lower-case hex on every wire.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Calls `with` on the id as it is written. Messages are full of ids, so none
            /// is written into memory of its own.
            pub(crate) fn written<T>(&self, with: impl FnOnce(&str) -> T) -> T {
                let mut digits = [0; $len * 2];
                // Fails only if there is no room for the digits.
                let written = hex::encode_to_slice(self.0, &mut digits).map(|()| &digits[..]);
                with(str::from_utf8(written.unwrap_or_default()).unwrap_or_default())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.written(|text| f.write_str(text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.written(|text| serializer.serialize_str(text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Digits(PhantomData))
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

/// Reads an id where it stands, without a string in between.
struct Digits<T>(PhantomData<T>);

impl<T: FromStr<Err = InvalidId>> Visitor<'_> for Digits<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id in hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
