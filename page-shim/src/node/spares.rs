//! Connections that are made ready before it is known to whom: while the socket opens, their offers
//! are made and their addresses found. The offers go out with the first join, and the server gives
//! them to whom it names.

use dcdn_protocol::PeerId;
use dcdn_protocol::message::coord::{DEFAULT_WANT, Signal, ToCoord};

use super::Node;
use crate::browser;
use crate::mesh::Coordination;
use crate::peer::{Connection, ConnectionEvent};

/// A connection without a peer.
pub(super) struct Spare {
    pub attempt: u32,
    pub connection: Connection,
    /// What it has to say to its peer, the offer first.
    signals: Vec<Signal>,
    /// Whether the server has the offer.
    sent: bool,
    /// Whom the server has given it to.
    given_to: Option<PeerId>,
}

impl Node {
    /// Something is wanted. While the server is not there yet, connections are made ready, as many as
    /// there were peers to name the last time.
    pub(super) fn make_ready(&mut self) {
        if self.mesh.coordination() != Coordination::Pending
            || !self.links.is_empty()
            || !self.spares.is_empty()
        {
            return;
        }
        for _ in 0..browser::peers_of_late().min(DEFAULT_WANT) {
            let (attempt, emit) = self.next_attempt();
            let opened = Connection::call(&self.uplink.site.borrow().stun, emit);
            let Ok(connection) = opened else { return };
            let signals = Vec::new();
            self.spares.push(Spare { attempt, connection, signals, sent: false, given_to: None });
        }
    }

    /// Connections whose offers are ready.
    pub fn ready_count(&self) -> usize {
        self.spares.iter().filter(|it| !it.signals.is_empty()).count()
    }

    /// Something has happened to a connection that is no peer's yet.
    pub(super) fn on_spare(&mut self, attempt: u32, event: ConnectionEvent) {
        let Some(at) = self.spares.iter().position(|it| it.attempt == attempt) else { return };
        match event {
            ConnectionEvent::Signal(signal) => self.spares[at].signals.push(signal),
            // It has found no peer in time.
            ConnectionEvent::Closed => drop(self.spares.remove(at)),
            _ => {}
        }
    }

    /// A join is about to go out: with it the offers.
    pub(super) fn send_offers(&mut self) {
        let mut sdps = Vec::new();
        for spare in &mut self.spares {
            // With the addresses that have been found.
            if let Some(Signal::Offer { sdp }) = spare.signals.first()
                && !spare.sent
            {
                spare.sent = true;
                sdps.push(spare.connection.described().unwrap_or_else(|| sdp.clone()));
            }
        }
        if !sdps.is_empty() {
            self.outlet.coord(&ToCoord::Offers { sdps });
        }
    }

    /// The server has given the first of our offers to these.
    pub(super) fn on_offered(&mut self, to: Vec<PeerId>) {
        let sent = self.spares.iter_mut().filter(|it| it.sent && it.given_to.is_none());
        for (spare, peer) in sent.zip(to) {
            spare.given_to = Some(peer);
        }
    }

    /// A connection for `peer` that is ready, with what is still to be signalled.
    pub(super) fn take_spare(&mut self, peer: PeerId) -> Option<(Spare, Vec<Signal>)> {
        let is_for = |whom: Option<PeerId>| move |it: &Spare| it.given_to == whom;
        let own = self.spares.iter().position(is_for(Some(peer)));
        let at = own.or_else(|| self.spares.iter().position(is_for(None)))?;
        let mut spare = self.spares.remove(at);
        let mut signals = std::mem::take(&mut spare.signals);
        if own.is_some() {
            signals.remove(0);
        }
        Some((spare, signals))
    }

    /// The server has named `peers`, and the mesh has called whom it wanted.
    pub(super) fn note_named(&mut self, peers: u8) {
        self.spares.clear();
        browser::note_peers(peers);
    }
}
