//! The HTTP HEAD-start configuration (thesis section 3.4.3): the first bytes come
//! over HTTP at once, before metadata or socket, the rest as in [`super::basic`].
//!
//! Where the thesis sends a HEAD request for the length, one Range request brings
//! the length and the first bytes together. Chunks are requested nearest first,
//! because the reader is already consuming.

use super::{Choice, Order, Policy, View, basic};

/// Bytes of the head: one chunk of the usual size, a twelfth of the thesis's 3.2 MB
/// image. Where less than a chunk is left behind it, the head is all.
pub const HEAD_BYTES: u64 = 256 * 1024;

/// See the module.
#[derive(Debug)]
pub struct HeadStart;

impl Policy for HeadStart {
    fn head_bytes(&self, _: Option<u64>) -> u64 {
        HEAD_BYTES
    }

    fn order(&self) -> Order {
        Order::Nearest
    }

    fn choose(&self, view: &View<'_>) -> Choice {
        if view.in_head && view.ready.is_empty() {
            return Choice::Origin;
        }
        basic::peers_else_origin(view)
    }
}
