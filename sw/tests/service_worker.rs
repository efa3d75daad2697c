//! The worker in a real service worker, with the real Cache API and real streams.
//! Only the site's server is a stand-in (`support/fake_origin.js`).

#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used)]

mod support;

use dcdn_protocol::{ChunkHash, ChunkIndex, ContentId, Layout, Manifest};
use dcdn_sw::catalogue::{self, Catalogue};
use dcdn_sw::{Worker, store};
use js_sys::{Function, Uint8Array};
use support::{Origin, bytes, described, manifest};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::*;
use web_sys::{FetchEvent, Response};

wasm_bindgen_test_configure!(run_in_service_worker);

/// The thesis's image: 3.2 MB, 13 chunks.
const IMAGE: usize = 3_200_000;

/// A file without a manifest.
fn put_unshared(origin: &Origin, url: &str, bytes: &[u8], etag: &str) {
    let view = Uint8Array::from(bytes);
    origin.call("put", &[url.into(), view.into(), etag.into(), JsValue::UNDEFINED]);
}

fn event(url: &str, range: Option<&str>) -> FetchEvent {
    let make = Function::new_with_args(
        "url, range",
        "const headers = range ? { Range: range } : {};
         return new FetchEvent('fetch', { request: new Request(url, { headers }) });",
    );
    let range = range.map_or(JsValue::UNDEFINED, JsValue::from);
    make.call2(&JsValue::UNDEFINED, &url.into(), &range).unwrap().unchecked_into()
}

async fn respond(worker: &Worker, url: &str, range: Option<&str>) -> Response {
    let response = JsFuture::from(worker.respond(event(url, range))).await.unwrap();
    response.unchecked_into()
}

async fn body(response: &Response) -> Result<Vec<u8>, JsValue> {
    let buffer = JsFuture::from(response.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).unwrap()
}

/// Waits until the store holds all of a content.
async fn stored(manifest: &Manifest) {
    for chunk in manifest.layout.chunks() {
        while store::chunk(manifest.content_id(), chunk).await.unwrap().is_none() {
            gloo_timers::future::TimeoutFuture::new(5).await;
        }
    }
}

#[wasm_bindgen_test]
async fn a_first_request_is_answered_whole_and_stored() {
    let (origin, image) = (Origin::new(), bytes(1, IMAGE));
    let manifest = origin.put_shared("/first.jpg", &image, "\"v1\"");
    let worker = Worker::start().await;

    let response = respond(&worker, "/first.jpg", None).await;

    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "Content-Length").as_deref(), Some("3200000"));
    assert_eq!(header(&response, "Content-Type").as_deref(), Some("image/jpeg"));
    assert_eq!(header(&response, "ETag").as_deref(), Some("\"v1\""));
    assert!(body(&response).await.unwrap() == image);
    stored(&manifest).await;
}

#[wasm_bindgen_test]
async fn the_head_is_asked_for_before_the_manifest_is_there() {
    let (origin, image) = (Origin::new(), bytes(2, IMAGE));
    origin.put_shared("/head.jpg", &image, "\"v1\"");
    let worker = Worker::start().await;
    origin.log();

    let response = respond(&worker, "/head.jpg", None).await;

    assert_eq!(origin.log()[0], "/head.jpg bytes=0-262143");
    body(&response).await.unwrap();
}

#[wasm_bindgen_test]
async fn what_is_stored_is_served_with_the_origin_down_by_a_worker_started_anew() {
    let (origin, image) = (Origin::new(), bytes(3, IMAGE));
    let manifest = origin.put_shared("/offline.jpg", &image, "\"v1\"");
    let worker = Worker::start().await;
    body(&respond(&worker, "/offline.jpg", None).await).await.unwrap();
    stored(&manifest).await;
    catalogued(&manifest).await;
    origin.call("setDown", &[true.into()]);

    let worker = Worker::start().await;
    let whole = body(&respond(&worker, "/offline.jpg", None).await).await.unwrap();
    let tail = respond(&worker, "/offline.jpg", Some("bytes=-1000")).await;

    assert!(whole == image);
    assert_eq!(tail.status(), 206);
    assert!(body(&tail).await.unwrap() == image[IMAGE - 1000..]);
    origin.call("setDown", &[false.into()]);
}

