//! Decodes the methods that leave a trace in the ledger; all others pass as [`Method::Other`], known or not.
//!
//! Numbers and arguments are those of the AMQP 0-9-1 specification's XML and of RabbitMQ's extensions.

use std::borrow::Cow;

use super::frame::undecodable;
use super::table::Reader;
use crate::codec::Undecodable;

type Text<'a> = Cow<'a, str>;

/// A method with the arguments that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Method<'a> {
    TuneOk {
        frame_max: u32,
        heartbeat: u16,
    },
    /// `rest` is what follows the virtual host.
    Open {
        vhost: Text<'a>,
        rest: &'a [u8],
    },
    OpenOk,
    ConnectionClose {
        code: u16,
        text: Text<'a>,
    },
    ConnectionCloseOk,
    Blocked {
        reason: Text<'a>,
    },
    Unblocked,
    ChannelOpenOk,
    ChannelClose {
        code: u16,
        text: Text<'a>,
    },
    ChannelCloseOk,
    DeclareExchange {
        name: Text<'a>,
        passive: bool,
        durable: bool,
    },
    DeclareQueue {
        name: Text<'a>,
        passive: bool,
        durable: bool,
        nowait: bool,
    },
    DeclareQueueOk {
        name: Text<'a>,
    },
    BindQueue {
        queue: Text<'a>,
        exchange: Text<'a>,
        key: Text<'a>,
    },
    UnbindQueue {
        queue: Text<'a>,
        exchange: Text<'a>,
        key: Text<'a>,
    },
    DeleteExchange {
        name: Text<'a>,
    },
    DeleteQueue {
        name: Text<'a>,
    },
    Qos {
        prefetch: u16,
        global: bool,
    },
    Consume {
        queue: Text<'a>,
        consumer: Text<'a>,
        no_ack: bool,
        nowait: bool,
    },
    ConsumeOk {
        consumer: Text<'a>,
    },
    Cancel {
        consumer: Text<'a>,
    },
    CancelOk {
        consumer: Text<'a>,
    },
    Publish {
        exchange: Text<'a>,
        key: Text<'a>,
        mandatory: bool,
    },
    Return {
        code: u16,
        text: Text<'a>,
        exchange: Text<'a>,
        key: Text<'a>,
    },
    Deliver {
        consumer: Text<'a>,
        tag: u64,
        redelivered: bool,
        exchange: Text<'a>,
        key: Text<'a>,
    },
    Get {
        queue: Text<'a>,
        no_ack: bool,
    },
    GetOk {
        tag: u64,
        redelivered: bool,
        exchange: Text<'a>,
        key: Text<'a>,
    },
    GetEmpty,
    Ack {
        tag: u64,
        multiple: bool,
    },
    Nack {
        tag: u64,
        multiple: bool,
        requeue: bool,
    },
    Recover,
    ConfirmSelect,
    Other,
}

/// Reads a method's payload.
///
/// # Errors
/// The arguments end early.
pub(super) fn parse(payload: &[u8]) -> Result<Method<'_>, Undecodable> {
    let mut reader = Reader(payload);
    let (Some(class), Some(method)) = (reader.u16(), reader.u16()) else {
        return Err(undecodable("a method without its number"));
    };
    arguments(class, method, reader)
        .ok_or_else(|| undecodable(format!("method {class}.{method} whose arguments end early")))
}

