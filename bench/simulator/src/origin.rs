//! The site's server: answers ranges, shares its capacity fairly, can be down.
//!
//! A request is sent in units: ten segments first, so that the first byte comes
//! when it would, then up to the end of each chunk. A unit leaves when the shared
//! capacity has carried it ([`sharing`]) and the connection's own rate, slow start
//! included, allows. A connection slower than its share does not use the rest of it.

mod sharing;

use std::collections::HashMap;

use crate::event::{ContentNo, EntityId, Event, Fetch, ORIGIN, Slot, What};
use crate::network::{INITIAL_WINDOW, ramp_us};
use crate::num::narrow;
use crate::shard::Ctx;
use sharing::Sharing;

/// The site's server.
#[derive(Debug)]
pub struct Origin {
    requests: Vec<Request>,
    free: Vec<u32>,
    places: HashMap<Key, u32>,
    sharing: Option<Sharing>,
    /// When [`What::OriginWork`] is due.
    work_at: Option<u64>,
    seq: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    viewer: EntityId,
    slot: Slot,
    request: u32,
}

#[derive(Debug)]
struct Request {
    key: Key,
    content: ContentNo,
    start: u64,
    length: u64,
    sent: u64,
    /// Bytes of the unit under way; 0 between units.
    unit: u64,
    /// When the connection's own rate counts from, in microseconds.
    began_us: u64,
    rate: u32,
    delay: u32,
    fresh: bool,
    cancelled: bool,
    generation: u32,
}

impl Origin {
    /// Nobody asks yet.
    pub fn new(ctx: &mut Ctx<'_>) -> Self {
        let model = &ctx.world.net.origin;
        let mut origin = Self {
            requests: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            sharing: model.mbit.map(Sharing::new),
            work_at: None,
            seq: 0,
        };
        if let Some((from, _)) = model.down {
            ctx.timer(&mut origin.seq, ORIGIN, from, What::OriginDown);
        }
        origin
    }

    /// Something happens.
    pub fn handle(&mut self, event: Event, ctx: &mut Ctx<'_>) {
        match event.what {
            What::Fetch(fetch) => self.fetch(event.from, &fetch, ctx),
            What::CancelFetch { slot, request } => {
                let key = Key { viewer: event.from, slot, request };
                if let Some(place) = self.places.get(&key) {
                    self.requests[*place as usize].cancelled = true;
                }
            }
            What::OriginWork => {
                if self.work_at == Some(ctx.now) {
                    self.work_at = None;
                }
            }
            What::OriginNext { place, generation } => {
                if self.requests[place as usize].generation == generation {
                    self.begin_unit(place, ctx);
                }
            }
            What::OriginDown => self.fail_all(ctx),
            other => debug_assert!(false, "not for the origin: {other:?}"),
        }
        self.work(ctx);
    }

    fn fetch(&mut self, viewer: EntityId, fetch: &Fetch, ctx: &mut Ctx<'_>) {
        let model = &ctx.world.net.origin;
        ctx.totals.origin_requests += 1;
        let key = Key { viewer, slot: fetch.slot, request: fetch.request };
        if model.down.is_some_and(|(from, to)| (from..to).contains(&ctx.now)) {
            self.answer_failed(key, fetch.delay, ctx);
            return;
        }
        let length = ctx.world.content(fetch.content).layout.length();
        let (start, end) =
            if model.ranges { (fetch.start, fetch.end.min(length)) } else { (0, length) };
        let request = Request {
            key,
            content: fetch.content,
            start,
            length: end.saturating_sub(start),
            sent: 0,
            unit: 0,
            began_us: (ctx.now + u64::from(model.think_ms)) * 1000,
            rate: fetch.rate.min(model.connection_mbit.saturating_mul(125)).max(1),
            delay: fetch.delay,
            fresh: fetch.fresh,
            cancelled: false,
            generation: 0,
        };
        let think = ctx.now + u64::from(model.think_ms.max(1));
        let place = self.put(request);
        let generation = self.requests[place as usize].generation;
        ctx.timer(&mut self.seq, ORIGIN, think, What::OriginNext { place, generation });
    }

