//! Bodies of responses, read and made.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use futures::Stream;
use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise, spawn_local};
use web_sys::{
    QueuingStrategy, ReadableStream, ReadableStreamDefaultController, ReadableStreamDefaultReader,
};

use crate::js::property;

/// The pieces of a body. Dropped before the end, it is cancelled.
pub struct Pieces(Option<ReadableStreamDefaultReader>);

impl Pieces {
    /// Of a body that nobody else reads.
    pub fn of(body: &ReadableStream) -> Self {
        Self(Some(body.get_reader().unchecked_into()))
    }

    /// The next piece, or `None` after the last and after an error.
    pub async fn next(&mut self) -> Option<Result<JsValue, JsValue>> {
        let read = JsFuture::from(self.0.as_ref()?.read()).await;
        let piece = read.map(|read| (!property(&read, "done").is_truthy()).then_some(read));
        if !matches!(piece, Ok(Some(_))) {
            self.0 = None;
        }
        Some(piece.transpose()?.map(|read| property(&read, "value")))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        let Some(reader) = self.0.take() else { return };
        let cancelled = JsFuture::from(reader.cancel());
        // Of no consequence: it may have failed already.
        spawn_local(async { drop(cancelled.await) });
    }
}

type Source = Pin<Box<dyn Stream<Item = Result<JsValue, JsValue>>>>;

/// A body that is asked of `source` piece by piece, none ahead of its reader. The source is
/// dropped at its end, after an error, and when the body is cancelled.
///
/// # Errors
/// If the browser has no such streams.
pub fn body(
    source: impl Stream<Item = Result<JsValue, JsValue>> + 'static,
) -> Result<ReadableStream, JsValue> {
    let source = Rc::new(RefCell::new(Some(Box::pin(source) as Source)));
    let cancelled = Rc::clone(&source);
    // The browser drops both with the body.
    let pull: Closure<dyn FnMut(ReadableStreamDefaultController) -> Promise> =
        Closure::new(move |controller| future_to_promise(pull(Rc::clone(&source), controller)));
    let cancel: Closure<dyn FnMut()> = Closure::new(move || drop(cancelled.take()));
    let callbacks = Object::new();
    Reflect::set(&callbacks, &"pull".into(), &pull.into_js_value())?;
    Reflect::set(&callbacks, &"cancel".into(), &cancel.into_js_value())?;
    let strategy = QueuingStrategy::new();
    strategy.set_high_water_mark(0.0);
    ReadableStream::new_with_underlying_source_and_strategy(&callbacks, &strategy)
}

async fn pull(
    source: Rc<RefCell<Option<Source>>>,
    controller: ReadableStreamDefaultController,
) -> Result<JsValue, JsValue> {
    let piece = poll_fn(|context| match source.borrow_mut().as_mut() {
        Some(source) => source.as_mut().poll_next(context),
        None => Poll::Ready(None),
    });
    match piece.await.transpose() {
        Ok(Some(piece)) => controller.enqueue_with_chunk(&piece)?,
        ended => {
            drop(source.take());
            ended?;
            controller.close()?;
        }
    }
    Ok(JsValue::UNDEFINED)
}