/// Waits until the catalogue on disk names all of a content.
async fn catalogued(manifest: &Manifest) {
    let count = manifest.layout.chunk_count();
    loop {
        let catalogue: Catalogue = store::document(catalogue::DOCUMENT).await;
        if catalogue.chunks(manifest.content_id()).is_full(count) {
            return;
        }
        gloo_timers::future::TimeoutFuture::new(20).await;
    }
}

#[wasm_bindgen_test]
async fn a_damaged_chunk_in_the_store_is_fetched_again() {
    let (origin, image) = (Origin::new(), bytes(4, IMAGE));
    let manifest = origin.put_shared("/damaged.jpg", &image, "\"v1\"");
    let worker = Worker::start().await;
    body(&respond(&worker, "/damaged.jpg", None).await).await.unwrap();
    stored(&manifest).await;
    catalogued(&manifest).await;
    let wrong = Uint8Array::from(&bytes(99, 256 * 1024)[..]);
    store::put_chunk(manifest.content_id(), ChunkIndex(4), &wrong).await.unwrap();
    origin.log();

    let worker = Worker::start().await;
    let whole = body(&respond(&worker, "/damaged.jpg", None).await).await.unwrap();

    assert!(whole == image);
    assert_eq!(origin.requests_for("/damaged.jpg"), ["/damaged.jpg bytes=1048576-1310719"]);
}

#[wasm_bindgen_test]
async fn every_range_is_a_206_of_the_right_bytes() {
    let (origin, image) = (Origin::new(), bytes(5, IMAGE));
    origin.put_shared("/ranges.jpg", &image, "\"v1\"");
    let worker = Worker::start().await;
    body(&respond(&worker, "/ranges.jpg", None).await).await.unwrap();

    for (range, first, last) in [
        ("bytes=0-1", 0, 1),
        ("bytes=262143-262144", 262_143, 262_144),
        ("bytes=3000000-", 3_000_000, IMAGE - 1),
        ("bytes=-5", IMAGE - 5, IMAGE - 1),
        ("bytes=3199999-9999999", IMAGE - 1, IMAGE - 1),
    ] {
        let response = respond(&worker, "/ranges.jpg", Some(range)).await;
        assert_eq!(response.status(), 206, "{range}");
        let expected = format!("bytes {first}-{last}/{IMAGE}");
        assert_eq!(header(&response, "Content-Range"), Some(expected));
        assert!(body(&response).await.unwrap() == image[first..=last], "{range}");
    }
    let response = respond(&worker, "/ranges.jpg", Some("bytes=3200000-")).await;
    assert_eq!(response.status(), 416);
    assert_eq!(header(&response, "Content-Range").as_deref(), Some("bytes */3200000"));
}

#[wasm_bindgen_test]
async fn a_resource_that_is_not_shared_comes_from_the_origin_and_is_left_alone_afterwards() {
    let (origin, image) = (Origin::new(), bytes(6, IMAGE));
    put_unshared(&origin, "/private.jpg", &image, "\"v1\"");
    let worker = Worker::start().await;
    let first = event("/private.jpg", None);
    assert!(worker.is_ours(&first.request()));

    assert!(body(&respond(&worker, "/private.jpg", None).await).await.unwrap() == image);

    assert!(!worker.is_ours(&first.request()));
}

#[wasm_bindgen_test]
async fn a_resource_whose_manifest_cannot_be_made_at_present_is_asked_for_again() {
    let (origin, image) = (Origin::new(), bytes(43, IMAGE));
    put_unshared(&origin, "/busy.jpg", &image, "\"v1\"");
    for code in ["origin", "busy", "changing", "address_limit", "internal", "of_a_later_release"] {
        origin.call("refuseWith", &[code.into()]);
        let worker = Worker::start().await;

        assert!(body(&respond(&worker, "/busy.jpg", None).await).await.unwrap() == image);

        assert!(worker.is_ours(&event("/busy.jpg", None).request()), "{code}");
    }
}

#[wasm_bindgen_test]
async fn an_error_of_the_origin_reaches_the_page_as_it_is() {
    let origin = Origin::new();
    let worker = Worker::start().await;
    origin.log();

    let response = respond(&worker, "/missing.jpg", None).await;

    assert_eq!(response.status(), 404);
    assert_eq!(body(&response).await.unwrap(), b"not here");
    assert_eq!(origin.requests_for("/missing.jpg").len(), 1);
}

