//! What becomes of the core's commands, given here in its place, in a real service
//! worker. The site's server and the page are stand-ins.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/mod.rs"]
mod support;

use dcdn_protocol::message::shim::{BODY, ToWorker};
use dcdn_protocol::stats::Source;
use dcdn_protocol::{ByteRange, Manifest, PeerId, PolicyName};
use dcdn_swarm::OriginRequest;
use gloo_timers::future::TimeoutFuture;
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::*;
use web_sys::{MessageChannel, MessageEvent};

use super::*;
use crate::chunks::Sources;
use crate::pages::Page;
use crate::store;
use support::{Origin, bytes};

wasm_bindgen_test_configure!(run_in_service_worker);

const PAGE: &str = "page";
const ME: PeerId = PeerId([1; 16]);
const PEER: PeerId = PeerId([2; 16]);
/// Three chunks, the last of half their size.
const LENGTH: usize = 640 * 1024;
const CHUNK: usize = 256 * 1024;
const FIRST: ChunkIndex = ChunkIndex(0);

/// A message as the page sends it.
fn object(message: &ToWorker) -> JsValue {
    dcdn_plain::to_object(message)
}

/// A worker with one page that has one peer, in a session that nobody reads: the
/// core decides nothing by itself.
struct Scene {
    engine: Rc<Engine>,
    session: SessionId,
    link: Link,
    content: Vec<u8>,
    manifest: Manifest,
    /// What the page hears.
    told: Rc<RefCell<Vec<ToShim>>>,
    origin: Origin,
    _hear: Closure<dyn FnMut(MessageEvent)>,
}

impl Scene {
    async fn new(seed: u32) -> Self {
        let origin = Origin::new();
        let (url, content) = (format!("/scene-{seed}.jpg"), bytes(seed, LENGTH));
        let manifest = origin.put_shared(&url, &content, "\"v1\"");
        let engine = Engine::new(Site::default(), Catalogue::default());

        let channel = MessageChannel::new().unwrap();
        let told: Rc<RefCell<Vec<ToShim>>> = Rc::default();
        let heard = Rc::clone(&told);
        let hear = Closure::new(move |event: MessageEvent| {
            heard.borrow_mut().push(dcdn_plain::from_object(&event.data()).unwrap());
        });
        channel.port1().set_onmessage(Some(hear.as_ref().unchecked_ref()));
        let mut page = Page::new(channel.port2(), Closure::new(|_: MessageEvent| {}));
        page.welcome(SiteConfig::default());
        engine.state().pages.insert(PAGE, page);
        engine.peer_up(PAGE, PEER, ME, Vec::new());
        let link = engine.state().pages.link(PAGE, PEER).unwrap();

        let session = engine.start_session(&url, SiteConfig::default(), false);
        engine.find_manifest(session, false).await;
        Self { engine, session, link, content, manifest, told, origin, _hear: hear }
    }

    fn command(&self, command: &Command) {
        self.engine.carry_out(self.session, command);
    }

    /// Asks the peer for the first chunk, and takes the request back.
    fn salvage(&self) {
        self.command(&Command::RequestChunk { link: self.link, chunk: FIRST });
        self.command(&Command::Salvage { link: self.link, chunk: FIRST });
    }

    /// The page hands over `beginning` of the first chunk.
    fn hand_over(&self, beginning: &[u8]) {
        let salvaged = ToWorker::Salvaged {
            peer: PEER,
            content: self.manifest.content_id(),
            chunk: FIRST,
            received: u32::try_from(beginning.len()).unwrap(),
        };
        let message = object(&salvaged);
        if !beginning.is_empty() {
            let body = Uint8Array::from(beginning).buffer();
            Reflect::set(&message, &BODY.into(), &body).unwrap();
        }
        self.engine.hear(PAGE, &message).unwrap();
    }

    /// Fetches from the origin from `start` to the content's end, and waits for it.
    async fn fetch_from(&self, start: usize) {
        let request = OriginRequest(1000);
        let range = ByteRange::new(start as u64, LENGTH as u64);
        self.command(&Command::FetchOrigin { request, range });
        self.until(|scene| {
            let state = scene.engine.state();
            !state.sessions.get(&scene.session).unwrap().origin.contains_key(&request)
        })
        .await;
    }

    async fn until(&self, mut happened: impl FnMut(&Self) -> bool) {
        while !happened(self) {
            TimeoutFuture::new(5).await;
        }
    }

    /// What a reader at `offset` would get.
    fn read(&self, offset: usize) -> Option<(Vec<u8>, Source)> {
        let state = self.engine.state();
        let session = state.sessions.get(&self.session).unwrap();
        let layout = session.layout.unwrap();
        let (view, source) = session.chunks.read(layout, offset as u64, u64::MAX)?;
        Some((view.to_vec(), source))
    }

    /// The first chunk as the store has it.
    async fn stored(&self) -> Option<Vec<u8>> {
        let chunk = store::chunk(self.manifest.content_id(), FIRST).await.unwrap()?;
        Some(chunk.to_vec())
    }

    /// Waits until the store has the first chunk, and checks its bytes.
    async fn stored_right(&self) {
        loop {
            if let Some(stored) = self.stored().await {
                assert!(stored == self.content[..CHUNK]);
                return;
            }
            TimeoutFuture::new(5).await;
        }
    }