fn arguments(class: u16, method: u16, mut reader: Reader<'_>) -> Option<Method<'_>> {
    let r = &mut reader;
    Some(match (class, method) {
        (10, 31) => {
            r.u16()?;
            Method::TuneOk {
                frame_max: r.u32()?,
                heartbeat: r.u16()?,
            }
        }
        (10, 40) => Method::Open {
            vhost: r.short()?,
            rest: r.0,
        },
        (10, 41) => Method::OpenOk,
        (10, 50) => Method::ConnectionClose {
            code: r.u16()?,
            text: r.short()?,
        },
        (10, 51) => Method::ConnectionCloseOk,
        (10, 60) => Method::Blocked { reason: r.short()? },
        (10, 61) => Method::Unblocked,
        (20, 11) => Method::ChannelOpenOk,
        (20, 40) => Method::ChannelClose {
            code: r.u16()?,
            text: r.short()?,
        },
        (20, 41) => Method::ChannelCloseOk,
        (40, 10) => {
            r.u16()?;
            let (name, _kind, bits) = (r.short()?, r.short()?, r.u8()?);
            Method::DeclareExchange {
                name,
                passive: bit(bits, 0),
                durable: bit(bits, 1),
            }
        }
        (40, 20) => {
            r.u16()?;
            Method::DeleteExchange { name: r.short()? }
        }
        (50, 10) => {
            r.u16()?;
            let (name, bits) = (r.short()?, r.u8()?);
            Method::DeclareQueue {
                name,
                passive: bit(bits, 0),
                durable: bit(bits, 1),
                nowait: bit(bits, 4),
            }
        }
        (50, 11) => Method::DeclareQueueOk { name: r.short()? },
        (50, 20) => {
            r.u16()?;
            Method::BindQueue {
                queue: r.short()?,
                exchange: r.short()?,
                key: r.short()?,
            }
        }
        (50, 40) => {
            r.u16()?;
            Method::DeleteQueue { name: r.short()? }
        }
        (50, 50) => {
            r.u16()?;
            Method::UnbindQueue {
                queue: r.short()?,
                exchange: r.short()?,
                key: r.short()?,
            }
        }
        (60, 10) => {
            r.u32()?;
            Method::Qos {
                prefetch: r.u16()?,
                global: bit(r.u8()?, 0),
            }
        }
        (60, 20) => {
            r.u16()?;
            let (queue, consumer, bits) = (r.short()?, r.short()?, r.u8()?);
            Method::Consume {
                queue,
                consumer,
                no_ack: bit(bits, 1),
                nowait: bit(bits, 3),
            }
        }
        (60, 21) => Method::ConsumeOk { consumer: r.short()? },
        (60, 30) => Method::Cancel { consumer: r.short()? },
        (60, 31) => Method::CancelOk { consumer: r.short()? },
        (60, 40) => {
            r.u16()?;
            Method::Publish {
                exchange: r.short()?,
                key: r.short()?,
                mandatory: bit(r.u8()?, 0),
            }
        }
        (60, 50) => Method::Return {
            code: r.u16()?,
            text: r.short()?,
            exchange: r.short()?,
            key: r.short()?,
        },
        (60, 60) => Method::Deliver {
            consumer: r.short()?,
            tag: r.u64()?,
            redelivered: bit(r.u8()?, 0),
            exchange: r.short()?,
            key: r.short()?,
        },
        (60, 70) => {
            r.u16()?;
            Method::Get {
                queue: r.short()?,
                no_ack: bit(r.u8()?, 0),
            }
        }
        (60, 71) => Method::GetOk {
            tag: r.u64()?,
            redelivered: bit(r.u8()?, 0),
            exchange: r.short()?,
            key: r.short()?,
        },
        (60, 72) => Method::GetEmpty,
        (60, 80) => Method::Ack {
            tag: r.u64()?,
            multiple: bit(r.u8()?, 0),
        },
        (60, 90) => Method::Nack {
            tag: r.u64()?,
            multiple: false,
            requeue: bit(r.u8()?, 0),
        },
        (60, 100 | 110) => Method::Recover,
        (60, 120) => {
            let (tag, bits) = (r.u64()?, r.u8()?);
            Method::Nack {
                tag,
                multiple: bit(bits, 0),
                requeue: bit(bits, 1),
            }
        }
        (85, 10) => Method::ConfirmSelect,
        _ => Method::Other,
    })
}

fn bit(bits: u8, index: u32) -> bool {
    bits >> index & 1 == 1
}
