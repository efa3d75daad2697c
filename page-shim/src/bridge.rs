//! The way to the service worker: a port of our own, and the events that keep it
//! alive or tell that it has died.

use std::cell::RefCell;
use std::rc::Rc;

use dcdn_protocol::message::shim::{
    BODY, HANDSHAKE, KEEP_ALIVE, KEEP_ALIVE_INTERVAL_MS, RECONNECT, ToShim, ToWorker,
};
use gloo_events::EventListener;
use gloo_timers::callback::Interval;
use js_sys::{Array, ArrayBuffer, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{MessageChannel, MessageEvent, MessagePort, ServiceWorker, ServiceWorkerContainer};

use crate::browser;
use crate::error::ShimError;

/// What comes from the worker's side.
#[derive(Debug)]
pub enum BridgeEvent {
    /// A message on the port.
    Message(ToShim),
    /// Another worker is in charge, or the same one has lost its memory: it needs
    /// a new port.
    Changed,
}

/// The page's end. One at a time is connected; see [`Bridge::shake_hands`].
pub struct Bridge {
    container: ServiceWorkerContainer,
    port: RefCell<Option<Port>>,
    keep_alive: RefCell<Option<Interval>>,
    emit: Rc<dyn Fn(BridgeEvent)>,
    _listeners: [EventListener; 2],
}

struct Port {
    port: MessagePort,
    _listener: EventListener,
}

impl Bridge {
    /// A bridge that is not connected yet.
    ///
    /// # Errors
    /// If this is no page.
    pub fn new(emit: Rc<dyn Fn(BridgeEvent)>) -> Result<Self, ShimError> {
        let container = browser::window()?.navigator().service_worker();
        let changed = Rc::clone(&emit);
        let reconnect = Rc::clone(&emit);
        let listeners = [
            EventListener::new(&container, "controllerchange", move |_| {
                changed(BridgeEvent::Changed);
            }),
            EventListener::new(&container, "message", move |event| {
                let event: &MessageEvent = event.unchecked_ref();
                if type_of(&event.data()).as_deref() == Some(RECONNECT) {
                    reconnect(BridgeEvent::Changed);
                }
            }),
        ];
        Ok(Self {
            container,
            port: RefCell::default(),
            keep_alive: RefCell::default(),
            emit,
            _listeners: listeners,
        })
    }

    /// Hands the worker a new port, and says `hello` on it. The old port is closed;
    /// whether the worker is kept alive stays as it is.
    ///
    /// # Errors
    /// [`ShimError::NoWorker`] if none controls the page.
    pub fn shake_hands(&self, hello: &ToWorker) -> Result<(), ShimError> {
        self.close_port();
        let worker = self.controller()?;
        let channel = MessageChannel::new()?;
        let port = channel.port1();
        let emit = Rc::clone(&self.emit);
        let listener = EventListener::new(&port, "message", move |event| {
            let event: &MessageEvent = event.unchecked_ref();
            // Of the same version, so it is a message; if not, nothing depends on an answer.
            if let Ok(message) = dcdn_plain::from_object(&event.data()) {
                emit(BridgeEvent::Message(message));
            }
        });
        port.start();
        let transfer = Array::of1(&channel.port2());
        worker.post_message_with_transferable(&typed(HANDSHAKE), &transfer)?;
        self.port.replace(Some(Port { port, _listener: listener }));
        self.send(hello, None)
    }

    /// Sends a message, and transfers a chunk's bytes with it. Lost if there is no port.
    ///
    /// # Errors
    /// If the message cannot be cloned.
    pub fn send(&self, message: &ToWorker, body: Option<&ArrayBuffer>) -> Result<(), ShimError> {
        let port = self.port.borrow();
        let Some(Port { port, .. }) = port.as_ref() else { return Ok(()) };
        let value = dcdn_plain::to_object(message);
        let Some(body) = body else { return Ok(port.post_message(&value)?) };
        Reflect::set(&value, &JsValue::from_str(BODY), body)?;
        Ok(port.post_message_with_transferable(&value, &Array::of1(body))?)
    }

    /// While `on`, sends the worker the events without which browsers stop it.
    pub fn keep_alive(self: &Rc<Self>, on: bool) {
        if !on {
            self.keep_alive.take();
            return;
        }
        if self.keep_alive.borrow().is_some() {
            return;
        }
        let bridge = Rc::downgrade(self);
        let interval = Interval::new(KEEP_ALIVE_INTERVAL_MS, move || {
            let Some(worker) = bridge.upgrade().and_then(|bridge| bridge.controller().ok()) else {
                return;
            };
            // A worker that is gone has nothing to be kept alive for.
            let _ = worker.post_message(&typed(KEEP_ALIVE));
        });
        self.keep_alive.replace(Some(interval));
    }

    /// Lets the port and the worker go.
    pub fn close(&self) {
        self.keep_alive.take();
        self.close_port();
    }

    fn close_port(&self) {
        if let Some(Port { port, .. }) = self.port.take() {
            port.close();
        }
    }

    fn controller(&self) -> Result<ServiceWorker, ShimError> {
        self.container.controller().ok_or(ShimError::NoWorker)
    }
}

/// `{type: name}`
fn typed(name: &str) -> JsValue {
    let message = Object::new();
    // Setting a property of a plain object does not fail.
    let _ = Reflect::set(&message, &JsValue::from_str("type"), &JsValue::from_str(name));
    message.into()
}

fn type_of(message: &JsValue) -> Option<String> {
    Reflect::get(message, &JsValue::from_str("type")).ok()?.as_string()
}
