//! The worker's cache of visited pages, in a real service worker.

#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "others need more of it")]
mod support;

use dcdn_sw::{Worker, store};
use js_sys::Uint8Array;
use support::Origin;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::*;
use web_sys::Response;

wasm_bindgen_test_configure!(run_in_service_worker);

#[wasm_bindgen_test]
async fn of_visited_pages_the_latest_are_kept_and_none_that_is_long() {
    const CACHE: &str = "dcdn-pages-v1";
    let origin = Origin::new();
    let config = Uint8Array::from(&br#"{"offline_pages":true}"#[..]);
    let put = ["/dcdn/config.json".into(), config.into(), "\"v1\"".into(), JsValue::UNDEFINED];
    origin.call("put", &put);
    let worker = Worker::start().await;
    JsFuture::from(worker.refresh()).await.unwrap();
    let visit = async |url: String, length: usize| {
        let page = Response::new_with_opt_str(Some(&"a".repeat(length))).unwrap();
        JsFuture::from(worker.keep_page(url, page)).await.unwrap();
    };
    let is_kept = async |url: &str| store::get(CACHE, url).await.unwrap().is_some();

    visit("/long".to_owned(), 3 << 20).await;
    for page in 0..150 {
        visit(format!("/{page}"), 100).await;
    }
    visit("/0".to_owned(), 100).await;
    visit("/another".to_owned(), 100).await;

    assert!(!is_kept("/long").await && !is_kept("/1").await);
    assert!(is_kept("/0").await && is_kept("/2").await && is_kept("/another").await);
    store::drop_cache(CACHE).await;
}