#[wasm_bindgen_test]
async fn an_empty_file_is_delivered_empty() {
    let origin = Origin::new();
    put_unshared(&origin, "/empty.jpg", &[], "\"v1\"");
    let worker = Worker::start().await;

    let response = respond(&worker, "/empty.jpg", None).await;

    assert_eq!(response.status(), 200);
    assert!(body(&response).await.unwrap().is_empty());
}

#[wasm_bindgen_test]
async fn what_redirects_to_another_origin_is_left_to_the_browser_at_once() {
    let (origin, image) = (Origin::new(), bytes(12, IMAGE));
    put_unshared(&origin, "/elsewhere.jpg", &image, "\"v1\"");
    origin.call("redirectAway", &["/elsewhere.jpg".into()]);
    let worker = Worker::start().await;
    origin.log();

    let response = respond(&worker, "/elsewhere.jpg", None).await;

    assert!(body(&response).await.unwrap() == image);
    let asked = origin.requests_for("/elsewhere.jpg");
    assert_eq!(asked, ["/elsewhere.jpg bytes=0-262143", "/elsewhere.jpg"]);
}

#[wasm_bindgen_test]
async fn a_file_that_changes_in_mid_transfer_is_an_error_and_never_a_mixture() {
    let (origin, old, new) = (Origin::new(), bytes(7, 9_000_000), bytes(8, 9_000_000));
    origin.put_shared("/changing.jpg", &old, "\"old\"");
    let bytes = Uint8Array::from(&new[..]);
    let arguments = ["/changing.jpg".into(), 1.into(), bytes.into(), "\"new\"".into()];
    origin.call("changeAfter", &arguments);
    let worker = Worker::start().await;

    let response = respond(&worker, "/changing.jpg", None).await;

    assert!(body(&response).await.is_err());
}

#[wasm_bindgen_test]
async fn what_has_no_strong_validator_is_not_put_together_from_several_answers() {
    const LENGTH: usize = 9_000_000;
    let origin = Origin::new();
    let cases = [("/none.jpg", None), ("/weak.jpg", Some("W/\"v1\""))];
    for (seed, (url, etag)) in (50..).step_by(2).zip(cases) {
        let (old, new) = (bytes(seed, LENGTH), bytes(seed + 1, LENGTH));
        let put = |bytes: &[u8]| {
            [Uint8Array::from(bytes).into(), etag.map_or(JsValue::UNDEFINED, JsValue::from)]
        };
        origin.call("put", &[&[url.into()], &put(&old)[..]].concat());
        origin.call("changeAfter", &[&[url.into(), 1.into()], &put(&new)[..]].concat());
        let worker = Worker::start().await;

        let whole = body(&respond(&worker, url, None).await).await.unwrap();

        assert!(whole == old || whole == new, "{url} is a mixture");
        assert!(!worker.is_ours(&event(url, None).request()), "{url}");
    }
}

#[wasm_bindgen_test]
async fn a_whole_answer_without_validators_is_passed_on_as_it_is() {
    let (origin, image) = (Origin::new(), bytes(54, IMAGE));
    let put = ["/plain.jpg".into(), Uint8Array::from(&image[..]).into(), JsValue::UNDEFINED];
    origin.call("put", &put);
    origin.call("ignoreRanges", &["/plain.jpg".into(), "known".into()]);
    let worker = Worker::start().await;
    origin.log();

    let response = respond(&worker, "/plain.jpg", None).await;

    assert!(body(&response).await.unwrap() == image);
    assert_eq!(origin.requests_for("/plain.jpg").len(), 1);
}

#[wasm_bindgen_test]
async fn bytes_that_change_under_the_same_validator_after_some_were_right_are_an_error() {
    const LENGTH: usize = 20_000_000;
    let (origin, old, new) = (Origin::new(), bytes(55, LENGTH), bytes(56, LENGTH));
    let manifest = origin.put_shared("/same.jpg", &old, "\"v1\"");
    let worker = Worker::start().await;
    let response = respond(&worker, "/same.jpg", None).await;
    while store::chunk(manifest.content_id(), ChunkIndex(0)).await.unwrap().is_none() {
        gloo_timers::future::TimeoutFuture::new(5).await;
    }
    let changed = ["/same.jpg".into(), Uint8Array::from(&new[..]).into(), "\"v1\"".into()];
    origin.call("put", &[&changed[..], &[described(&manifest)]].concat());

    let whole = body(&response).await;

    assert!(whole.is_err_and(|_| !worker.is_ours(&event("/same.jpg", None).request())));
}

