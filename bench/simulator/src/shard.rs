//! A part of the entities, and what is going to happen to them.
//!
//! Entities share nothing: they hear of each other by events that take at least
//! [`LOOKAHEAD_MS`]. So parts may be simulated side by side for that long.

use crate::ahead;
use crate::coord::Coord;
use crate::event::{COORD, EntityId, Event, FIRST_VIEWER, ORIGIN, What};
use crate::network::LOOKAHEAD_MS;
use crate::num::index;
use crate::origin::Origin;
use crate::outcome::{Outcome, Totals};
use crate::queue::Queue;
use crate::run::Mode;
use crate::viewer::Viewer;
use crate::world::World;

/// How many events ahead the steps of reading ahead are made: to find out where to look
/// takes having read what the step before asked for.
const READ_AHEAD: [usize; 5] = [16, 13, 10, 7, 4];

/// What an entity may look at and do.
pub struct Ctx<'a> {
    /// What is given.
    pub world: &'a World,
    /// What the viewers do.
    pub mode: &'a Mode,
    /// In milliseconds.
    pub now: u64,
    /// Sums of this part.
    pub totals: &'a mut Totals,
    mail: &'a mut Mail,
}

/// What is going to happen here, and what goes to other parts.
#[derive(Debug)]
struct Mail {
    part: Part,
    queue: Queue,
    outboxes: Vec<Vec<(u64, Event)>>,
    /// Earliest event in the outboxes.
    earliest: u64,
}

/// Which entities a shard has.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// Every `of`th, beginning with `index`.
    Every {
        /// Of this shard.
        index: usize,
        /// Shards in all.
        of: usize,
    },
    /// Viewers `first..end`, and servers of their own.
    Alone {
        /// The first viewer.
        first: u32,
        /// One past the last.
        end: u32,
    },
}

impl Part {
    fn shard_of(self, entity: EntityId) -> usize {
        match self {
            Self::Every { of, .. } => entity.0 as usize % of,
            Self::Alone { .. } => 0,
        }
    }

    fn has(self, entity: EntityId) -> bool {
        match self {
            Self::Every { index, .. } => self.shard_of(entity) == index,
            Self::Alone { first, end } => {
                entity.0 < FIRST_VIEWER || (first..end).contains(&entity.0)
            }
        }
    }

    fn place(self, viewer: EntityId) -> usize {
        match self {
            Self::Every { of, .. } => viewer.0 as usize / of,
            Self::Alone { first, .. } => (viewer.0 - first) as usize,
        }
    }

    fn first_viewer(self) -> u32 {
        match self {
            Self::Every { index, of } => {
                let index = crate::num::count(index);
                if index >= FIRST_VIEWER { index } else { self.step_from(index, of) }
            }
            Self::Alone { first, .. } => first,
        }
    }

    fn step_from(self, index: u32, of: usize) -> u32 {
        let of = crate::num::count(of);
        (0..).map(|n| index + n * of).find(|id| *id >= FIRST_VIEWER).unwrap_or(index)
    }

    fn step(self) -> u32 {
        match self {
            Self::Every { of, .. } => crate::num::count(of),
            Self::Alone { .. } => 1,
        }
    }
}

impl Ctx<'_> {
    /// Lets `what` happen to another entity in `delay` milliseconds.
    pub fn send(&mut self, seq: &mut u32, from: EntityId, to: EntityId, delay: u64, what: What) {
        *seq = seq.wrapping_add(1);
        let at = self.now + delay.max(LOOKAHEAD_MS);
        let event = Event { to, from, seq: *seq, what };
        if self.mail.part.has(to) {
            self.mail.queue.push(at, event);
            return;
        }
        self.mail.earliest = self.mail.earliest.min(at);
        self.mail.outboxes[self.mail.part.shard_of(to)].push((at, event));
    }

    /// Lets `what` happen to the entity itself at `at`, at the earliest in the next
    /// millisecond.
    pub fn timer(&mut self, seq: &mut u32, of: EntityId, at: u64, what: What) {
        *seq = seq.wrapping_add(1);
        let at = at.max(self.now + 1);
        self.mail.queue.push(at, Event { to: of, from: of, seq: *seq, what });
    }
}

/// See the module.
pub struct Shard<'a> {
    world: &'a World,
    mode: &'a Mode,
    mail: Mail,
    origin: Option<Origin>,
    coord: Option<Coord>,
    viewers: Vec<Option<Box<Viewer>>>,
    outcomes: Vec<(EntityId, Outcome)>,
    totals: Totals,
    next_arrival: u32,
    present: usize,
}

impl<'a> Shard<'a> {
    /// A part of the world at the start of time.
    pub fn new(world: &'a World, mode: &'a Mode, part: Part) -> Self {
        let shards = match part {
            Part::Every { of, .. } => of,
            Part::Alone { .. } => 1,
        };
        let mail = Mail {
            part,
            queue: Queue::new(),
            outboxes: (0..shards).map(|_| Vec::new()).collect(),
            earliest: u64::MAX,
        };
        let mut shard = Self {
            world,
            mode,
            mail,
            origin: None,
            coord: None,
            viewers: Vec::new(),
            outcomes: Vec::new(),
            totals: Totals::default(),
            next_arrival: part.first_viewer(),
            present: 0,
        };
        if part.has(ORIGIN) {
            shard.origin = Some(Origin::new(&mut shard.ctx(0)));
        }
        if part.has(COORD) {
            shard.coord = Some(Coord::new(world.seed, world.net.coord.recommendation));
        }
        shard
    }

