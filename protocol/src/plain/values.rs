//! Numbers, flags, texts, ids, lists and tuples.

use super::{EXACT, Read, Tree, Write};
use crate::{ChunkIndex, ChunkSet, ContentId, GroupId, PeerId};

/// Integers: whole numbers that fit and are exact.
macro_rules! integers {
    ($($name:ty),*) => {
        $(impl Read for $name {
            fn read<T: Tree>(tree: &T) -> Option<Self> {
                Self::try_from(whole(tree)?).ok()
            }
        }

        impl Write for $name {
            #[allow(clippy::cast_precision_loss, clippy::cast_lossless, reason = "as `Tree` says")]
            fn write<T: Tree>(&self) -> T {
                T::of_number(*self as f64)
            }
        })*
    };
}

integers!(u8, u16, u32, u64);

#[inline(never)]
#[expect(clippy::cast_possible_truncation, reason = "it is whole, and small enough")]
fn whole<T: Tree>(tree: &T) -> Option<i64> {
    let number = tree.number()?;
    (number.trunc() == number && number.abs() <= EXACT).then_some(number as i64)
}

impl Read for f64 {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        tree.number()
    }
}

impl Write for f64 {
    fn write<T: Tree>(&self) -> T {
        T::of_number(*self)
    }
}

impl Read for bool {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        tree.flag()
    }
}

impl Write for bool {
    fn write<T: Tree>(&self) -> T {
        T::of_flag(*self)
    }
}

impl Read for String {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        tree.text()
    }
}

impl Write for String {
    fn write<T: Tree>(&self) -> T {
        T::of_text(self)
    }
}

impl Write for &str {
    fn write<T: Tree>(&self) -> T {
        T::of_text(self)
    }
}

impl<P: Read> Read for Option<P> {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        P::read(tree).map(Some)
    }
}

impl<P: Write> Write for Option<P> {
    fn write<T: Tree>(&self) -> T {
        self.as_ref().map_or_else(T::nothing, P::write)
    }
}

impl<P: Read> Read for Vec<P> {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        tree.items()?.iter().map(P::read).collect()
    }
}

impl<P: Write> Write for Vec<P> {
    fn write<T: Tree>(&self) -> T {
        T::of_items(self.iter().map(P::write).collect())
    }
}

impl<A: Read, B: Read> Read for (A, B) {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        match &tree.items()?[..] {
            [a, b] => Some((A::read(a)?, B::read(b)?)),
            _ => None,
        }
    }
}

impl<A: Write, B: Write> Write for (A, B) {
    fn write<T: Tree>(&self) -> T {
        T::of_items(vec![self.0.write(), self.1.write()])
    }
}

impl<A: Read, B: Read, C: Read> Read for (A, B, C) {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        match &tree.items()?[..] {
            [a, b, c] => Some((A::read(a)?, B::read(b)?, C::read(c)?)),
            _ => None,
        }
    }
}

impl<A: Write, B: Write, C: Write> Write for (A, B, C) {
    fn write<T: Tree>(&self) -> T {
        T::of_items(vec![self.0.write(), self.1.write(), self.2.write()])
    }
}

impl Read for ChunkIndex {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        u32::read(tree).map(Self)
    }
}

impl Write for ChunkIndex {
    fn write<T: Tree>(&self) -> T {
        self.0.write()
    }
}

impl Read for ChunkSet {
    fn read<T: Tree>(tree: &T) -> Option<Self> {
        Self::from_runs(Vec::read(tree)?).ok()
    }
}

impl Write for ChunkSet {
    fn write<T: Tree>(&self) -> T {
        T::of_items(self.runs().map(|run| (run.start, run.end).write()).collect())
    }
}

/// Ids: hexadecimal digits.
macro_rules! ids {
    ($($name:ty),*) => {
        $(impl Read for $name {
            fn read<T: Tree>(tree: &T) -> Option<Self> {
                tree.text()?.parse().ok()
            }
        }

        impl Write for $name {
            fn write<T: Tree>(&self) -> T {
                self.written(T::of_text)
            }
        })*
    };
}

ids!(PeerId, GroupId, ContentId);
