//! How messages are written: one flat record of all fields that any message of a link
//! has, each there or not.
//!
//! `serde` could write tagged enums itself, but then reads every message into a tree
//! first, with code of its own for every kind: half of what a browser had to download.

/// A message without a field that its kind must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("missing field `{0}`")]
pub(super) struct Missing(&'static str);

/// How an enum is written and read: `Enum("tag") from Record, Kind`, then all fields of its messages,
/// then of each variant its name and its fields. A field with `or_default` is left out where
/// it is its type's default, one with `or_none` is an `Option` and left out where it is `None`;
/// a text in parentheses is what a field is called in writing.
macro_rules! flat {
    (
        $name:ident($tag:literal) from $record:ident, $kinds:ident {
            $($field:ident $(($alias:literal))?: $type:ty,)*
        } {
            $($variant:ident = $kind:literal {
                $($member:ident $($mode:ident)?),*
            },)*
        }
    ) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[derive(Default, serde::Serialize)]
                struct Fields<'a> {
                    #[serde(rename = $tag)]
                    kind: &'static str,
                    $(
                        $(#[serde(rename = $alias)])?
                        #[serde(skip_serializing_if = "Option::is_none")]
                        $field: Option<&'a $type>,
                    )*
                }

                let mut fields = Fields::default();
                match self {
                    $(Self::$variant { $($member),* } => {
                        fields.kind = $kind;
                        $(fields.$member = crate::message::flat::put!($member $($mode)?);)*
                    })*
                }
                fields.serialize(serializer)
            }
        }

        impl crate::plain::Read for $name {
            fn read<T: crate::plain::Tree>(tree: &T) -> Option<Self> {
                crate::message::flat::names! { $($field $($alias)?),* }

                let kind = crate::plain::place(&tree.property($tag)?, &[$($kind),*])?;
                $(if kind == $kinds::$variant as usize {
                    return Some(Self::$variant {
                        $($member: crate::read_property!(tree, written::$member $(, $mode)?)),*
                    });
                })*
                None
            }
        }

        impl crate::plain::Write for $name {
            fn write<T: crate::plain::Tree>(&self) -> T {
                crate::message::flat::names! { $($field $($alias)?),* }

                let mut tree = T::object();
                let kind = match self {
                    $(Self::$variant { $($member),* } => {
                        $(crate::write_property!(tree, written::$member, $member $(, $mode)?);)*
                        $kind
                    })*
                };
                tree.set($tag, T::of_text(kind));
                tree
            }
        }

        #[derive(serde::Deserialize)]
        enum $kinds {
            $(#[serde(rename = $kind)] $variant,)*
        }

        #[derive(serde::Deserialize)]
        struct $record {
            #[serde(rename = $tag)]
            kind: $kinds,
            $(
                $(#[serde(rename = $alias)])?
                $field: Option<$type>,
            )*
        }

        impl TryFrom<$record> for $name {
            type Error = crate::message::flat::Missing;

            fn try_from(mut record: $record) -> Result<Self, crate::message::flat::Missing> {
                Ok(match record.kind {
                    $($kinds::$variant => Self::$variant {
                        $($member: crate::message::flat::take!(record, $member $(, $mode)?)),*
                    },)*
                })
            }
        }
    };
}

/// What fields are called in writing, as constants that are named as the fields are.
macro_rules! names {
    ($($field:ident $($alias:literal)?),*) => {
        #[allow(non_upper_case_globals, dead_code)]
        mod written {
            $(pub const $field: &str = crate::written!($field $($alias)?);)*
        }
    };
}

/// A field on its way out.
macro_rules! put {
    ($field:ident) => {
        Some($field)
    };
    ($field:ident or_default) => {
        Some($field).filter(|it| **it != Default::default())
    };
    ($field:ident or_none) => {
        $field.as_ref()
    };
}

/// A field on its way in.
macro_rules! take {
    ($record:ident, $field:ident) => {
        crate::message::flat::needed(&mut $record.$field, stringify!($field))?
    };
    ($record:ident, $field:ident, or_default) => {
        $record.$field.take().unwrap_or_default()
    };
    ($record:ident, $field:ident, or_none) => {
        $record.$field.take()
    };
}

/// A field that must be there. Not inlined: it is needed a hundred times.
#[inline(never)]
pub(super) fn needed<T>(field: &mut Option<T>, name: &'static str) -> Result<T, Missing> {
    field.take().ok_or(Missing(name))
}

pub(super) use {flat, names, put, take};
