//! Cuts one direction of a connection into frames (AMQP 0-9-1 specification, section 2.3).

use crate::codec::Undecodable;

/// A frame of a larger payload is taken for garbage; RabbitMQ never agrees to more than 128 KiB by default.
const LARGEST: usize = 128 * 1024 * 1024;
/// Type, channel and size before the payload.
const HEAD: usize = 7;
const END: u8 = 0xCE;
const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\0\0\x09\x01";

/// Types of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The eight bytes that a connection begins with; no frame in the specification's sense.
    ProtocolHeader,
    Method,
    Header,
    Body,
    Heartbeat,
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) channel: u16,
    pub(super) payload: &'a [u8],
    /// The whole of it, payload included.
    pub(super) bytes: &'a [u8],
}

/// Remembers how a direction goes on.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    begun: bool,
    rest: Vec<u8>,
}

impl Splitter {
    /// Gives every frame that is complete with `input` to `take`, in order, and keeps the rest.
    ///
    /// # Errors
    /// From here on the bytes are no frames, or `take` says so. Bytes that were not taken are kept.
    pub(super) fn push(
        &mut self,
        input: &[u8],
        client: bool,
        mut take: impl FnMut(Frame<'_>) -> Result<(), Undecodable>,
    ) -> Result<(), Undecodable> {
        let mut kept = std::mem::take(&mut self.rest);
        let joined = !kept.is_empty();
        if joined {
            kept.extend_from_slice(input);
        }
        let all = if joined { &kept } else { input };
        let mut taken = 0;
        let result = loop {
            let next = if self.begun {
                frame(&all[taken..])
            } else {
                first(&all[taken..], client)
            };
            match next {
                Ok(Some(frame)) => {
                    self.begun = true;
                    if let Err(error) = take(frame) {
                        break Err(error);
                    }
                    taken += frame.bytes.len();
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // What is joined stays where it is, so that a frame of many reads is not copied with each of them.
        self.rest = if joined {
            kept.drain(..taken);
            kept
        } else {
            input[taken..].to_vec()
        };
        result
    }

    /// Takes the bytes of an incomplete frame.
    pub(super) fn leftover(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }
}

/// What a direction begins with: the protocol header from a client; from a server a frame, or the header of the
/// version that it would rather speak.
fn first(input: &[u8], client: bool) -> Result<Option<Frame<'_>>, Undecodable> {
    let Some(&byte) = input.first() else {
        return Ok(None);
    };
    if !client && byte != PROTOCOL_HEADER[0] {
        return frame(input);
    }
    if byte == 0x16 {
        return Err(undecodable("TLS ClientHello"));
    }
    let bytes = &input[..input.len().min(PROTOCOL_HEADER.len())];
    if !bytes.starts_with(&PROTOCOL_HEADER[..bytes.len().min(4)]) {
        return Err(undecodable(format!(
            "{} where a protocol header should be",
            bytes.escape_ascii()
        )));
    }
    if bytes.len() < PROTOCOL_HEADER.len() {
        return Ok(None);
    }
    if client && bytes != PROTOCOL_HEADER {
        return Err(undecodable(format!("protocol header {}", bytes.escape_ascii())));
    }
    Ok(Some(Frame {
        kind: Kind::ProtocolHeader,
        channel: 0,
        payload: &[],
        bytes,
    }))
}

fn frame(input: &[u8]) -> Result<Option<Frame<'_>>, Undecodable> {
    let kind = match input.first() {
        None => return Ok(None),
        Some(1) => Kind::Method,
        Some(2) => Kind::Header,
        Some(3) => Kind::Body,
        Some(8) => Kind::Heartbeat,
        Some(other) => return Err(undecodable(format!("frame of type {other}"))),
    };
    let Some(&[_, channel_high, channel_low, a, b, c, d]) = input.first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let channel = u16::from_be_bytes([channel_high, channel_low]);
    let size = u32::from_be_bytes([a, b, c, d]) as usize;
    if size > LARGEST {
        return Err(undecodable(format!("frame of {size} bytes")));
    }
    let Some(bytes) = input.get(..HEAD + size + 1) else {
        return Ok(None);
    };
    if bytes[HEAD + size] != END {
        return Err(undecodable(format!("frame of {size} bytes without its end")));
    }
    Ok(Some(Frame {
        kind,
        channel,
        payload: &bytes[HEAD..HEAD + size],
        bytes,
    }))
}

/// The method that the whole frame in `bytes` is.
pub(super) fn method_payload(bytes: &[u8]) -> Option<&[u8]> {
    match frame(bytes) {
        Ok(Some(Frame {
            kind: Kind::Method,
            payload,
            ..
        })) => Some(payload),
        _ => None,
    }
}

/// A frame made anew.
pub(super) fn method_frame(channel: u16, payload: &[u8]) -> Result<Vec<u8>, Undecodable> {
    let size = u32::try_from(payload.len()).map_err(|_| undecodable("a method of more than 4 GiB"))?;
    let mut bytes = Vec::with_capacity(HEAD + payload.len() + 1);
    bytes.push(1);
    bytes.extend_from_slice(&channel.to_be_bytes());
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.push(END);
    Ok(bytes)
}

pub(super) fn undecodable(why: impl Into<String>) -> Undecodable {
    Undecodable { why: why.into() }
}
