//! What `static/dcdn.js` sees: one class.

use dcdn_protocol::config::PageSettings;
use dcdn_protocol::message::shim::Errand;
use dcdn_protocol::plain::Write;
use dcdn_protocol::{PeerId, record};
use futures::channel::mpsc::UnboundedSender;
use futures::channel::oneshot;
use futures::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::RtcPeerConnectionState;

use crate::diagnosis::{SLOW_MS, coordination_word, sentences};
use crate::manners::Restraint;
use crate::node::PeerReport;
use crate::page::{self, Event, PageStats, Question};
use crate::task::Task;

/// Milliseconds that the worker may take to answer for statistics.
const STATS_TIMEOUT_MS: u32 = 2_000;

/// The page's hands. One per page; lives as long as the page.
#[wasm_bindgen]
pub struct Shim {
    events: UnboundedSender<Event>,
    _loop: Task,
}

#[wasm_bindgen]
impl Shim {
    /// `settings` is `{policy, slack_ms, slack_percent, mixed_http_percent, coord, token}`, each
    /// possibly missing. `listener` is called with one object per event, whose `event` is `progress`, `done`,
    /// `error`, `peer`, or `welcome` (`{compatible, enabled, peers, consent, persist}`) when a worker
    /// has answered a handshake.
    ///
    /// # Errors
    /// Throws in a page without service workers.
    #[wasm_bindgen(constructor)]
    pub fn new(settings: &JsValue, listener: Function) -> Result<Shim, JsValue> {
        #[cfg(debug_assertions)]
        console_error_panic_hook::set_once();
        let (settings, token) = read(settings);
        let (events, event_loop) = page::start(settings, token, listener).map_err(to_js)?;
        Ok(Self { events, _loop: Task::spawn(event_loop) })
    }

    /// Other settings for this page, in the place of all that it had. `welcome` follows.
    pub fn configure(&self, settings: &JsValue) {
        let (settings, token) = read(settings);
        send(&self.events, Question::Configure(settings, token));
    }

    /// Whether the visitor consents to having peers. `welcome` follows.
    pub fn consent(&self, given: bool) {
        send(&self.events, Question::Consent(given));
    }

    /// A promise of `{urls, totals, peers}`: see `dcdn.stats()`. Asks a worker that
    /// does not answer once more on a new port, then gives what was last known.
    pub fn stats(&self) -> Promise {
        let first = self.ask(Question::Stats);
        let events = self.events.clone();
        future_to_promise(async move {
            if let Some(stats) = in_time(first).await {
                return to_object(&stats);
            }
            send(&events, Question::Reconnect);
            if let Some(stats) = in_time(ask(&events, Question::Stats)).await {
                return to_object(&stats);
            }
            let last = ask(&events, Question::LastStats).await.map_err(|_| gone())?;
            to_object(&last)
        })
    }

    /// Has the worker fetch what is missing of `url` (path and query) into the store. A
    /// promise of `{ok, bytes, error}`; `id` is a number that no other errand has.
    pub fn prefetch(&self, id: u32, url: String) -> Promise {
        self.errand(id, Errand::Prefetch { url })
    }

    /// Ends the errand `id`, which is answered.
    pub fn undo(&self, id: u32) {
        send(&self.events, Question::Undo(id));
    }

    /// Has the worker remove `url` (path and query) from the store: as `prefetch`.
    pub fn forget(&self, id: u32, url: String) -> Promise {
        self.errand(id, Errand::Forget { url })
    }

    /// Has the worker remove everything from the store: as `prefetch`.
    pub fn clear(&self, id: u32) -> Promise {
        self.errand(id, Errand::Clear)
    }

    /// Has the worker remove everything, and itself: as `prefetch`.
    pub fn unregister(&self, id: u32) -> Promise {
        self.errand(id, Errand::Unregister)
    }

    /// A promise of `{coordination, refused, consent, not_uploading, peers, tried, failed, banned,
    /// sentences}`.
    pub fn diagnose(&self) -> Promise {
        let report = self.ask(Question::Report);
        future_to_promise(async move {
            let report = report.await.map_err(|_| gone())?;
            let counts = report.facts.counts;
            let mut peers = Vec::new();
            for peer in &report.peers {
                peers.push(examine(peer).await);
            }
            let is_slow = |it: &&PeerDiagnosis| it.rtt_ms.is_some_and(|ms| ms > f64::from(SLOW_MS));
            let slow = peers.iter().filter(is_slow).count();
            to_object(&Diagnosis {
                coordination: coordination_word(report.facts.coordination),
                consent: report.facts.consent,
                refused: report.facts.refused.clone(),
                not_uploading: report.facts.restraint.map(Restraint::word),
                peers,
                tried: counts.tried,
                failed: counts.failed,
                banned: counts.banned,
                sentences: sentences(&report.facts, slow),
            })
        })
    }

