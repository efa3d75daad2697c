//! The signalling socket's beginnings.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::rc::Rc;

use dcdn_page_shim::browser;
use dcdn_page_shim::signalling::{Signalling, SocketEvent, Token};
use futures::StreamExt;
use futures::channel::mpsc::unbounded;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
async fn a_server_out_of_reach_is_asked_for_again_at_once_when_the_network_returns() {
    let (events, mut received) = unbounded();
    let (probes, mut probed) = unbounded();
    let probe = move || probes.unbounded_send(()).unwrap();
    let emit = move |event| events.unbounded_send(event).unwrap();
    let signalling =
        Rc::new(Signalling::start("", Token::default(), Box::new(probe), Box::new(emit)).unwrap());

    probed.next().await.unwrap();
    signalling.reachable(false);
    assert!(matches!(received.next().await, Some(SocketEvent::Down)));

    let before = browser::now();
    let window = web_sys::window().unwrap();
    window.dispatch_event(&web_sys::Event::new("online").unwrap()).unwrap();
    probed.next().await.unwrap();
    assert!(browser::now() - before < 900.0, "that was the wait, not the network's return");
}

#[wasm_bindgen_test]
fn the_profiles_id_is_made_up_once() {
    assert_eq!(browser::group(), browser::group());
    assert_ne!(browser::group().0, [0; 16]);
}
