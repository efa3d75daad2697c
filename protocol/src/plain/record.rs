//! Structs by the names of their fields, and enums by those of their variants.

/// Has a struct [read](crate::plain::Read) and [written](crate::plain::Write), by its fields. After a field may stand what
/// its absence means:
///
/// - `or_null`: it is `None`, and written as `null`;
/// - `or_none`: it is `None`, and then not written;
/// - `or_default`: its type's default, and then not written;
/// - `or_empty`: its type's default, which is written.
///
/// With `Name or default { … }` every field that is absent is that of the struct's own default;
/// with `out Name { … }` it is only written.
/// A text in parentheses is what a field is called in writing.
#[macro_export]
macro_rules! record {
    ($name:ident or default { $($field:ident $(($alias:literal))?),* $(,)? }) => {
        impl $crate::plain::Read for $name {
            fn read<T: $crate::plain::Tree>(tree: &T) -> Option<Self> {
                if !tree.is_object() {
                    return None;
                }
                let mut record = Self::default();
                $($crate::plain::overwrite(&mut record.$field, tree, $crate::written!($field $($alias)?))?;)*
                Some(record)
            }
        }

        impl $crate::plain::Write for $name {
            fn write<T: $crate::plain::Tree>(&self) -> T {
                let Self { $($field),* } = self;
                let mut tree = T::object();
                $($crate::plain::put(&mut tree, $crate::written!($field $($alias)?), $field);)*
                tree
            }
        }
    };
    ($name:ident { $($field:ident $(($alias:literal))? $($mode:ident)?),* $(,)? }) => {
        impl $crate::plain::Read for $name {
            fn read<T: $crate::plain::Tree>(tree: &T) -> Option<Self> {
                Some(Self {
                    $($field: $crate::read_property!(tree, $crate::written!($field $($alias)?) $(, $mode)?)),*
                })
            }
        }

        $crate::record!(out $name { $($field $(($alias))? $($mode)?),* });
    };
    (out $name:ident { $($field:ident $(($alias:literal))? $($mode:ident)?),* $(,)? }) => {
        impl $crate::plain::Write for $name {
            fn write<T: $crate::plain::Tree>(&self) -> T {
                let Self { $($field),* } = self;
                let mut tree = T::object();
                $($crate::write_property!(tree, $crate::written!($field $($alias)?), $field $(, $mode)?);)*
                tree
            }
        }
    };
}

/// Has an enum without fields [read](crate::plain::Read) and [written](crate::plain::Write), by its
/// variants' names in writing.
#[macro_export]
macro_rules! names {
    ($name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        impl $crate::plain::Read for $name {
            fn read<T: $crate::plain::Tree>(tree: &T) -> Option<Self> {
                let variants = [$(Self::$variant),*];
                variants.into_iter().nth($crate::plain::place(tree, &[$($text),*])?)
            }
        }

        impl $crate::plain::Write for $name {
            fn write<T: $crate::plain::Tree>(&self) -> T {
                T::of_text(match self {
                    $(Self::$variant => $text,)*
                })
            }
        }
    };
}

/// What a field is called in writing.
#[doc(hidden)]
#[macro_export]
macro_rules! written {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $alias:literal) => {
        $alias
    };
}

/// A field on its way in.
#[doc(hidden)]
#[macro_export]
macro_rules! read_property {
    ($tree:ident, $name:expr) => {
        $crate::plain::required($tree, $name)?
    };
    ($tree:ident, $name:expr, or_null) => {
        $crate::plain::optional($tree, $name)?
    };
    ($tree:ident, $name:expr, or_none) => {
        $crate::plain::optional($tree, $name)?
    };
    ($tree:ident, $name:expr, or_default) => {
        $crate::plain::optional($tree, $name)?.unwrap_or_default()
    };
    ($tree:ident, $name:expr, or_empty) => {
        $crate::plain::optional($tree, $name)?.unwrap_or_default()
    };
}

/// A field on its way out.
#[doc(hidden)]
#[macro_export]
macro_rules! write_property {
    ($tree:ident, $name:expr, $value:ident) => {
        $crate::plain::put(&mut $tree, $name, $value)
    };
    ($tree:ident, $name:expr, $value:ident, or_null) => {
        $crate::plain::put(&mut $tree, $name, $value)
    };
    ($tree:ident, $name:expr, $value:ident, or_empty) => {
        $crate::plain::put(&mut $tree, $name, $value)
    };
    ($tree:ident, $name:expr, $value:ident, or_none) => {
        if let Some(value) = $value {
            $crate::plain::put(&mut $tree, $name, value);
        }
    };
    ($tree:ident, $name:expr, $value:ident, or_default) => {
        if *$value != Default::default() {
            $crate::plain::put(&mut $tree, $name, $value);
        }
    };
}
