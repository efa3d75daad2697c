//! The HTTP pre-fetch configuration (thesis section 3.4.2): once the metadata is
//! there, the first fifth of the content comes over HTTP while connections are made,
//! and the rest as in [`super::basic`].

use super::{Choice, Order, Policy, View, basic};

/// Which part of the content comes over HTTP: one over this.
pub const PART: u64 = 5;

/// See the module.
#[derive(Debug)]
pub struct Prefetch;

impl Policy for Prefetch {
    fn head_bytes(&self, length: Option<u64>) -> u64 {
        length.map_or(0, |length| length.div_ceil(PART))
    }

    fn order(&self) -> Order {
        Order::Random
    }

    fn choose(&self, view: &View<'_>) -> Choice {
        if view.in_head && !view.origin_ailing {
            return Choice::Origin;
        }
        basic::peers_else_origin(view)
    }
}
