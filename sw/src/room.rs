//! What goes out of the store so that something new finds room: a decision, made from
//! sizes, recency and use alone.
//!
//! Contents go whole, those first that no URL refers to any more, then those that were
//! used longest ago; never one that is in use. Only a content that is longer than the
//! whole budget gives up parts of itself: it may have half of the budget, and keeps
//! what is near the place that is being read.

use std::ops::Range;

use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, Layout};

/// One content in the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shelf {
    /// Which.
    pub content: ContentId,
    /// Bytes that are there.
    pub bytes: u64,
    /// Bytes that are being written, and cannot go before they are there.
    pub being_written: u64,
    /// When it was last used, in milliseconds since the epoch.
    pub used_ms: f64,
    /// Whether a URL refers to it.
    pub referenced: bool,
    /// Whether it is being read or written.
    pub in_use: bool,
}

/// A chunk that is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of this content, which is one of the shelves or new.
    pub content: ContentId,
    /// Bytes of the chunk.
    pub bytes: u64,
    /// Bytes of the whole content.
    pub whole: u64,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Contents that go, in this order.
    pub out: Vec<ContentId>,
    /// Bytes that the wanted chunk's own content has to give up besides: see [`farthest`].
    pub own: u64,
    /// Whether the chunk may be stored after that.
    pub fits: bool,
}

/// Makes room for a chunk in a store of `budget` bytes; without one, or where there is
/// no room for it, still brings the store down to its budget as far as that is possible.
pub fn make_room(shelves: &[Shelf], wanted: Option<Wanted>, budget: u64) -> Plan {
    let used = shelves.iter().map(|shelf| shelf.bytes + shelf.being_written).sum::<u64>();
    if let Some(wanted) = wanted {
        let share = if wanted.whole <= budget { budget } else { budget / 2 };
        let own = shelves.iter().find(|shelf| shelf.content == wanted.content);
        let (held, coming) = own.map_or((0, 0), |shelf| (shelf.bytes, shelf.being_written));
        let given_up = (held + coming + wanted.bytes).saturating_sub(share);
        if given_up <= held {
            let excess = (used - given_up + wanted.bytes).saturating_sub(budget);
            let out = least_useful(shelves, Some(wanted.content), excess);
            if let Some(out) = out {
                return Plan { out, own: given_up, fits: true };
            }
        }
    }
    let content = wanted.map(|wanted| wanted.content);
    let excess = used.saturating_sub(budget);
    let out = least_useful(shelves, content, excess).unwrap_or_else(|| free(shelves, content));
    Plan { out, own: 0, fits: false }
}

/// As many contents as free `bytes`, the least useful first; `None` if all that may go
/// are not enough.
fn least_useful(
    shelves: &[Shelf],
    spared: Option<ContentId>,
    bytes: u64,
) -> Option<Vec<ContentId>> {
    let mut freed = 0;
    let mut out = Vec::new();
    for shelf in in_order(shelves, spared) {
        if freed >= bytes {
            break;
        }
        freed += shelf.bytes;
        out.push(shelf.content);
    }
    (freed >= bytes).then_some(out)
}

/// All that may go.
fn free(shelves: &[Shelf], spared: Option<ContentId>) -> Vec<ContentId> {
    in_order(shelves, spared).into_iter().map(|shelf| shelf.content).collect()
}

/// What may go and takes up room, in the order in which it goes.
fn in_order(shelves: &[Shelf], spared: Option<ContentId>) -> Vec<Shelf> {
    let may_go = |it: &&Shelf| {
        !it.in_use && it.bytes > 0 && spared.is_none_or(|spared| spared != it.content)
    };
    let mut candidates: Vec<Shelf> = shelves.iter().filter(may_go).copied().collect();
    candidates.sort_by(|a, b| {
        let recency = a.used_ms.total_cmp(&b.used_ms);
        a.referenced.cmp(&b.referenced).then(recency).then(a.content.cmp(&b.content))
    });
    candidates
}

/// Chunks among `held` that lie farthest from `near` and have `bytes` together, or a
/// little more; all if they have less.
pub fn farthest(held: &ChunkSet, layout: Layout, near: ChunkIndex, bytes: u64) -> ChunkSet {
    let mut runs: Vec<Range<u32>> = held.runs().collect();
    let (mut out, mut freed) = (ChunkSet::new(), 0);
    while freed < bytes {
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else { break };
        let (low, high) = (first.start, last.end - 1);
        let chunk = if near.0.abs_diff(low) >= near.0.abs_diff(high) { low } else { high };
        if chunk == low {
            runs[0].start += 1;
        } else if let Some(last) = runs.last_mut() {
            last.end -= 1;
        }
        runs.retain(|run| !run.is_empty());
        freed += u64::from(layout.size_of(ChunkIndex(chunk)));
        out.insert(ChunkIndex(chunk));
    }
    out
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
