//! What the tests of the worker share: a stand-in for the site's server, and contents.
#![allow(clippy::unwrap_used, missing_docs)]

use dcdn_protocol::{ChunkHash, Layout, Manifest};
use js_sys::{Array, Function, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

/// Stands in for the site's server: see `fake_origin.js`.
pub struct Origin(JsValue);

impl Origin {
    pub fn new() -> Self {
        js_sys::eval(include_str!("fake_origin.js")).unwrap();
        Self(get(&js_sys::global(), "fakeOrigin"))
    }

    pub fn call(&self, method: &str, arguments: &[JsValue]) -> JsValue {
        let method: Function = get(&self.0, method).unchecked_into();
        method.apply(&self.0, &arguments.iter().collect::<Array>()).unwrap()
    }

    pub fn put_shared(&self, url: &str, bytes: &[u8], etag: &str) -> Manifest {
        let manifest = manifest(url, bytes, etag);
        let view = Uint8Array::from(bytes);
        self.call("put", &[url.into(), view.into(), etag.into(), described(&manifest)]);
        manifest
    }

    pub fn log(&self) -> Vec<String> {
        Array::from(&self.call("log", &[])).iter().map(|line| line.as_string().unwrap()).collect()
    }

    pub fn requests_for(&self, url: &str) -> Vec<String> {
        self.log().into_iter().filter(|line| line.starts_with(url)).collect()
    }
}

pub fn manifest(url: &str, bytes: &[u8], etag: &str) -> Manifest {
    let layout = Layout::new(bytes.len() as u64, 256 * 1024).unwrap();
    let hashes = bytes.chunks(256 * 1024).map(ChunkHash::of).collect();
    let (mime, etag) = ("image/jpeg".to_owned(), Some(etag.to_owned()));
    Manifest::new(url.to_owned(), layout, mime, etag, None, hashes).unwrap()
}

/// A manifest as the stand-in serves it.
pub fn described(manifest: &Manifest) -> JsValue {
    let described = Object::new();
    let frame = Uint8Array::from(&manifest.encode().unwrap()[..]);
    Reflect::set(&described, &"id".into(), &manifest.content_id().to_string().into()).unwrap();
    Reflect::set(&described, &"frame".into(), &frame).unwrap();
    described.into()
}

pub fn get(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap()
}

/// Bytes that differ from chunk to chunk and from seed to seed.
pub fn bytes(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    (0..length).map(step).collect()
}