#[wasm_bindgen_test]
async fn two_urls_of_one_content_are_fetched_once() {
    let (origin, image) = (Origin::new(), bytes(40, IMAGE));
    for url in ["/one.jpg", "/other.jpg"] {
        origin.put_shared(url, &image, "\"v1\"");
    }
    let worker = Worker::start().await;
    origin.log();

    let responses =
        futures::join!(respond(&worker, "/one.jpg", None), respond(&worker, "/other.jpg", None));
    let bodies = futures::join!(body(&responses.0), body(&responses.1));

    assert!(bodies.0.unwrap() == image);
    assert!(bodies.1.unwrap() == image);
    let asked: usize = origin.log().iter().filter_map(|line| asked_bytes(line)).sum();
    assert!(asked <= IMAGE + 256 * 1024, "{asked} bytes, and each asks for its first 256 KiB");
}

/// How many bytes a line of the log asks for.
fn asked_bytes(line: &str) -> Option<usize> {
    let (first, last) = line.split_once("bytes=")?.1.split_once('-')?;
    let last: usize = last.parse().unwrap();
    Some(last.min(IMAGE - 1) + 1 - first.parse::<usize>().unwrap())
}

#[wasm_bindgen_test]
async fn what_was_read_along_with_another_url_goes_on_when_that_one_changes() {
    let (origin, old) = (Origin::new(), bytes(41, 12_000_000));
    let manifest = origin.put_shared("/leads.jpg", &old, "\"v1\"");
    origin.put_shared("/follows.jpg", &old, "\"v1\"");
    let worker = Worker::start().await;
    let leading = respond(&worker, "/leads.jpg", None).await;
    while store::chunk(manifest.content_id(), ChunkIndex(0)).await.unwrap().is_none() {
        gloo_timers::future::TimeoutFuture::new(5).await;
    }
    origin.log();

    let following = Body::of(&respond(&worker, "/follows.jpg", None).await);
    following.read_to(1_000_000).await;
    let own = origin.requests_for("/follows.jpg");
    let new = Uint8Array::from(&bytes(42, 12_000_000)[..]);
    let changed = ["/leads.jpg".into(), new.into(), "\"v2\"".into(), JsValue::UNDEFINED];
    origin.call("put", &changed);
    let whole = futures::join!(body(&leading), following.read_to(12_000_000));

    assert_eq!(own, ["/follows.jpg bytes=0-262143"]);
    assert!(whole.0.is_err());
    assert!(whole.1 == old);
}

/// A body that is read bit by bit.
struct Body(JsValue);

impl Body {
    fn of(response: &Response) -> Self {
        let make = Function::new_with_args(
            "response",
            "return { reader: response.body.getReader(), pieces: [], length: 0 };",
        );
        Self(make.call1(&JsValue::UNDEFINED, response).unwrap())
    }

    /// All that has come, once that is so many bytes.
    async fn read_to(&self, length: u32) -> Vec<u8> {
        let read = Function::new_with_args(
            "body, length",
            "return (async () => {
               while (body.length < length) {
                 const { done, value } = await body.reader.read();
                 if (done) throw new Error('the body has ended');
                 body.pieces.push(value);
                 body.length += value.length;
               }
               return new Blob(body.pieces).arrayBuffer();
             })();",
        );
        let promise = read.call2(&JsValue::UNDEFINED, &self.0, &length.into()).unwrap();
        let promise: js_sys::Promise = promise.unchecked_into();
        Uint8Array::new(&JsFuture::from(promise).await.unwrap()).to_vec()
    }
}

#[wasm_bindgen_test]
async fn a_manifest_of_other_bytes_does_not_spoil_what_the_origin_sends() {
    let (origin, image) = (Origin::new(), bytes(9, IMAGE));
    let lie = origin.put_shared("/disagree.jpg", &bytes(10, IMAGE), "\"v1\"");
    origin.call(
        "put",
        &[
            "/disagree.jpg".into(),
            Uint8Array::from(&image[..]).into(),
            "\"v1\"".into(),
            described(&lie),
        ],
    );
    let worker = Worker::start().await;

    let response = respond(&worker, "/disagree.jpg", None).await;

    assert!(body(&response).await.unwrap() == image);
    assert!(nothing_stored(&lie).await);
}

