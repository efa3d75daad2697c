//! The registry against a model that a reader can check by eye.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Instant;

use coord_server::limit::Rate;
use coord_server::registry::{Effect, Event, Limits, MAX_WANT, Place, Recommendation, Registry};
use dcdn_protocol::message::coord::{
    ErrorCode, FromCoord, MAX_HELD_RUNS, REPORT_INTERVAL_MS, Signal, ToCoord,
};
use dcdn_protocol::{ChunkIndex, ChunkSet, ContentId, GroupId, PeerId, VERSION};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rand::SeedableRng;
use rand::rngs::StdRng;

const SWARMS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Hello { group: u8 },
    Join { content: u8, want: u8, runs: u32 },
    Have { content: u8, runs: u32 },
    Leave { content: u8 },
    Signal { to: u8 },
    Garble,
    Disconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Connect),
        4 => (0..5u8).prop_map(|group| Step::Hello { group }),
        9 => (0..5u8, 0..20u8, 0..100u32)
            .prop_map(|(content, want, runs)| Step::Join { content, want, runs }),
        3 => (0..5u8, 0..100u32).prop_map(|(content, runs)| Step::Have { content, runs }),
        2 => (0..5u8).prop_map(|content| Step::Leave { content }),
        4 => (0..16u8).prop_map(|to| Step::Signal { to }),
        1 => Just(Step::Garble),
        1 => Just(Step::Disconnect),
    ]
}

/// Peers that are connected; the group is known after hello. With each of a peer's
/// swarms goes the number of runs of chunks that it said it holds.
#[derive(Default)]
struct Model(BTreeMap<u8, (Option<u8>, BTreeMap<u8, u32>)>);

impl Model {
    /// Who of other groups is in a swarm: group and runs held.
    fn others(&self, content: u8, own_group: u8) -> BTreeMap<u8, (u8, u32)> {
        let member = |(&peer, (group, swarms)): (&u8, &(Option<u8>, BTreeMap<u8, u32>))| {
            let group = group.filter(|&group| group != own_group)?;
            swarms.get(&content).map(|&runs| (peer, (group, runs)))
        };
        self.0.iter().filter_map(member).collect()
    }

    fn share(&self, one: u8, other: u8) -> bool {
        let swarms = |peer| self.0.get(&peer).map(|(_, swarms)| swarms);
        match (swarms(one), swarms(other)) {
            (Some(a), Some(b)) => one != other && a.keys().any(|content| b.contains_key(content)),
            _ => false,
        }
    }

    fn swarm_count(&self) -> usize {
        self.0.values().flat_map(|(_, swarms)| swarms.keys()).collect::<HashSet<_>>().len()
    }

    fn peer_count(&self) -> usize {
        self.0.values().filter(|(group, _)| group.is_some()).count()
    }
}

fn peer(number: u8) -> PeerId {
    PeerId([number; 16])
}

/// Every other chunk, `runs` of them.
fn scattered(runs: u32) -> ChunkSet {
    (0..runs).map(|run| ChunkIndex(run * 2)).collect()
}

fn candidate() -> Signal {
    Signal::Candidate { candidate: String::new(), sdp_mid: None, sdp_m_line_index: None }
}

fn event(step: &Step) -> Event {
    let received = |message| Event::Received(message, 100);
    let id = |number: u8| ContentId([number; 32]);
    match *step {
        Step::Connect => Event::Connected(Place::UNKNOWN),
        Step::Disconnect => Event::Disconnected,
        Step::Garble => Event::Garbled("noise".to_owned(), 100),
        Step::Hello { group } => {
            received(ToCoord::Hello { version: VERSION, group: GroupId([group; 16]), token: None })
        }
        Step::Join { content, want, runs } => {
            received(ToCoord::Join { content: id(content), want, have: scattered(runs) })
        }
        Step::Have { content, runs } => {
            received(ToCoord::Have { content: id(content), have: scattered(runs) })
        }
        Step::Leave { content } => received(ToCoord::Leave { content: id(content) }),
        Step::Signal { to } => received(ToCoord::Signal { to: peer(to), signal: candidate() }),
    }
}

/// What the one refusal among `effects` says, checked to go to `from`.
fn refusal(from: u8, effects: &[Effect]) -> Option<(ErrorCode, Option<PeerId>, bool)> {
    match effects {
        [Effect::Send(to, FromCoord::Error { code, peer: about, .. })] if *to == peer(from) => {
            Some((*code, *about, false))
        }
        [
            Effect::Send(to, FromCoord::Error { code, peer: about, .. }),
            Effect::Close(closed, why),
        ] if *to == peer(from) && *closed == peer(from) && why == code => {
            Some((*code, *about, true))
        }
        _ => None,
    }
}