    fn begin_unit(&mut self, place: u32, ctx: &mut Ctx<'_>) {
        let request = &mut self.requests[place as usize];
        if request.cancelled || request.sent >= request.length {
            self.remove(place);
            return;
        }
        let chunk = u64::from(ctx.world.content(request.content).layout.chunk_size());
        let left = request.length - request.sent;
        let to_boundary = chunk - (request.start + request.sent) % chunk;
        let most = if request.sent == 0 { INITIAL_WINDOW } else { to_boundary };
        request.unit = left.min(to_boundary).min(most);
        match &mut self.sharing {
            Some(sharing) => sharing.begin(place, request.unit, ctx.now),
            None => self.end_unit(place, ctx),
        }
    }

    /// The capacity has carried a unit; the connection may need longer.
    fn end_unit(&mut self, place: u32, ctx: &mut Ctx<'_>) {
        let request = &mut self.requests[place as usize];
        ctx.totals.origin_sent(ctx.now, request.unit);
        request.sent += std::mem::take(&mut request.unit);
        let own = if request.fresh {
            ramp_us(request.sent, 2 * request.delay, request.rate)
        } else {
            request.sent * 1000 / u64::from(request.rate)
        };
        let now_us = ctx.now * 1000;
        // What the capacity has held up is not made up for in a burst.
        request.began_us = request.began_us.max(now_us.saturating_sub(own));
        let done = (request.began_us + own).div_ceil(1000).max(ctx.now);
        let last = request.sent >= request.length;
        let (key, upto) = (request.key, narrow(request.sent));
        let bytes = What::OriginBytes { slot: key.slot, request: key.request, upto };
        let delay = done - ctx.now + u64::from(request.delay);
        let generation = request.generation;
        ctx.send(&mut self.seq, ORIGIN, key.viewer, delay, bytes);
        if last {
            self.remove(place);
        } else if done <= ctx.now && self.sharing.is_some() {
            self.begin_unit(place, ctx);
        } else {
            let next = What::OriginNext { place, generation };
            ctx.timer(&mut self.seq, ORIGIN, done.max(ctx.now + 1), next);
        }
    }

    /// Ends the units that the shared capacity has carried by now, and comes back
    /// when the next is due.
    fn work(&mut self, ctx: &mut Ctx<'_>) {
        loop {
            let Some(sharing) = &mut self.sharing else { return };
            let Some(place) = sharing.carried(ctx.now) else { break };
            self.end_unit(place, ctx);
        }
        let Some(next) = self.sharing.as_ref().and_then(|it| it.next_at(ctx.now)) else { return };
        if self.work_at.is_none_or(|at| next < at) {
            self.work_at = Some(next);
            ctx.timer(&mut self.seq, ORIGIN, next, What::OriginWork);
        }
    }

    fn fail_all(&mut self, ctx: &mut Ctx<'_>) {
        if let Some(sharing) = &mut self.sharing {
            sharing.clear(ctx.now);
        }
        let mut keys: Vec<(Key, u32)> =
            self.places.iter().map(|(key, place)| (*key, *place)).collect();
        keys.sort_unstable_by_key(|(key, _)| (key.viewer, key.slot, key.request));
        for (key, place) in keys {
            let delay = self.requests[place as usize].delay;
            self.answer_failed(key, delay, ctx);
            self.remove(place);
        }
    }

    fn answer_failed(&mut self, key: Key, delay: u32, ctx: &mut Ctx<'_>) {
        let what = What::OriginFailed { slot: key.slot, request: key.request };
        ctx.send(&mut self.seq, ORIGIN, key.viewer, delay.into(), what);
    }

    fn put(&mut self, request: Request) -> u32 {
        let key = request.key;
        let place = match self.free.pop() {
            Some(place) => {
                let slot = &mut self.requests[place as usize];
                let generation = slot.generation;
                *slot = Request { generation, ..request };
                place
            }
            None => {
                self.requests.push(request);
                crate::num::count(self.requests.len() - 1)
            }
        };
        self.places.insert(key, place);
        place
    }

    fn remove(&mut self, place: u32) {
        let request = &mut self.requests[place as usize];
        request.generation += 1;
        self.places.remove(&request.key);
        self.free.push(place);
    }
}
