//! Small questions to the browser.

use dcdn_protocol::GroupId;
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use web_sys::{Storage, Window};

use crate::error::ShimError;

/// Key in `localStorage` of the browser profile's id.
const GROUP_KEY: &str = "dcdn.group";

/// Key in `localStorage` of what [`set_consent`] was told.
const CONSENT_KEY: &str = "dcdn.consent";

const CONSENTED: &str = "yes";

/// Key in `localStorage` of how many peers the server named last.
const PEERS_KEY: &str = "dcdn.peers";

/// The page's window.
///
/// # Errors
/// If this does not run in a page.
pub fn window() -> Result<Window, ShimError> {
    web_sys::window().ok_or_else(|| ShimError::Browser("no window".to_owned()))
}

/// Milliseconds of the page's monotonic clock.
pub fn now() -> f64 {
    web_sys::window().and_then(|window| window.performance()).map_or(0.0, |clock| clock.now())
}

/// A time to wait, in the whole milliseconds that timers take; 0 if it is over.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub fn whole_ms(ms: f64) -> u32 {
    ms.ceil() as u32
}

/// Whether this browser can connect to peers at all.
pub fn has_peer_connections() -> bool {
    web_sys::window().is_some_and(|window| {
        Reflect::get(&window, &JsValue::from_str("RTCPeerConnection"))
            .is_ok_and(|value| value.is_function())
    })
}

/// What the page has said of the visitor's consent to peers, if it has said anything.
pub fn consent() -> Option<bool> {
    let kept = storage()?.get_item(CONSENT_KEY).ok().flatten()?;
    Some(kept == CONSENTED)
}

/// Remembers what the page says of the visitor's consent. Where storage is blocked it
/// is not remembered.
pub fn set_consent(given: bool) {
    if let Some(storage) = storage() {
        let _ = storage.set_item(CONSENT_KEY, if given { CONSENTED } else { "no" });
    }
}

/// How many peers the server named last, on whichever page.
pub fn peers_of_late() -> u8 {
    let kept = storage().and_then(|storage| storage.get_item(PEERS_KEY).ok().flatten());
    kept.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Remembers how many peers the server has named.
pub fn note_peers(peers: u8) {
    if peers_of_late() != peers
        && let Some(storage) = storage()
    {
        let _ = storage.set_item(PEERS_KEY, &peers.to_string());
    }
}

/// The id of this browser profile, made up on its first visit. Where storage is
/// blocked it lasts as long as the page.
pub fn group() -> GroupId {
    let storage = storage();
    let kept = storage.as_ref().and_then(|storage| storage.get_item(GROUP_KEY).ok().flatten());
    if let Some(group) = kept.and_then(|text| text.parse().ok()) {
        return group;
    }
    let group = random_group();
    if let Some(storage) = storage {
        // A full or read-only storage only makes the id last shorter.
        let _ = storage.set_item(GROUP_KEY, &group.to_string());
    }
    group
}

/// Storage that the visitor blocks throws on access.
fn storage() -> Option<Storage> {
    web_sys::window().and_then(|window| window.local_storage().ok().flatten())
}

fn random_group() -> GroupId {
    let mut bytes = [0; 16];
    if let Some(crypto) = web_sys::window().and_then(|window| window.crypto().ok()) {
        // Fails only for more than 64 KiB.
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    GroupId(bytes)
}
