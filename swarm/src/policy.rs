//! The download configurations of thesis section 3.4, by the names it gives them.
//!
//! A policy is asked where a missing chunk should come from *now*; it holds no
//! state and does nothing itself. [`basic`] is the protocol as published;
//! [`head_start`] puts an HTTP request in front of it.

pub mod basic;
pub mod head_start;

use dcdn_protocol::{ChunkIndex, PolicyName};

use crate::{Link, Timestamp};

/// Where a chunk should come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The site's server.
    Origin,
    /// One of the peers that hold it and have room: the policy says which.
    Peer(Link),
    /// Nothing yet: ask again when something changes, at the latest then.
    Wait(Option<Timestamp>),
}

/// What a policy may look at.
#[derive(Debug)]
pub struct View<'a> {
    /// The chunk in question.
    pub chunk: ChunkIndex,
    /// Whether it lies in the head: within [`Policy::head_bytes`] of where the first
    /// reader started, or in a short tail behind that.
    pub in_head: bool,
    /// Whether some peer has failed to deliver it.
    pub peer_failed: bool,
    /// Whether the origin has failed and not delivered since.
    pub origin_ailing: bool,
    /// Usable peers that hold it, have not failed it and have room for one more request.
    pub ready: &'a [Link],
    /// Whether some usable peer holds it but has no room.
    pub busy: bool,
    /// Until when it is worth waiting for peers that may yet come; `None` if
    /// none will, or patience has run out.
    pub peers_until: Option<Timestamp>,
    /// A random number for this decision.
    pub dice: u32,
}

/// A download configuration.
pub trait Policy: std::fmt::Debug {
    /// Bytes asked of the origin the moment a first reader opens, before anything
    /// else is known. 0 to wait for the manifest.
    fn head_bytes(&self) -> u64;

    /// Whether chunks are requested in random order rather than nearest first.
    fn random_order(&self) -> bool;

    /// Where a missing chunk should come from now.
    fn choose(&self, view: &View<'_>) -> Choice;
}

/// The policy of that name. `http` never gets as far as a download; it is served
/// as `basic` without peers would be.
pub fn by_name(name: PolicyName) -> Box<dyn Policy> {
    match name {
        PolicyName::Basic | PolicyName::Http => Box::new(basic::Basic),
        _ => Box::new(head_start::HeadStart),
    }
}
