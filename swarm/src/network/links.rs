//! What is known of each connection. There are a dozen, and one is looked for many times
//! in every decision: the numbers lie together, apart from what belongs to them.

use crate::Link;

/// A value for each of some connections.
#[derive(Debug, Default)]
pub(super) struct Links<T> {
    links: Vec<Link>,
    values: Vec<T>,
}

impl<T> Links<T> {
    /// What is known of `link`.
    pub fn get(&self, link: Link) -> Option<&T> {
        self.place(link).map(|place| &self.values[place])
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, link: Link) -> Option<&mut T> {
        self.place(link).map(|place| &mut self.values[place])
    }

    /// Forgets `link`.
    pub fn remove(&mut self, link: Link) -> Option<T> {
        let place = self.place(link)?;
        self.links.remove(place);
        Some(self.values.remove(place))
    }

    /// See [`crate::Download::memory`].
    pub fn memory(&self, visit: &mut impl FnMut(*const u8, usize)) {
        visit(self.links.as_ptr().cast(), size_of_val(self.links.as_slice()));
        visit(self.values.as_ptr().cast(), size_of_val(self.values.as_slice()));
    }

    fn place(&self, link: Link) -> Option<usize> {
        self.links.iter().position(|it| *it == link)
    }
}

impl<T: Default> Links<T> {
    /// What is known of `link`; nothing, if it is new.
    pub fn of(&mut self, link: Link) -> &mut T {
        let place = self.place(link).unwrap_or_else(|| {
            self.links.push(link);
            self.values.push(T::default());
            self.links.len() - 1
        });
        &mut self.values[place]
    }
}
