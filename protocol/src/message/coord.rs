//! Page <-> coordination server: binary WebSocket messages, one frame each, no body.

use serde::{Deserialize, Serialize};

use super::flat::flat;
use crate::stats::Totals;
use crate::{ChunkSet, ContentId, GroupId, PeerId, names, record};

/// Most bytes of one message in either direction.
pub const MAX_MESSAGE: usize = 32 * 1024;

/// Most bytes of a session description (Chromium's with one data channel is below 1 KiB).
pub const MAX_SDP: usize = 16 * 1024;

/// Most bytes of a join token.
pub const MAX_TOKEN: usize = 4096;

/// Most bytes of an ICE candidate line.
pub const MAX_CANDIDATE: usize = 1024;

/// Peers recommended for one join: the thesis's number (section 3.1).
pub const DEFAULT_WANT: u8 = 5;

/// The same with the policy `adaptive`, which asks as many peers in parallel.
pub const ADAPTIVE_WANT: u8 = 8;

/// Most runs of chunks in what is said of one member's holding. Of more only the
/// first count: whoever reads a content from its start holds those longest, and
/// what is left out is only learnt later, from the peer itself.
pub const MAX_HELD_RUNS: usize = 64;

/// Least milliseconds between two [`ToCoord::Have`] of one content.
pub const HAVE_INTERVAL_MS: u32 = 5_000;

/// Least milliseconds between two [`ToCoord::Report`], as servers ask for it.
pub const REPORT_INTERVAL_MS: u32 = 30_000;

/// From a page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ToCoordRecord")]
pub enum ToCoord {
    /// First message. Anything else before it is an error.
    Hello {
        /// [`crate::VERSION`].
        version: u16,
        /// The browser profile that the page runs in.
        group: GroupId,
        /// The join token, where the site asks for one: a JWT of at most [`MAX_TOKEN`]
        /// bytes. Not written if there is none.
        token: Option<String>,
    },
    /// Offers that are ready, for those whom the next join names first: they have one a round trip
    /// sooner than a [`ToCoord::Signal`] could bring it. Only from a page without connections: to a
    /// peer that has one already, an offer says that it is lost. Not answered.
    Offers {
        /// One for each, at most 10, and each at most [`MAX_SDP`] bytes.
        sdps: Vec<String>,
    },
    /// Enter the swarm of a content. May be repeated to ask for more peers.
    Join {
        /// The swarm.
        content: ContentId,
        /// Peers wanted; 0 for a seed that only wants to be found.
        want: u8,
        /// What the sender uploads of the content; replaces what it said before. At
        /// most [`MAX_HELD_RUNS`] runs count. Not written if there are none.
        have: ChunkSet,
    },
    /// The sender holds more of a content than it said when it joined. Not answered,
    /// and ignored from whoever is not in the swarm. At most every
    /// [`HAVE_INTERVAL_MS`] for one content.
    Have {
        /// The swarm.
        content: ContentId,
        /// As in [`ToCoord::Join`].
        have: ChunkSet,
    },
    /// Leave the swarm of a content.
    Leave {
        /// The swarm.
        content: ContentId,
    },
    /// Pass `signal` to `to`, who must share a swarm with the sender.
    Signal {
        /// The receiver.
        to: PeerId,
        /// What to pass.
        signal: Signal,
    },
    /// What the page was served, and from where, since it last said so. Only to a server that
    /// has asked for it, as often as that says at the most, and once more when the page goes.
    /// Not answered.
    Report {
        /// Bytes since the last report; those of a socket that broke come with the next.
        bytes: Totals,
    },
}

/// To a page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "FromCoordRecord")]
pub enum FromCoord {
    /// Answer to [`ToCoord::Hello`].
    Welcome {
        /// [`crate::VERSION`].
        version: u16,
        /// The id that the page has on this socket.
        peer: PeerId,
        /// Least milliseconds between two [`ToCoord::Report`]; none are wanted if it is not
        /// there, as of a server that does not know them.
        report_every_ms: Option<u32>,
    },
    /// Answer to [`ToCoord::Join`]: members of the swarm, never of the same group.
    Peers {
        /// The swarm.
        content: ContentId,
        /// At most as many as wanted; empty if there is nobody.
        peers: Vec<Recommended>,
    },
    /// Said just before [`FromCoord::Peers`] of these, who have been given the first of the page's
    /// [`ToCoord::Offers`], each one in this order. None is said of nobody.
    Offered {
        /// The receivers.
        to: Vec<PeerId>,
    },
    /// A signal from another peer.
    Signal {
        /// The sender.
        from: PeerId,
        /// What it sent.
        signal: Signal,
    },
    /// The server stops, and closes the socket. Whoever comes back does so at a moment
    /// chosen at random, so that the server that takes over is not asked by all at once.
    Goodbye {
        /// Milliseconds over which those moments are spread.
        within_ms: u32,
    },
    /// Something that the page sent was refused. The socket stays open unless
    /// the code says otherwise.
    Error {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: String,
        /// The peer that a refused signal was for.
        peer: Option<PeerId>,
    },
}