    fn errand(&self, id: u32, errand: Errand) -> Promise {
        let outcome = self.ask(|asker| Question::Do(id, errand, asker));
        future_to_promise(async move { to_object(&outcome.await.map_err(|_| gone())?) })
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> oneshot::Receiver<T> {
        ask(&self.events, question)
    }
}

/// Settings that make no sense are as none: the site's own apply. The token is this page's
/// alone, no setting that its worker hears of.
fn read(settings: &JsValue) -> (PageSettings, Option<String>) {
    let token = Reflect::get(settings, &JsValue::from_str("token")).unwrap_or_default();
    (dcdn_plain::from_object(settings).unwrap_or_default(), token.as_string())
}

struct Diagnosis {
    coordination: &'static str,
    refused: Option<String>,
    consent: bool,
    not_uploading: Option<&'static str>,
    peers: Vec<PeerDiagnosis>,
    tried: u32,
    failed: u32,
    banned: u32,
    sentences: Vec<String>,
}

record!(out Diagnosis {
    coordination,
    refused or_null,
    consent,
    not_uploading or_null,
    peers,
    tried,
    failed,
    banned,
    sentences,
});

struct PeerDiagnosis {
    peer: PeerId,
    state: String,
    bytes_in: u64,
    bytes_out: u64,
    rtt_ms: Option<f64>,
}

record!(out PeerDiagnosis { peer, state, bytes_in, bytes_out, rtt_ms or_none });

async fn examine(report: &PeerReport) -> PeerDiagnosis {
    PeerDiagnosis {
        peer: report.peer,
        state: state_word(report.connection.connection_state()).to_owned(),
        bytes_in: report.bytes_in,
        bytes_out: report.bytes_out,
        rtt_ms: round_trip_ms(&report.connection).await,
    }
}

fn state_word(state: RtcPeerConnectionState) -> &'static str {
    match state {
        RtcPeerConnectionState::New => "new",
        RtcPeerConnectionState::Connecting => "connecting",
        RtcPeerConnectionState::Connected => "connected",
        RtcPeerConnectionState::Disconnected => "disconnected",
        RtcPeerConnectionState::Failed => "failed",
        _ => "closed",
    }
}

/// The round trip of the pair of addresses in use, if the browser tells.
async fn round_trip_ms(connection: &web_sys::RtcPeerConnection) -> Option<f64> {
    let report: js_sys::Map = JsFuture::from(connection.get_stats()).await.ok()?.unchecked_into();
    let mut round_trip = None;
    report.for_each(&mut |entry, _| {
        let field = |name| Reflect::get(&entry, &JsValue::from_str(name)).unwrap_or_default();
        if field("type") == "candidate-pair" && field("nominated").is_truthy() {
            round_trip = field("currentRoundTripTime").as_f64().or(round_trip);
        }
    });
    round_trip.map(|seconds| seconds * 1000.0)
}

fn ask<T>(
    events: &UnboundedSender<Event>,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> oneshot::Receiver<T> {
    let (asker, answer) = oneshot::channel();
    send(events, question(asker));
    answer
}

fn send(events: &UnboundedSender<Event>, question: Question) {
    // The loop ends with the page; the answer is dropped then, which the asker sees.
    let _ = events.unbounded_send(Event::Ask(question));
}

async fn in_time(answer: oneshot::Receiver<PageStats>) -> Option<PageStats> {
    match select(answer, TimeoutFuture::new(STATS_TIMEOUT_MS)).await {
        Either::Left((answer, _)) => answer.ok(),
        Either::Right(_) => None,
    }
}

fn to_object(value: &impl Write) -> Result<JsValue, JsValue> {
    Ok(dcdn_plain::to_object(value))
}

fn gone() -> JsValue {
    js_sys::Error::new("the page is going away").into()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn to_js(error: crate::error::ShimError) -> JsValue {
    js_sys::Error::new(&error.to_string()).into()
}
