//! A method with its content: put together frame by frame, and read once it is whole.

use harness_model::event::{Message, body_hash};
use harness_model::name::{Key, Name};

use super::frame::{Frame, undecodable};
use super::table::{self, Properties};
use super::{Settings, channel::Source};
use crate::codec::Undecodable;

/// A content that is said to be larger is taken for garbage.
const LARGEST: u64 = 512 * 1024 * 1024;

/// What the content belongs to.
#[derive(Debug)]
pub(super) enum Carrier {
    Publish {
        mandatory: bool,
    },
    Return {
        code: u16,
        text: String,
    },
    Deliver {
        tag: u64,
        consumer: Name,
        source: Option<Source>,
        redelivered: bool,
    },
}

/// A content under construction.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) carrier: Carrier,
    exchange: String,
    routing_key: String,
    properties: Option<Properties>,
    body: Vec<u8>,
    /// All frames so far.
    pub(super) bytes: Vec<u8>,
}

impl Content {
    pub(super) fn new(carrier: Carrier, exchange: String, routing_key: String, method: &Frame<'_>) -> Self {
        let bytes = method.bytes.to_vec();
        Self {
            carrier,
            exchange,
            routing_key,
            properties: None,
            body: Vec::new(),
            bytes,
        }
    }

    /// Whether a body frame, rather than the content header, comes next.
    pub(super) fn has_header(&self) -> bool {
        self.properties.is_some()
    }

    /// Adds the content header. If there is no body, gives the message.
    pub(super) fn header(
        &mut self,
        frame: &Frame<'_>,
        settings: &Settings,
    ) -> Result<Option<Message>, Undecodable> {
        let properties = table::properties(frame.payload, &settings.options.retry_header)
            .ok_or_else(|| undecodable("content header that ends early"))?;
        let size = properties.size;
        if size > LARGEST {
            return Err(undecodable(format!("content of {size} bytes")));
        }
        // One frame for most; a claim alone is not worth more memory.
        self.bytes
            .reserve(frame.bytes.len() + 8 + (size as usize).min(1 << 16));
        self.bytes.extend_from_slice(frame.bytes);
        self.properties = Some(properties);
        Ok((size == 0).then(|| self.message(&[], settings)))
    }

    /// Adds a body frame. If it is the last, gives the message.
    pub(super) fn body(&mut self, frame: &Frame<'_>, settings: &Settings) -> Option<Message> {
        self.bytes.extend_from_slice(frame.bytes);
        let size = self.properties.as_ref().map_or(0, |properties| properties.size);
        if self.body.is_empty() && frame.payload.len() as u64 >= size {
            return Some(self.message(frame.payload, settings));
        }
        self.body.extend_from_slice(frame.payload);
        if (self.body.len() as u64) < size {
            return None;
        }
        let body = std::mem::take(&mut self.body);
        Some(self.message(&body, settings))
    }

    fn message(&mut self, body: &[u8], settings: &Settings) -> Message {
        let properties = self.properties.take().unwrap_or_default();
        let exchange = std::mem::take(&mut self.exchange);
        let routing_key = std::mem::take(&mut self.routing_key);
        let wanted = |(e, k): &(String, String)| *e == exchange && *k == routing_key;
        let body_text = settings
            .options
            .record
            .iter()
            .any(wanted)
            .then(|| str::from_utf8(body).ok())
            .flatten();
        Message {
            key: key(properties.message_id.as_deref(), body, settings),
            size: body.len() as u64,
            hash: body_hash(body),
            persistent: properties.persistent,
            retry: properties.retry,
            death: properties.death,
            body: body_text.map(str::to_owned),
            exchange,
            routing_key,
        }
    }
}

fn key(message_id: Option<&str>, body: &[u8], settings: &Settings) -> Option<Key> {
    message_id
        .and_then(|id| settings.options.injected.get(id))
        .or_else(|| settings.key_paths.find(body))
}
