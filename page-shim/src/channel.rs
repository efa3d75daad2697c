//! The data channel between two pages: frames in, frames out, backpressure.
//!
//! Kept apart from the connection that carries it, so that a dedicated worker can
//! take it over. A message's body is never copied into wasm memory: only its
//! head is, in either direction.

use std::cell::RefCell;
use std::rc::Rc;

use dcdn_protocol::frame;
use dcdn_protocol::message::peer::{CHANNEL_ID, CHANNEL_LABEL, MAX_MESSAGE, PeerMessage};
use futures::channel::oneshot;
use gloo_events::EventListener;
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    MessageEvent, RtcDataChannel, RtcDataChannelInit, RtcDataChannelState, RtcDataChannelType,
    RtcPeerConnection,
};

use crate::error::ShimError;
use crate::wire;

/// Bytes that may wait in the channel before a piece waits for room.
pub const HIGH_WATER: u32 = 256 * 1024;

/// Bytes left in the channel at which it asks for more. Below [`HIGH_WATER`] by
/// more than a message, so whoever finds no room is always called.
const LOW_WATER: u32 = 128 * 1024;

/// Bytes of a message that are read to find its head: longer than most heads.
const HEAD_GUESS: u32 = 256;

/// What a channel has to say.
#[derive(Debug)]
pub enum ChannelEvent {
    /// It can be sent on.
    Open,
    /// A message, and the bytes after its head.
    Message(PeerMessage, Uint8Array),
    /// Something that is not a message, and why.
    Garbled(ShimError),
    /// It is gone.
    Closed,
}

/// Owns the channel's listeners.
#[derive(Debug)]
pub struct Channel {
    outbox: Outbox,
    _listeners: [EventListener; 4],
}

/// The sending side, to be handed around.
#[derive(Clone, Debug)]
pub struct Outbox {
    channel: RtcDataChannel,
    room: Rc<RefCell<Option<oneshot::Sender<()>>>>,
}

impl Channel {
    /// The one channel of `connection`. Both sides make it, which saves a round trip.
    pub fn new(
        connection: &RtcPeerConnection,
        emit: impl Fn(ChannelEvent) + Clone + 'static,
    ) -> Self {
        let init = RtcDataChannelInit::new();
        init.set_negotiated(true);
        init.set_id(CHANNEL_ID);
        init.set_ordered(false);
        let channel = connection.create_data_channel_with_data_channel_dict(CHANNEL_LABEL, &init);
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(LOW_WATER);

        let outbox = Outbox { channel, room: Rc::default() };
        let listeners = [
            listen(&outbox, "open", &emit, |_| ChannelEvent::Open),
            listen(&outbox, "close", &emit, |_| ChannelEvent::Closed),
            listen(&outbox, "message", &emit, |event| match parse(&event.data()) {
                Ok((message, body)) => ChannelEvent::Message(message, body),
                Err(error) => ChannelEvent::Garbled(error),
            }),
            EventListener::new(&outbox.channel, "bufferedamountlow", {
                let room = Rc::clone(&outbox.room);
                move |_| {
                    if let Some(waiting) = room.take() {
                        // Nobody to wake if the upload has ended.
                        let _ = waiting.send(());
                    }
                }
            }),
        ];
        Self { outbox, _listeners: listeners }
    }

    /// The sending side.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Whether it can be sent on.
    pub fn is_open(&self) -> bool {
        self.outbox.channel.ready_state() == RtcDataChannelState::Open
    }
}

impl Outbox {
    /// Sends a message that has no body.
    ///
    /// # Errors
    /// If the channel is not open, or the message does not fit.
    pub fn send(&self, message: &PeerMessage) -> Result<(), ShimError> {
        let bytes = wire::head(message)?;
        Ok(self.channel.send_with_u8_array(&bytes)?)
    }

    /// Sends a head from `wire::head` and a body, in one message.
    ///
    /// # Errors
    /// If the channel is not open.
    pub fn send_with_body(&self, head: &[u8], body: &Uint8Array) -> Result<(), ShimError> {
        let head_len = length(head.len());
        let message = Uint8Array::new_with_length(head_len + body.length());
        message.subarray(0, head_len).copy_from(head);
        message.set(body, head_len);
        Ok(self.channel.send_with_js_u8_array(&message)?)
    }

    /// Bytes that wait in the channel.
    pub fn buffered(&self) -> u32 {
        self.channel.buffered_amount()
    }

    /// Waits until `bytes` more may be put into the channel. For one task at a time.
    pub async fn room_for(&self, bytes: u32) {
        while self.buffered() + bytes > HIGH_WATER {
            let (called, call) = oneshot::channel();
            self.room.replace(Some(called));
            // Never dropped without a call while this waits; if it were, the loop asks again.
            let _ = call.await;
        }
    }
}

fn listen(
    outbox: &Outbox,
    name: &'static str,
    emit: &(impl Fn(ChannelEvent) + Clone + 'static),
    translate: impl Fn(&MessageEvent) -> ChannelEvent + 'static,
) -> EventListener {
    let emit = emit.clone();
    EventListener::new(&outbox.channel, name, move |event| emit(translate(event.unchecked_ref())))
}

/// Reads a message's head; its body stays where it is.
fn parse(data: &JsValue) -> Result<(PeerMessage, Uint8Array), ShimError> {
    let buffer = data.dyn_ref::<ArrayBuffer>().ok_or(ShimError::NotAMessage(MAX_MESSAGE))?;
    let bytes = Uint8Array::new(buffer);
    let total = bytes.length();
    if total as usize > MAX_MESSAGE {
        return Err(ShimError::NotAMessage(MAX_MESSAGE));
    }
    let mut head = bytes.subarray(0, HEAD_GUESS).to_vec();
    let body_at = frame::body_offset(&head, total as usize)?;
    if body_at > head.len() {
        head = bytes.subarray(0, length(body_at)).to_vec();
    }
    Ok((wire::message(&head[..body_at])?, bytes.subarray(length(body_at), total)))
}

/// A length that [`MAX_MESSAGE`] or a header's `u16` bounds.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
