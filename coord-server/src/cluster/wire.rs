//! What nodes tell each other, as JSON: all nodes are of one site, but perhaps not of one
//! version, so what cannot be read is passed over.

use std::fmt;

use dcdn_protocol::PeerId;
use serde::{Deserialize, Serialize};

use crate::registry::{Envelope, RemoteMember};

/// Most bytes of what another node says at a time: 32 members with all the runs that count.
const MAX_BYTES: usize = 96 * 1024;

/// Most members that are read of one share.
const MAX_MEMBERS: usize = 32;

/// A server process: the first half of its peers' ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(pub [u8; 8]);

impl NodeId {
    /// The node that has a peer's socket.
    pub fn of(peer: PeerId) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = peer.0;
        Self([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// For one peer of another node, or about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Letter {
    /// A signal.
    Signal(Envelope),
    /// `peer` is not to be reached (any more); `to` had something for it.
    Unknown {
        /// Who is told.
        to: PeerId,
        /// Who is gone.
        peer: PeerId,
    },
}

impl Letter {
    /// Where it goes.
    pub fn node(&self) -> NodeId {
        match self {
            Self::Signal(envelope) => NodeId::of(envelope.to),
            Self::Unknown { to, .. } => NodeId::of(*to),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Ids and strings always have a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let readable = Some(bytes).filter(|bytes| bytes.len() <= MAX_BYTES)?;
        serde_json::from_slice(readable).ok()
    }
}

/// Some members of a swarm on one node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Share {
    /// Milliseconds since 1970 until which it counts: a node that has died says nothing more.
    until: u64,
    peers: Vec<RemoteMember>,
}

impl Share {
    /// `None` if there is nobody to show.
    pub fn to_bytes(until: u64, members: &[RemoteMember]) -> Option<Vec<u8>> {
        if members.is_empty() {
            return None;
        }
        serde_json::to_vec(&Self { until, peers: members.to_vec() }).ok()
    }

    /// The members of a share that still counts.
    pub fn members_of(bytes: &[u8], now: u64) -> Option<Vec<RemoteMember>> {
        let readable = Some(bytes).filter(|bytes| bytes.len() <= MAX_BYTES)?;
        let mut share: Self = serde_json::from_slice(readable).ok()?;
        share.peers.truncate(MAX_MEMBERS);
        Some(share.peers).filter(|_| share.until > now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use dcdn_protocol::message::coord::Signal;
    use dcdn_protocol::{ChunkSet, ContentId, GroupId};

    use super::*;

    fn member(number: u8) -> RemoteMember {
        let have = ChunkSet::full(number.into());
        RemoteMember { peer: PeerId([number; 16]), group: GroupId([number; 16]), have }
    }

    #[test]
    fn what_is_shared_is_read_until_it_is_too_old() {
        let members = [member(1), member(2)];
        let share = Share::to_bytes(1000, &members).unwrap();
        assert_eq!(Share::members_of(&share, 999), Some(members.to_vec()));
        assert_eq!(Share::members_of(&share, 1000), None);
        assert_eq!(Share::to_bytes(1000, &[]), None);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over_and_too_much_is_cut() {
        assert_eq!(Share::members_of(b"noise", 0), None);
        assert_eq!(Letter::from_bytes(b"{\"type\":\"song\"}"), None);
        assert_eq!(Letter::from_bytes(&vec![b' '; MAX_BYTES + 1]), None);
        let many: Vec<_> = (0..100).map(member).collect();
        let share = Share::to_bytes(1, &many).unwrap();
        assert_eq!(Share::members_of(&share, 0).unwrap().len(), MAX_MEMBERS);
    }

    #[test]
    fn a_letter_goes_to_the_node_of_its_receiver_and_comes_as_it_went() {
        let envelope = Envelope {
            from: PeerId([1; 16]),
            group: GroupId([2; 16]),
            content: ContentId([3; 32]),
            to: PeerId([4; 16]),
            signal: Signal::Offer { sdp: "v=0\r\n".to_owned() },
        };
        for letter in [
            Letter::Signal(envelope),
            Letter::Unknown { to: PeerId([4; 16]), peer: PeerId([1; 16]) },
        ] {
            assert_eq!(letter.node(), NodeId([4; 8]));
            assert_eq!(Letter::from_bytes(&letter.to_bytes()), Some(letter));
        }
    }
}