fn check(
    model: &mut Model,
    from: u8,
    step: &Step,
    effects: &[Effect],
) -> Result<(), TestCaseError> {
    let known = model.0.get(&from).cloned();
    let Some((group, swarms)) = known else {
        prop_assert!(effects.is_empty());
        if matches!(step, Step::Connect) {
            model.0.insert(from, (None, BTreeMap::new()));
        }
        return Ok(());
    };
    match (step, group) {
        (Step::Connect, _) => unreachable!("a socket connects once"),
        (Step::Disconnect, _) => {
            prop_assert!(effects.is_empty());
            model.0.remove(&from);
        }
        (Step::Hello { group }, None) => {
            let welcome = FromCoord::Welcome {
                version: VERSION,
                peer: peer(from),
                report_every_ms: Some(REPORT_INTERVAL_MS),
            };
            prop_assert_eq!(effects, &[Effect::Send(peer(from), welcome)]);
            model.0.insert(from, (Some(*group), swarms));
        }
        (_, None) => {
            prop_assert_eq!(refusal(from, effects), Some((ErrorCode::HelloFirst, None, true)));
            model.0.remove(&from);
        }
        (Step::Hello { .. } | Step::Garble, Some(_)) => {
            prop_assert_eq!(refusal(from, effects), Some((ErrorCode::BadMessage, None, false)));
        }
        (Step::Join { content, .. }, Some(_))
            if swarms.len() == SWARMS && !swarms.contains_key(content) =>
        {
            let expected = Some((ErrorCode::TooManySwarms, None, false));
            prop_assert_eq!(refusal(from, effects), expected);
        }
        (Step::Join { content, want, runs }, Some(group)) => {
            let others = model.others(*content, group);
            check_drawn(from, &others, *want, effects)?;
            let mut swarms = swarms;
            swarms.insert(*content, *runs);
            model.0.insert(from, (Some(group), swarms));
        }
        (Step::Have { content, runs }, Some(group)) => {
            prop_assert!(effects.is_empty());
            let mut swarms = swarms;
            swarms.entry(*content).and_modify(|held| *held = *runs);
            model.0.insert(from, (Some(group), swarms));
        }
        (Step::Leave { content }, Some(group)) => {
            prop_assert!(effects.is_empty());
            let mut swarms = swarms;
            swarms.remove(content);
            model.0.insert(from, (Some(group), swarms));
        }
        (Step::Signal { to }, Some(_)) if model.share(from, *to) => {
            let signal = FromCoord::Signal { from: peer(from), signal: candidate() };
            prop_assert_eq!(effects, &[Effect::Send(peer(*to), signal)]);
        }
        (Step::Signal { to }, Some(_)) => {
            let expected = Some((ErrorCode::UnknownPeer, Some(peer(*to)), false));
            prop_assert_eq!(refusal(from, effects), expected);
        }
    }
    Ok(())
}

/// `others` are the peers that may be named, with their groups and what they hold.
fn check_drawn(
    from: u8,
    others: &BTreeMap<u8, (u8, u32)>,
    want: u8,
    effects: &[Effect],
) -> Result<(), TestCaseError> {
    let [Effect::Send(to, FromCoord::Peers { peers, .. })] = effects else {
        return Err(TestCaseError::fail(format!("no peers but {effects:?}")));
    };
    prop_assert_eq!(*to, peer(from));
    for named in peers {
        let runs = others.get(&named.peer.0[0]).map_or(0, |(_, runs)| *runs);
        prop_assert_eq!(&named.expected, &scattered(runs).first_runs(MAX_HELD_RUNS));
    }
    let drawn: BTreeSet<u8> = peers.iter().map(|named| named.peer.0[0]).collect();
    let want = usize::from(want.min(MAX_WANT));
    prop_assert_eq!(drawn.len(), peers.len(), "nobody twice");
    prop_assert_eq!(drawn.len(), want.min(others.len()), "as many as there are and are wanted");
    let groups: Option<BTreeSet<_>> = drawn.iter().map(|peer| Some(others.get(peer)?.0)).collect();
    prop_assert!(groups.is_some(), "members of other groups only");
    let all_groups: BTreeSet<_> = others.values().map(|(group, _)| group).collect();
    prop_assert_eq!(
        groups.map(|groups| groups.len()),
        Some(want.min(all_groups.len())),
        "as many browsers as there are and are wanted"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_registry_does_what_the_model_does(
        steps in vec((0..16u8, step()), 1..300),
        seed in any::<u64>(),
        recommendation in select(&Recommendation::ALL[..]),
    ) {
        let now = Instant::now();
        let messages = Rate { capacity: 1_000, per_second: 1 };
        let limits = Limits { swarms: SWARMS, messages, recommendation, ..Limits::default() };
        let mut registry = Registry::new(limits, StdRng::seed_from_u64(seed));
        let mut model = Model::default();
        for (from, step) in steps {
            if matches!(step, Step::Connect) && model.0.contains_key(&from) {
                continue;
            }
            let effects = registry.handle(peer(from), event(&step), now);
            check(&mut model, from, &step, &effects)?;
            prop_assert_eq!(registry.peer_count(), model.peer_count());
            prop_assert_eq!(registry.swarm_count(), model.swarm_count());
        }
    }
}