/// A member of a swarm, as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommended {
    /// Who.
    pub peer: PeerId,
    /// What it has last said that it holds: at most [`MAX_HELD_RUNS`] runs, and it may
    /// hold more or less by now. A request to it needs no [`have`] before.
    ///
    /// [`have`]: super::peer::PeerMessage::Have
    #[serde(default, skip_serializing_if = "ChunkSet::is_empty")]
    pub expected: ChunkSet,
}

record!(Recommended { peer, expected or_default });

impl From<PeerId> for Recommended {
    /// Somebody of whom nothing is expected.
    fn from(peer: PeerId) -> Self {
        Self { peer, expected: ChunkSet::new() }
    }
}

/// What two peers tell each other to connect (RFC 8829, RFC 8838). The peer that
/// makes the offer is whoever wants something; when both offer at once, the
/// offer of the smaller [`PeerId`] stands and the other side drops its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "SignalRecord")]
pub enum Signal {
    /// A session description that opens a connection.
    Offer {
        /// At most [`MAX_SDP`] bytes.
        sdp: String,
    },
    /// The answer to an offer. An empty description declines it: the peer has as
    /// many connections as it wants, and the caller need not wait for a timeout.
    Answer {
        /// At most [`MAX_SDP`] bytes.
        sdp: String,
    },
    /// A trickled ICE candidate. An empty line ends the candidates.
    Candidate {
        /// `candidate:…`, at most [`MAX_CANDIDATE`] bytes.
        candidate: String,
        /// Media section by name.
        sdp_mid: Option<String>,
        /// Media section by position.
        sdp_m_line_index: Option<u16>,
    },
}

/// Why the coordination server refused something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not a message of this protocol.
    BadMessage,
    /// A version that the server does not speak; the socket closes.
    Version,
    /// A message before `hello`; the socket closes.
    HelloFirst,
    /// Too many messages or bytes; the socket closes.
    RateLimit,
    /// Too much from the network address, over all of its sockets; this one closes.
    AddressLimit,
    /// The site asks for a join token, and there was none, or not a good one; the socket
    /// closes.
    Token,
    /// Too many swarms on one socket.
    TooManySwarms,
    /// No such peer in a swarm that the sender is in.
    UnknownPeer,
}

names!(ErrorCode {
    BadMessage = "bad_message",
    Version = "version",
    HelloFirst = "hello_first",
    RateLimit = "rate_limit",
    AddressLimit = "address_limit",
    Token = "token",
    TooManySwarms = "too_many_swarms",
    UnknownPeer = "unknown_peer",
});

flat! {
    ToCoord("type") from ToCoordRecord, ToCoordKind {
        version: u16,
        group: GroupId,
        token: String,
        content: ContentId,
        want: u8,
        have: ChunkSet,
        to: PeerId,
        signal: Signal,
        bytes: Totals,
        sdps: Vec<String>,
    } {
        Hello = "hello" { version, group, token or_none },
        Offers = "offers" { sdps },
        Join = "join" { content, want, have or_default },
        Have = "have" { content, have },
        Leave = "leave" { content },
        Signal = "signal" { to, signal },
        Report = "report" { bytes },
    }
}

flat! {
    FromCoord("type") from FromCoordRecord, FromCoordKind {
        version: u16,
        content: ContentId,
        peers: Vec<Recommended>,
        from: PeerId,
        signal: Signal,
        within_ms("withinMs"): u32,
        report_every_ms("reportEveryMs"): u32,
        code: ErrorCode,
        message: String,
        peer: PeerId,
        to: Vec<PeerId>,
    } {
        Welcome = "welcome" { version, peer, report_every_ms or_none },
        Offered = "offered" { to },
        Peers = "peers" { content, peers },
        Signal = "signal" { from, signal },
        Goodbye = "goodbye" { within_ms },
        Error = "error" { code, message, peer or_none },
    }
}

flat! {
    Signal("kind") from SignalRecord, SignalKind {
        sdp: String,
        candidate: String,
        sdp_mid("sdpMid"): String,
        sdp_m_line_index("sdpMLineIndex"): u16,
    } {
        Offer = "offer" { sdp },
        Answer = "answer" { sdp },
        Candidate = "candidate" { candidate, sdp_mid or_none, sdp_m_line_index or_none },
    }
}
