//! Why there are peers, or why there are none, in plain English.

use crate::manners::Restraint;
use crate::mesh::{Coordination, Counts};

/// What the answer depends on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The browser has `RTCPeerConnection`.
    pub peer_connections: bool,
    /// The page's policy leaves everything to the site's server.
    pub policy_is_http: bool,
    /// The visitor may have peers.
    pub consent: bool,
    /// Why nothing is uploaded, if nothing is.
    pub restraint: Option<Restraint>,
    /// The signalling socket.
    pub coordination: Coordination,
    /// Why the coordination server has closed the last socket, if it did: its own words.
    pub refused: Option<String>,
    /// Connections that are open now.
    pub open: u32,
    /// What has happened so far.
    pub counts: Counts,
}

/// Round trip, in milliseconds, above which a peer is called slow.
pub const SLOW_MS: u32 = 400;

/// The state of the signalling socket in one word.
pub fn coordination_word(coordination: Coordination) -> &'static str {
    match coordination {
        Coordination::Pending | Coordination::Greeting => "connecting",
        Coordination::Up(_) => "open",
        Coordination::Down => "closed",
    }
}

/// Full sentences, the most important one first. `slow` are open connections with a round
/// trip over [`SLOW_MS`].
pub fn sentences(facts: &Facts, slow: usize) -> Vec<String> {
    let mut sentences = vec![headline(facts)];
    let Counts { tried, failed, banned } = facts.counts;
    if failed > 0 {
        sentences.push(format!(
            "{} tried, {failed} unreachable: a firewall or a strict NAT on either side is the \
             usual reason, and no relay is used.",
            peers(tried)
        ));
    }
    if slow > 0 {
        let slow = u32::try_from(slow).unwrap_or(u32::MAX);
        sentences.push(format!("{} slow: more than {SLOW_MS} ms there and back.", peers(slow)));
    }
    if banned > 0 {
        sentences.push(format!("{} sent wrong bytes, and will not be asked again.", peers(banned)));
    }
    if let Some(restraint) = facts.restraint {
        sentences.push(restraint.sentence().to_owned());
    }
    sentences
}

fn peers(count: u32) -> String {
    format!("{count} peer{}", if count == 1 { "" } else { "s" })
}

fn headline(facts: &Facts) -> String {
    let Facts { open, counts, ref refused, .. } = *facts;
    if !facts.peer_connections {
        return "This browser has no WebRTC, so nothing comes from peers; the cache still works."
            .to_owned();
    }
    if !facts.consent {
        return "The visitor has not consented to connections with other visitors, so there are none."
            .to_owned();
    }
    if facts.policy_is_http {
        return "This page's policy is http, which does without peers.".to_owned();
    }
    if open > 0 {
        return format!("Connected to {}.", peers(open));
    }
    if let (Coordination::Down, Some(why)) = (facts.coordination, refused) {
        return format!(
            "The coordination server has refused this page ({why}), so no peers can be found; \
             it is tried again from time to time."
        );
    }
    match facts.coordination {
        Coordination::Pending | Coordination::Greeting => {
            "Still connecting to the coordination server."
        }
        Coordination::Down => {
            "The coordination server cannot be reached, so no peers can be found; it is tried \
             again from time to time."
        }
        Coordination::Up(_) if counts.tried == 0 => {
            "The coordination server is connected, and has named no other visitor with the same \
             content yet."
        }
        Coordination::Up(_) if counts.tried == counts.failed => {
            "The coordination server is connected, but no connection to a peer has opened yet."
        }
        Coordination::Up(_) => {
            "The coordination server is connected, but no peer is connected at the moment."
        }
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use dcdn_protocol::PeerId;

    use super::*;

    const FACTS: Facts = Facts {
        peer_connections: true,
        policy_is_http: false,
        consent: true,
        restraint: None,
        coordination: Coordination::Up(PeerId([1; 16])),
        refused: None,
        open: 0,
        counts: Counts { tried: 0, failed: 0, banned: 0 },
    };

    #[test]
    fn each_reason_for_having_no_peers_has_a_sentence_of_its_own() {
        let reasons = [
            FACTS,
            Facts { peer_connections: false, ..FACTS },
            Facts { policy_is_http: true, ..FACTS },
            Facts { consent: false, ..FACTS },
            Facts { coordination: Coordination::Pending, ..FACTS },
            Facts { coordination: Coordination::Down, ..FACTS },
            Facts {
                coordination: Coordination::Down,
                refused: Some("no token".to_owned()),
                ..FACTS
            },
            Facts { counts: Counts { tried: 2, failed: 2, banned: 0 }, ..FACTS },
            Facts { counts: Counts { tried: 2, failed: 1, banned: 0 }, ..FACTS },
            Facts { open: 1, ..FACTS },
        ];
        let headlines: std::collections::BTreeSet<String> = reasons.iter().map(headline).collect();
        assert_eq!(headlines.len(), reasons.len());
    }

    #[test]
    fn failures_bans_and_restraint_are_told_after_the_headline() {
        let counts = Counts { tried: 4, failed: 1, banned: 2 };
        let restraint = Some(Restraint::SavesData);
        let told = sentences(&Facts { open: 3, restraint, counts, ..FACTS }, 1);
        assert_eq!(told.len(), 5);
        assert_eq!(told[0], "Connected to 3 peers.");
        assert!(told[1].starts_with("4 peers tried, 1 unreachable"), "{told:?}");
        assert!(told[2].starts_with("1 peer slow"), "{told:?}");
        assert!(told[3].starts_with("2 peers sent wrong bytes"), "{told:?}");
    }

    #[test]
    fn one_peer_is_no_peers() {
        let counts = Counts { tried: 1, failed: 1, banned: 1 };
        let told = sentences(&Facts { open: 1, counts, ..FACTS }, 2);
        let begins = [
            "Connected to 1 peer.",
            "1 peer tried, 1 unreachable",
            "2 peers slow",
            "1 peer sent wrong bytes",
        ];
        assert!(told.iter().zip(begins).all(|(it, begin)| it.starts_with(begin)), "{told:?}");
    }
}