    /// Where the first chunk came from, once it is there.
    fn sources(&self) -> Option<Sources> {
        let state = self.engine.state();
        state.sessions.get(&self.session).unwrap().fetched.get(&FIRST).copied()
    }

    fn page_heard(&self, wanted: impl Fn(&ToShim) -> bool) -> bool {
        self.told.borrow().iter().any(wanted)
    }
}

#[wasm_bindgen_test]
async fn pages_are_asked_for_more_peers_at_most_once_in_five_seconds() {
    let scene = Scene::new(30).await;
    let adaptive = SiteConfig { policy: PolicyName::Adaptive, ..SiteConfig::default() };
    {
        let mut state = scene.engine.state();
        let session = state.sessions.get_mut(&scene.session).unwrap();
        session.config = adaptive;
        session.joined.insert(PAGE.to_owned());
    }

    scene.command(&Command::FindPeers);
    scene.command(&Command::FindPeers);
    // Heard after what was said before.
    scene.command(&Command::Ban { link: scene.link });
    scene.until(|it| it.page_heard(|said| matches!(said, ToShim::Ban { .. }))).await;

    let content = scene.manifest.content_id();
    let joins: Vec<_> = scene
        .told
        .borrow()
        .iter()
        .filter(|said| matches!(said, ToShim::Join { .. }))
        .cloned()
        .collect();
    assert_eq!(joins, [ToShim::Join { content, want: 8 }]);
}

#[wasm_bindgen_test]
async fn a_late_chunk_is_completed_by_the_origin_and_kept_once_its_hash_is_right() {
    let scene = Scene::new(31).await;
    scene.salvage();
    scene.until(|it| it.page_heard(|said| matches!(said, ToShim::Salvage { .. }))).await;

    scene.hand_over(&scene.content[..1000]);
    assert_eq!(scene.read(0), None, "nobody has verified it");
    scene.origin.log();
    scene.fetch_from(1000).await;

    assert_eq!(scene.origin.requests_for("/scene"), ["/scene-31.jpg bytes=1000-655359"]);
    assert_eq!(scene.sources(), Some(Sources::mixed(1000)));
    scene.stored_right().await;
    assert!(!scene.page_heard(|said| matches!(said, ToShim::Ban { .. })));
}

#[wasm_bindgen_test]
async fn a_chunk_with_a_wrong_beginning_is_dropped_and_bans_who_sent_it() {
    let scene = Scene::new(32).await;
    scene.salvage();

    scene.hand_over(&bytes(99, 1000));
    scene.fetch_from(1000).await;

    scene.until(|it| it.page_heard(|said| *said == ToShim::Ban { peer: PEER })).await;
    assert_eq!((scene.read(0), scene.sources()), (None, None));
    assert_eq!(scene.stored().await, None);
    scene.fetch_from(0).await;
    scene.stored_right().await;
}

#[wasm_bindgen_test]
async fn a_liar_that_has_left_is_found_out_all_the_same() {
    let scene = Scene::new(37).await;
    scene.salvage();
    scene.hand_over(&bytes(99, 1000));
    let down = ToWorker::PeerDown { peer: PEER };
    scene.engine.hear(PAGE, &object(&down)).unwrap();

    scene.fetch_from(1000).await;

    assert_eq!((scene.read(0), scene.sources()), (None, None));
    assert_eq!(scene.stored().await, None);
}

#[wasm_bindgen_test]
async fn an_origin_that_sends_the_chunk_from_its_start_needs_no_peers_bytes() {
    let scene = Scene::new(33).await;
    scene.salvage();

    scene.hand_over(&bytes(99, 100_000));
    scene.fetch_from(0).await;

    scene.stored_right().await;
    assert_eq!(scene.sources(), Some(Source::Http.into()));
    assert!(!scene.page_heard(|said| matches!(said, ToShim::Ban { .. })));
}

#[wasm_bindgen_test]
async fn a_page_that_has_nothing_of_use_answers_too() {
    for (seed, beginning) in [(38, 0), (39, CHUNK)] {
        let scene = Scene::new(seed).await;
        scene.salvage();
        scene.hand_over(&bytes(99, beginning));
        assert!(scene.engine.state().requested.is_empty());
        scene.fetch_from(0).await;
        scene.stored_right().await;
        assert_eq!(scene.sources(), Some(Source::Http.into()));
    }
}

#[wasm_bindgen_test]
async fn a_page_that_does_not_answer_is_not_waited_for_and_its_late_answer_is_nothing() {
    let scene = Scene::new(35).await;
    scene.salvage();
    assert_eq!(scene.engine.state().requested.len(), 1);

    scene.until(|it| it.engine.state().requested.is_empty()).await;
    scene.hand_over(&scene.content[..1000]);
    scene.fetch_from(1000).await;

    assert_eq!(scene.sources(), None, "its beginning is not there");
}

#[wasm_bindgen_test]
async fn without_a_manifest_a_peers_bytes_are_dropped() {
    let scene = Scene::new(36).await;
    scene.salvage();
    scene.hand_over(&scene.content[..1000]);

    scene.engine.do_without_manifest(scene.session);
    scene.fetch_from(1000).await;

    assert_eq!((scene.read(0), scene.sources()), (None, None));
}
