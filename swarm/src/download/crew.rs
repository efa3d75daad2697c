//! The peers of one content, as they stand for the length of one plan.

use dcdn_protocol::Layout;
use smallvec::SmallVec;

use super::narrow;
use crate::holders::Holders;
use crate::network::{Network, Standing};
use crate::slots::{Places, Slots};
use crate::{Link, Timestamp};

/// See the module. Members come in the order of [`Holders::iter`].
#[derive(Debug)]
pub(super) struct Crew(SmallVec<[Member; USUAL]>);

/// Peers for which there is room without asking for memory.
const USUAL: usize = 16;

#[derive(Debug)]
struct Member {
    link: Link,
    standing: Standing,
    /// Which of the slots it holds the chunks of.
    holds: Places,
}

impl Crew {
    /// Finds out who has room.
    pub fn muster(holders: &Holders, layout: Layout, now: Timestamp, network: &Network) -> Self {
        let of = |link| Member { link, standing: Standing::Busy, holds: Places::default() };
        let mut crew = Self(holders.links().map(of).collect());
        crew.stand(layout, now, network);
        crew
    }

    /// Looks again at who has room for a chunk of the usual size.
    pub fn stand(&mut self, layout: Layout, now: Timestamp, network: &Network) {
        let size = usual_size(layout);
        let full = network.line_is_full(size);
        for it in &mut self.0 {
            it.standing = network.standing(it.link, size, full, now);
        }
    }

    /// Finds out what of the slots those hold who have room.
    pub fn look_up_those_with_room(&mut self, holders: &Holders, slots: &Slots) {
        self.look_up(holders, slots, |it| it.standing == Standing::Ready);
    }

    /// The same of the others.
    pub fn look_up_the_others(&mut self, holders: &Holders, slots: &Slots) {
        self.look_up(holders, slots, |it| it.standing != Standing::Ready);
    }

    fn look_up(&mut self, holders: &Holders, slots: &Slots, those: impl Fn(&Member) -> bool) {
        for (member, (_, chunks)) in self.0.iter_mut().zip(holders.iter()) {
            if those(member) {
                member.holds = slots.places(chunks);
            }
        }
    }

    /// Whether anybody has room.
    pub fn has_room(&self) -> bool {
        self.0.iter().any(|it| it.standing == Standing::Ready)
    }

    /// What those hold who have room.
    pub fn in_reach(&self) -> Places {
        let mut places = Places::default();
        for it in self.0.iter().filter(|it| it.standing == Standing::Ready) {
            places.union(&it.holds);
        }
        places
    }

    /// Those that hold the chunk of the slot at `place`.
    pub fn holding(&self, place: usize) -> impl Iterator<Item = (Link, Standing)> {
        let holding = self.0.iter().filter(move |it| it.holds.contains(place));
        holding.map(|it| (it.link, it.standing))
    }

    /// Whether the `member`th holds the chunk of the slot at `place`.
    pub fn holds(&self, member: usize, place: usize) -> bool {
        self.0.get(member).is_some_and(|it| it.holds.contains(place))
    }
}

/// Bytes of a chunk, unless it is a short last one.
pub(super) fn usual_size(layout: Layout) -> u32 {
    narrow(layout.length()).min(layout.chunk_size())
}
