//! Values as trees of plain data, such as JSON describes, and back, in little code.
//!
//! `serde` compiles a reader of its own for each type, with words for every error; in what
//! browsers download that was a seventh. Here a type is a list of names ([`record!`],
//! [`names!`], and the messages' own), each read by the same few functions, and an error is
//! an error. The server goes on with `serde`, without a tree; both make and take the same,
//! which the tests compare.
//!
//! [`record!`]: crate::record
//! [`names!`]: crate::names

mod json;
mod record;
mod values;

use std::fmt::Display;
use std::str::FromStr;

/// Integers that a number holds exactly are not above this: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A value of some tree: text, number, flag, list, object or nothing.
pub trait Tree: Sized {
    /// The text, if it is one.
    fn text(&self) -> Option<String>;

    /// The number, if it is one.
    fn number(&self) -> Option<f64>;

    /// The flag, if it is one.
    fn flag(&self) -> Option<bool>;

    /// The items, if it is a list.
    fn items(&self) -> Option<Vec<Self>>;

    /// The properties, if it is an object.
    fn entries(&self) -> Option<Vec<(String, Self)>>;

    /// Whether it may have properties.
    fn is_object(&self) -> bool;

    /// A property; `None` if it is absent or nothing, or this is no object.
    fn property(&self, name: &str) -> Option<Self>;

    /// Nothing: `null`.
    fn nothing() -> Self;

    /// Some text.
    fn of_text(text: &str) -> Self;

    /// A number. Whole numbers above 2^53 lose their last digits.
    fn of_number(number: f64) -> Self;

    /// A flag.
    fn of_flag(flag: bool) -> Self;

    /// A list.
    fn of_items(items: Vec<Self>) -> Self;

    /// An object without properties.
    fn object() -> Self;

    /// Gives an object a property.
    fn set(&mut self, name: &str, value: Self);
}

/// What can be read from a tree.
pub trait Read: Sized {
    /// The value that a tree describes, if it does. Properties that nobody asks for are ignored.
    fn read<T: Tree>(tree: &T) -> Option<Self>;
}

/// What can be written as a tree.
pub trait Write {
    /// The tree of this value.
    fn write<T: Tree>(&self) -> T;
}

/// A property that must be there.
#[inline(never)]
pub fn required<P: Read, T: Tree>(tree: &T, name: &str) -> Option<P> {
    P::read(&tree.property(name)?)
}

/// A property that need not be there: `Some(None)` if it is not.
#[inline(never)]
pub fn optional<P: Read, T: Tree>(tree: &T, name: &str) -> Option<Option<P>> {
    match tree.property(name) {
        Some(property) => P::read(&property).map(Some),
        None => Some(None),
    }
}

/// Overwrites `value` with a property if that is there; `None` if it is something else.
#[inline(never)]
pub fn overwrite<P: Read, T: Tree>(value: &mut P, tree: &T, name: &str) -> Option<()> {
    if let Some(property) = optional(tree, name)? {
        *value = property;
    }
    Some(())
}

/// Gives an object the property that `value` is.
#[inline(never)]
pub fn put<P: Write, T: Tree>(tree: &mut T, name: &str, value: &P) {
    tree.set(name, value.write());
}

/// Which of `names` a text is.
#[inline(never)]
pub fn place<T: Tree>(text: &T, names: &[&str]) -> Option<usize> {
    let text = text.text()?;
    names.iter().position(|name| *name == text)
}

/// Overwrites `entries` with a property if that is there, which has a property of its own for
/// each; `None` if it is something else.
pub fn overwrite_entries<
    K: FromStr,
    V: Read,
    T: Tree,
    M: FromIterator<(K, V)> + IntoIterator<Item = (K, V)>,
>(
    entries: &mut M,
    tree: &T,
    name: &str,
) -> Option<()> {
    if let Some(property) = tree.property(name) {
        let entry = |(key, value): (String, T)| Some((key.parse().ok()?, V::read(&value)?));
        *entries = property.entries()?.into_iter().map(entry).collect::<Option<M>>()?;
    }
    Some(())
}

/// Gives an object the property that [`overwrite_entries`] reads.
pub fn put_entries<'a, K: Display + 'a, V: Write + 'a, T: Tree>(
    tree: &mut T,
    name: &str,
    entries: impl IntoIterator<Item = (&'a K, &'a V)>,
) {
    let mut object = T::object();
    for (key, value) in entries {
        put(&mut object, &key.to_string(), value);
    }
    tree.set(name, object);
}