    /// When something happens next; what has been sent to other parts counts.
    pub fn next_at(&self) -> u64 {
        let arrival = self.arriving().map(|viewer| self.world.visit(viewer).arrive);
        let own = self.mail.queue.next_at().into_iter().chain(arrival).min();
        own.unwrap_or(u64::MAX).min(self.mail.earliest)
    }

    /// Lets everything before `until` happen.
    pub fn run(&mut self, until: u64) {
        loop {
            let arrival = self.arriving().map(|viewer| self.world.visit(viewer).arrive);
            let next = self.mail.queue.next_at().into_iter().chain(arrival).min();
            let Some(now) = next.filter(|at| *at < until) else { return };
            while let Some(viewer) = self.arriving()
                && self.world.visit(viewer).arrive <= now
            {
                self.arrive(viewer, now);
            }
            if self.mail.queue.next_at() != Some(now) {
                continue;
            }
            let mut events = self.mail.queue.take(now);
            self.totals.events += events.len() as u64;
            // The next is the last, and those behind it are read ahead for.
            events.reverse();
            self.begin_reading_ahead(&events);
            while let Some(event) = events.pop() {
                self.read_ahead(&events);
                self.handle(event, now);
            }
            self.mail.queue.recycle(events);
        }
    }

    /// What goes to another part; the caller passes it on.
    pub fn outbox(&mut self, shard: usize) -> Vec<(u64, Event)> {
        self.mail.earliest = u64::MAX;
        std::mem::take(&mut self.mail.outboxes[shard])
    }

    /// What comes from another part.
    pub fn deliver(&mut self, events: impl IntoIterator<Item = (u64, Event)>) {
        for (at, event) in events {
            self.mail.queue.push(at, event);
        }
    }

    /// Viewers that are there.
    pub fn present(&self) -> usize {
        self.present
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.totals.events
    }

    /// The end: what became of everybody, in the order of their numbers.
    pub fn finish(mut self, now: u64) -> (Vec<(EntityId, Outcome)>, Totals) {
        let mut viewers = std::mem::take(&mut self.viewers);
        for viewer in viewers.iter_mut().filter_map(Option::take) {
            let mut ctx = self.ctx(now);
            let (id, outcome) = viewer.finish(&mut ctx);
            self.outcomes.push((id, outcome));
        }
        self.outcomes.sort_unstable_by_key(|(id, _)| *id);
        (self.outcomes, self.totals)
    }

    fn arriving(&self) -> Option<EntityId> {
        let end = match self.mail.part {
            Part::Alone { end, .. } => end,
            Part::Every { .. } => FIRST_VIEWER + crate::num::count(self.world.visits.len()),
        };
        (self.next_arrival < end).then_some(EntityId(self.next_arrival))
    }

    fn arrive(&mut self, id: EntityId, now: u64) {
        self.next_arrival += self.mail.part.step();
        let place = self.mail.part.place(id);
        let mut viewer = Box::new(Viewer::new(id, self.world));
        viewer.arrive(&mut self.ctx(now));
        if self.viewers.len() <= place {
            self.viewers.resize_with(place + 1, || None);
        }
        self.viewers[place] = Some(viewer);
        self.present += 1;
    }

    fn handle(&mut self, event: Event, now: u64) {
        let Self { world, mode, mail, totals, .. } = self;
        let ctx = &mut Ctx { world, mode, now, totals, mail };
        match event.to {
            ORIGIN => {
                if let Some(origin) = &mut self.origin {
                    origin.handle(event, ctx);
                }
            }
            COORD => {
                if let Some(coord) = &mut self.coord {
                    coord.handle(event, ctx);
                }
            }
            viewer => {
                let place = ctx.mail.part.place(viewer);
                let Some(slot) = self.viewers.get_mut(place) else { return };
                // Gone: nobody hears this.
                let Some(there) = slot else { return };
                if there.handle(event, ctx) {
                    return;
                }
                if let Some(gone) = slot.take() {
                    self.outcomes.push(gone.finish(ctx));
                    self.present -= 1;
                }
            }
        }
    }

    fn ctx(&mut self, now: u64) -> Ctx<'_> {
        let Self { world, mode, mail, totals, .. } = self;
        Ctx { world, mode, now, totals, mail }
    }

    /// One more of the `events`, of which the last is next, comes near: reads ahead for
    /// each of those that are near what it will look at, as far as that can be told by now.
    fn read_ahead(&self, events: &[Event]) {
        for (step, distance) in (0..).zip(READ_AHEAD) {
            // What happens to one after another is read once.
            if let Some(place) = events.len().checked_sub(distance)
                && events.get(place + 1).is_none_or(|before| before.to != events[place].to)
            {
                self.read_ahead_for(&events[place], step);
            }
        }
    }

    /// The same for the first events, of which none has come near yet.
    fn begin_reading_ahead(&self, events: &[Event]) {
        for (step, distance) in (0..).zip(READ_AHEAD) {
            for event in events.iter().rev().take(distance - 1) {
                self.read_ahead_for(event, step);
            }
        }
    }

    fn read_ahead_for(&self, event: &Event, step: u8) {
        if event.to.0 < FIRST_VIEWER {
            return;
        }
        let Some(slot) = self.viewers.get(self.mail.part.place(event.to)) else { return };
        match (step, slot) {
            (0, slot) => ahead::value(slot),
            (1, Some(viewer)) => ahead::value(&**viewer),
            (_, Some(viewer)) => viewer.read_ahead(&event.what, step),
            (_, None) => {}
        }
    }
}

/// Milliseconds as a place in a series of seconds.
pub fn second(ms: u64) -> usize {
    index(ms / 1000)
}
