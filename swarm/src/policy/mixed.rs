//! The mixed configuration (thesis section 3.4.4): HTTP is one more peer. Chunks are
//! given out in turns, to each peer that holds them and to HTTP. A chunk's number is
//! its turn, so that a chunk that has to wait does not change its mind.

use super::{Choice, Order, Policy, View, basic};

/// See the module.
#[derive(Debug)]
pub struct Mixed {
    /// The share of HTTP in percent; `None` for that of a peer.
    pub http_percent: Option<u8>,
}

impl Policy for Mixed {
    fn head_bytes(&self, _: Option<u64>) -> u64 {
        0
    }

    fn order(&self) -> Order {
        Order::Nearest
    }

    fn choose(&self, view: &View<'_>) -> Choice {
        if view.ready.is_empty() || (view.peer_failed && !view.origin_ailing) {
            return basic::peers_else_origin(view);
        }
        let turn = view.chunk.0;
        let over_http = match self.http_percent {
            // Evenly spread: the turns at which the number of chunks for HTTP grows.
            Some(percent) => {
                let due = |turns: u64| turns * u64::from(percent) / 100;
                due(u64::from(turn) + 1) > due(u64::from(turn))
            }
            None => (turn as usize).is_multiple_of(view.ready.len() + 1),
        };
        if over_http && !view.origin_ailing {
            return Choice::Origin;
        }
        Choice::Peer(view.ready[turn as usize % view.ready.len()].link)
    }
}