#[wasm_bindgen_test]
async fn a_manifest_of_an_older_version_that_comes_first_does_not_stop_the_present_one() {
    let (origin, image) = (Origin::new(), bytes(13, IMAGE));
    let old = manifest("/updated.jpg", &bytes(14, IMAGE + 7), "\"v0\"");
    let arguments = ["/updated.jpg".into(), Uint8Array::from(&image[..]).into()];
    origin.call("put", &[&arguments[..], &["\"v1\"".into(), described(&old)]].concat());
    origin.call("manifestFirst", &["/updated.jpg".into()]);
    let worker = Worker::start().await;

    let response = respond(&worker, "/updated.jpg", None).await;

    assert_eq!(header(&response, "Content-Length").as_deref(), Some("3200000"));
    assert!(body(&response).await.unwrap() == image);
    assert!(nothing_stored(&old).await);
}

async fn nothing_stored(manifest: &Manifest) -> bool {
    for chunk in manifest.layout.chunks() {
        if store::chunk(manifest.content_id(), chunk).await.unwrap().is_some() {
            return false;
        }
    }
    true
}

#[wasm_bindgen_test]
async fn readers_at_the_same_time_share_one_transfer() {
    let (origin, image) = (Origin::new(), bytes(11, IMAGE));
    origin.put_shared("/shared.jpg", &image, "\"v1\"");
    let worker = Worker::start().await;
    origin.log();

    let (first, second) = futures::join!(
        respond(&worker, "/shared.jpg", None),
        respond(&worker, "/shared.jpg", None)
    );
    let (first, second) = futures::join!(body(&first), body(&second));

    assert!(first.unwrap() == image && second.unwrap() == image);
    let asked: u64 = origin.requests_for("/shared.jpg").iter().map(|line| length_of(line)).sum();
    assert_eq!(asked, IMAGE as u64, "each byte is asked for once");
}

#[wasm_bindgen_test]
async fn an_origin_that_knows_no_ranges_is_delivered_in_ranges_and_kept_all_the_same() {
    let (origin, image) = (Origin::new(), bytes(15, IMAGE));
    let manifest = origin.put_shared("/rangeless.jpg", &image, "\"v1\"");
    origin.call("ignoreRanges", &["/rangeless.jpg".into(), "known".into()]);
    let worker = Worker::start().await;

    let part = respond(&worker, "/rangeless.jpg", Some("bytes=700000-700999")).await;

    assert_eq!(part.status(), 206);
    let expected = format!("bytes 700000-700999/{IMAGE}");
    assert_eq!(header(&part, "Content-Range"), Some(expected));
    assert!(body(&part).await.unwrap() == image[700_000..701_000]);
    let whole = respond(&worker, "/rangeless.jpg", None).await;
    assert_eq!((whole.status(), body(&whole).await.unwrap() == image), (200, true));
    stored(&manifest).await;
}

#[wasm_bindgen_test]
async fn an_origin_that_sends_everything_is_not_read_faster_than_the_page_reads() {
    // Bytes that are kept in memory ahead of a reader, and what streams may hold besides.
    const READ_AHEAD: f64 = 8.0 * 1024.0 * 1024.0;
    const BUFFERS: f64 = 1024.0 * 1024.0;
    let (origin, film) = (Origin::new(), bytes(16, 20_000_000));
    put_unshared(&origin, "/film.jpg", &film, "\"v1\"");
    origin.call("ignoreRanges", &["/film.jpg".into(), "known".into()]);
    let taken = || origin.call("taken", &["/film.jpg".into()]).as_f64().unwrap();
    let worker = Worker::start().await;

    let response = respond(&worker, "/film.jpg", None).await;
    // There is no event that says that nothing happens.
    let mut before = 0.0;
    while taken() > before || before == 0.0 {
        before = taken();
        gloo_timers::future::TimeoutFuture::new(200).await;
    }
    assert!(taken() <= READ_AHEAD + BUFFERS, "{} bytes", taken());

    assert!(body(&response).await.unwrap() == film);
}

