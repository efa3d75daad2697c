//! Reading chunks from the browser's store, to upload them. Only the worker writes there.

use dcdn_protocol::{ChunkIndex, ContentId, store};
use js_sys::ArrayBuffer;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{CacheQueryOptions, Response};

use crate::browser;
use crate::error::ShimError;

/// The bytes of a chunk, or `None` if the store does not hold it (any more).
///
/// # Errors
/// If the browser refuses access to the store.
pub async fn read_chunk(
    content: ContentId,
    chunk: ChunkIndex,
) -> Result<Option<ArrayBuffer>, ShimError> {
    let options = CacheQueryOptions::new();
    options.set_cache_name(store::CACHE);
    let caches = browser::window()?.caches()?;
    let found = caches.match_with_str_and_options(&store::chunk_path(content, chunk), &options);
    let Ok(response) = JsFuture::from(found).await?.dyn_into::<Response>() else {
        return Ok(None);
    };
    let bytes = JsFuture::from(response.array_buffer()?).await?;
    Ok(Some(bytes.unchecked_into()))
}
