//! Counters of signalling by kind, found without looking anything up: each message counts.

use dcdn_protocol::message::coord::{ErrorCode, Signal, ToCoord};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::registry::Event;
use crate::signalling::End;

/// Messages from pages by `type`.
#[derive(Debug)]
pub struct Messages([Counter; KINDS.len()]);

/// Errors sent to pages by `code`.
#[derive(Debug)]
pub struct Refusals([Counter; CODES.len()]);

/// What a message was.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MessageLabels {
    r#type: &'static str,
}

/// Sockets that ended, by how.
#[derive(Debug)]
pub struct Ends([Counter; HOWS.len()]);

/// How a socket ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EndLabels {
    how: &'static str,
}

const HOWS: [&str; 9] =
    ["gone", "dead", "refused", "silent", "too_long", "stopping", "slow", "no_frames", "not_utf8"];

/// Why a message was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefusalLabels {
    code: &'static str,
}

const KINDS: [&str; 11] = [
    "hello",
    "join",
    "have",
    "leave",
    "offer",
    "answer",
    "candidate",
    "garbled",
    "beat",
    "report",
    "offers",
];

const CODES: [ErrorCode; 8] = [
    ErrorCode::BadMessage,
    ErrorCode::Version,
    ErrorCode::HelloFirst,
    ErrorCode::RateLimit,
    ErrorCode::AddressLimit,
    ErrorCode::Token,
    ErrorCode::TooManySwarms,
    ErrorCode::UnknownPeer,
];

impl Messages {
    pub(super) fn new(family: &Family<MessageLabels, Counter>) -> Self {
        Self(KINDS.map(|r#type| family.get_or_create_owned(&MessageLabels { r#type })))
    }

    /// The counter of such messages.
    pub fn of(&self, event: &Event) -> &Counter {
        let place = match event {
            Event::Received(ToCoord::Hello { .. }, _) => 0,
            Event::Received(ToCoord::Join { .. }, _) => 1,
            Event::Received(ToCoord::Have { .. }, _) => 2,
            Event::Received(ToCoord::Leave { .. }, _) => 3,
            Event::Received(ToCoord::Signal { signal, .. }, _) => match signal {
                Signal::Offer { .. } => 4,
                Signal::Answer { .. } => 5,
                Signal::Candidate { .. } => 6,
            },
            Event::Garbled(..) => 7,
            // Sockets that open, are refused and close are no messages and not counted here.
            Event::Beat(_) | Event::Refused(..) | Event::Connected(_) | Event::Disconnected => 8,
            Event::Received(ToCoord::Report { .. }, _) => 9,
            Event::Received(ToCoord::Offers { .. }, _) => 10,
        };
        &self.0[place]
    }
}

impl Ends {
    pub(super) fn new(family: &Family<EndLabels, Counter>) -> Self {
        Self(HOWS.map(|how| family.get_or_create_owned(&EndLabels { how })))
    }

    /// The counter of such ends.
    pub fn of(&self, end: End) -> &Counter {
        let place = match end {
            End::Gone => 0,
            End::Dead => 1,
            End::Refused(_) => 2,
            End::Silent => 3,
            End::TooLong => 4,
            End::Stopping { .. } => 5,
            End::Slow => 6,
            End::NoFrames => 7,
            End::NotUtf8 => 8,
        };
        &self.0[place]
    }
}

impl Refusals {
    pub(super) fn new(family: &Family<RefusalLabels, Counter>) -> Self {
        let counter =
            |code| family.get_or_create_owned(&RefusalLabels { code: name_of_code(code) });
        Self(CODES.map(counter))
    }

    /// The counter of such errors.
    pub fn of(&self, code: ErrorCode) -> &Counter {
        let place = match code {
            ErrorCode::BadMessage => 0,
            ErrorCode::Version => 1,
            ErrorCode::HelloFirst => 2,
            ErrorCode::RateLimit => 3,
            ErrorCode::AddressLimit => 4,
            ErrorCode::Token => 5,
            ErrorCode::TooManySwarms => 6,
            ErrorCode::UnknownPeer => 7,
        };
        &self.0[place]
    }
}

/// As on the wire.
pub fn name_of_code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::BadMessage => "bad_message",
        ErrorCode::Version => "version",
        ErrorCode::HelloFirst => "hello_first",
        ErrorCode::RateLimit => "rate_limit",
        ErrorCode::AddressLimit => "address_limit",
        ErrorCode::Token => "token",
        ErrorCode::TooManySwarms => "too_many_swarms",
        ErrorCode::UnknownPeer => "unknown_peer",
    }
}