#[wasm_bindgen_test]
async fn a_whole_answer_of_unknown_or_encoded_length_is_left_to_the_browser() {
    let (origin, image) = (Origin::new(), bytes(17, IMAGE));
    let worker = Worker::start().await;
    for (url, length) in [("/unknown.jpg", "unknown"), ("/encoded.jpg", "encoded")] {
        put_unshared(&origin, url, &image, "\"v1\"");
        origin.call("ignoreRanges", &[url.into(), length.into()]);

        let response = respond(&worker, url, Some("bytes=0-9")).await;

        assert_eq!(response.status(), 200);
        assert!(body(&response).await.unwrap() == image, "{url}");
    }
}

#[wasm_bindgen_test]
async fn a_file_that_changes_at_an_origin_without_ranges_is_an_error_and_never_a_mixture() {
    let (origin, old, new) = (Origin::new(), bytes(18, 20_000_000), bytes(19, 20_000_000));
    put_unshared(&origin, "/turning.jpg", &old, "\"old\"");
    origin.call("ignoreRanges", &["/turning.jpg".into(), "known".into()]);
    let worker = Worker::start().await;
    let first = respond(&worker, "/turning.jpg", None).await;
    let arguments = ["/turning.jpg".into(), Uint8Array::from(&new[..]).into(), "\"new\"".into()];
    origin.call("put", &arguments);
    origin.call("ignoreRanges", &["/turning.jpg".into(), "known".into()]);

    // Behind what the first answer has been read to: another request.
    let second = respond(&worker, "/turning.jpg", Some("bytes=19000000-")).await;

    let (first, second) = futures::join!(body(&first), body(&second));
    assert!(first.is_err() || first.unwrap() == old);
    assert!(second.is_err() || second.unwrap() == old[19_000_000..]);
}

fn length_of(line: &str) -> u64 {
    let (first, last) = line.rsplit_once('=').unwrap().1.split_once('-').unwrap();
    last.parse::<u64>().unwrap().min(IMAGE as u64 - 1) + 1 - first.parse::<u64>().unwrap()
}

#[wasm_bindgen_test]
async fn a_content_too_long_for_usual_chunks_is_verified_though_its_origin_speaks_first() {
    const LENGTH: u64 = 17 << 30;
    let layout = Layout::of_length(LENGTH).unwrap();
    assert_eq!(layout.chunk_size(), 512 * 1024);
    let hashes = vec![ChunkHash::of(&[0; 512 * 1024]); layout.chunk_count() as usize];
    let (mime, etag) = ("image/jpeg".to_owned(), Some("\"v1\"".to_owned()));
    let manifest = Manifest::new("/long.jpg".to_owned(), layout, mime, etag, None, hashes).unwrap();
    let origin = Origin::new();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let length = JsValue::from(LENGTH as f64);
    let put = ["/long.jpg".into(), length, "\"v1\"".into(), described(&manifest)];
    origin.call("putZeros", &put);
    let worker = Worker::start().await;

    let start = 10_u64 << 30;
    let range = format!("bytes={start}-{}", start + (1 << 20) - 1);
    let response = respond(&worker, "/long.jpg", Some(&range)).await;

    assert_eq!(response.status(), 206);
    assert!(body(&response).await.unwrap() == [0; 1 << 20]);
    for chunk in [20_480, 20_481].map(ChunkIndex) {
        while store::chunk(manifest.content_id(), chunk).await.unwrap().is_none() {
            gloo_timers::future::TimeoutFuture::new(5).await;
        }
    }
}

#[wasm_bindgen_test]
async fn a_document_that_is_missing_or_unreadable_is_the_default() {
    let catalogue: Catalogue = store::document("/dcdn/store/nothing").await;
    assert_eq!(catalogue, Catalogue::default());
    let response = Response::new_with_opt_str(Some("{not json")).unwrap();
    store::put(dcdn_protocol::store::CACHE, "/dcdn/store/broken", &response).await.unwrap();
    let catalogue: Catalogue = store::document("/dcdn/store/broken").await;
    assert_eq!(catalogue, Catalogue::default());
}

#[wasm_bindgen_test]
async fn a_catalogue_survives_the_store() {
    let mut catalogue = Catalogue::default();
    let content = ContentId([7; 32]);
    catalogue.urls.insert("/a.jpg".to_owned(), content);
    catalogue.contents.entry(content).or_default().chunks.insert_run(0..5);

    store::put_document("/dcdn/store/catalogue-copy", &catalogue).await.unwrap();

    assert_eq!(store::document::<Catalogue>("/dcdn/store/catalogue-copy").await, catalogue);
}
