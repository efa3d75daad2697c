//! The basic configuration (thesis section 3.4.1): metadata first, then every
//! chunk from a random peer in random order; a chunk that a peer fails comes over
//! HTTP, and so does everything when there is no peer.

use super::{Choice, Order, Policy, View};

/// See the module.
#[derive(Debug)]
pub struct Basic;

impl Policy for Basic {
    fn head_bytes(&self, _: Option<u64>) -> u64 {
        0
    }

    fn order(&self) -> Order {
        Order::Random
    }

    fn choose(&self, view: &View<'_>) -> Choice {
        peers_else_origin(view)
    }
}

/// The rule that the thesis's configurations share: a random peer that holds the
/// chunk, HTTP after the first failure (`chunkFail`) or when nobody has it. Other
/// peers get a second chance when HTTP itself fails.
pub(super) fn peers_else_origin(view: &View<'_>) -> Choice {
    if view.peer_failed && !view.origin_ailing {
        return Choice::Origin;
    }
    if !view.ready.is_empty() {
        return Choice::Peer(view.ready[view.dice as usize % view.ready.len()].link);
    }
    if view.busy {
        return Choice::Wait(None);
    }
    match view.peers_until {
        Some(until) => Choice::Wait(Some(until)),
        None => Choice::Origin,
    }
}
