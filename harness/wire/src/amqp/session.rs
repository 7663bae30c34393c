//! What a connection's frames mean, given the frames before them.

use std::collections::BTreeMap;
use std::sync::Arc;

use harness_model::event::{Message, Side, Step};
use harness_model::name::Name;

use super::Settings;
use super::channel::{Channel, Declared, Source};
use super::content::{Carrier, Content};
use super::frame::{self, Frame, Kind, undecodable};
use super::lost;
use super::method::{self, Method};
use crate::codec::{Direction, Undecodable, Unit};
use crate::in_flight::InFlight;

/// What both peers have said so far, as far as later frames depend on it.
#[derive(Debug)]
pub(super) struct Session {
    settings: Arc<Settings>,
    in_flight: InFlight,
    channels: BTreeMap<u16, Channel>,
    vhost: String,
    heartbeat: u16,
    frame_max: u32,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close_channels();
    }
}

impl Session {
    pub(super) fn new(settings: Arc<Settings>, in_flight: InFlight) -> Self {
        let (channels, vhost) = Default::default();
        Self {
            settings,
            in_flight,
            channels,
            vhost,
            heartbeat: 0,
            frame_max: 0,
        }
    }

    /// With its connection, everything unsettled goes back to the broker.
    fn close_channels(&mut self) {
        for channel in self.channels.values_mut() {
            channel.close(&self.in_flight);
        }
    }

    /// A unit was taken out of the stream: see [`lost`].
    pub(super) fn lost(&mut self, direction: Direction, unit: &Unit, behind: &mut [Unit]) {
        let open = lost::still_open(unit, behind);
        if let Some(channel) = unit.chan.and_then(|chan| self.channels.get_mut(&chan)) {
            channel.reopen(direction, open);
        }
    }

    /// Takes the frames of incomplete contents.
    pub(super) fn leftover(&mut self, direction: Direction) -> Vec<u8> {
        let channels = self.channels.values_mut();
        channels
            .filter_map(|channel| channel.pending(direction).take())
            .flat_map(|c| c.bytes)
            .collect()
    }

    /// Takes the next frame of a direction; appends a unit unless a content is still incomplete.
    pub(super) fn frame(
        &mut self,
        direction: Direction,
        frame: &Frame<'_>,
        units: &mut Vec<Unit>,
    ) -> Result<(), Undecodable> {
        let by = if direction == Direction::ToServer {
            Side::Client
        } else {
            Side::Server
        };
        let chan = (frame.channel != 0).then_some(frame.channel);
        let mut give = |bytes: Vec<u8>, step: Option<Step>| {
            units.push(Unit {
                bytes,
                chan,
                request: None,
                step,
            });
        };
        match frame.kind {
            Kind::ProtocolHeader => give(frame.bytes.to_vec(), None),
            Kind::Heartbeat => {
                // They are on channel 0 (section 4.2.7). On another one it must not overtake a content, which ends there.
                let channel = self.channels.get_mut(&frame.channel);
                if let Some(content) = channel.and_then(|channel| channel.pending(direction).take()) {
                    give(content.bytes, None);
                }
                give(frame.bytes.to_vec(), Some(Step::Heartbeat { by }));
            }
            Kind::Method if chan.is_none() => {
                let (bytes, step) = self.connection_method(by, method::parse(frame.payload)?, frame)?;
                give(bytes, step);
            }
            Kind::Method => {
                let method = method::parse(frame.payload)?;
                let channel = self.channels.entry(frame.channel).or_default();
                // A content that another method interrupts will never be whole.
                if let Some(content) = channel.pending(direction).take() {
                    give(content.bytes, None);
                }
                match begin_content(channel, method, frame) {
                    Ok(content) => *channel.pending(direction) = Some(content),
                    Err(method) => {
                        let step = channel_method(channel, by, method, &self.in_flight);
                        give(frame.bytes.to_vec(), step);
                    }
                }
            }
            Kind::Header | Kind::Body => {
                let channel = self.channels.entry(frame.channel).or_default();
                let header = frame.kind == Kind::Header;
                let pending = channel.pending(direction);
                let expected = |content: &&mut Content| content.has_header() != header;
                let Some(content) = pending.as_mut().filter(expected) else {
                    if let Some(content) = pending.take() {
                        give(content.bytes, None);
                    }
                    give(frame.bytes.to_vec(), None);
                    return Ok(());
                };
                let message = if header {
                    // If it cannot be read, the frame itself is still with the splitter.
                    content.header(frame, &self.settings)?
                } else {
                    content.body(frame, &self.settings)
                };
                if let Some(message) = message
                    && let Some(content) = pending.take()
                {
                    let step = end_content(channel, content.carrier, message, &self.in_flight);
                    give(content.bytes, Some(step));
                }
            }
        }
        Ok(())
    }

    /// A method of channel 0: the bytes to forward, and its step.
    fn connection_method(
        &mut self,
        by: Side,
        method: Method<'_>,
        frame: &Frame<'_>,
    ) -> Result<(Vec<u8>, Option<Step>), Undecodable> {
        let step = match method {
            Method::Open { vhost, rest } => {
                let wanted = self.settings.options.vhost.as_deref();
                let bytes = wanted.map_or_else(|| Ok(frame.bytes.to_vec()), |vhost| open(vhost, rest))?;
                self.vhost = wanted.unwrap_or(&vhost).to_owned();
                return Ok((bytes, None));
            }
            Method::TuneOk { frame_max, heartbeat } => {
                (self.frame_max, self.heartbeat) = (frame_max, heartbeat);
                None
            }
            Method::OpenOk => Some(Step::AmqpOpened {
                vhost: self.vhost.clone(),
                heartbeat: self.heartbeat,
                frame_max: self.frame_max,
            }),
            Method::ConnectionClose { code, text } => {
                self.close_channels();
                Some(Step::AmqpClosed {
                    by,
                    code,
                    text: text.into_owned(),
                })
            }
            Method::Blocked { reason } => Some(Step::Blocked {
                reason: reason.into_owned(),
            }),
            Method::Unblocked => Some(Step::Unblocked),
            _ => None,
        };
        Ok((frame.bytes.to_vec(), step))
    }
}

/// `connection.open` for another virtual host.
fn open(vhost: &str, rest: &[u8]) -> Result<Vec<u8>, Undecodable> {
    let len = u8::try_from(vhost.len()).map_err(|_| undecodable("virtual host of more than 255 bytes"))?;
    let mut payload = vec![0, 10, 0, 40, len];
    payload.extend_from_slice(vhost.as_bytes());
    payload.extend_from_slice(rest);
    frame::method_frame(0, &payload)
}

/// The beginning of a content, or the method back if it has none.
fn begin_content<'a>(
    channel: &mut Channel,
    method: Method<'a>,
    frame: &Frame<'_>,
) -> Result<Content, Method<'a>> {
    let (carrier, exchange, key) = match method {
        Method::Publish {
            exchange,
            key,
            mandatory,
        } => (Carrier::Publish { mandatory }, exchange, key),
        Method::Return {
            code,
            text,
            exchange,
            key,
        } => (
            Carrier::Return {
                code,
                text: text.into_owned(),
            },
            exchange,
            key,
        ),
        Method::Deliver {
            consumer,
            tag,
            redelivered,
            exchange,
            key,
        } => {
            let (consumer, source) = channel.consumer(&consumer);
            (
                Carrier::Deliver {
                    tag,
                    consumer,
                    source,
                    redelivered,
                },
                exchange,
                key,
            )
        }
        Method::GetOk {
            tag,
            redelivered,
            exchange,
            key,
        } => {
            let source = channel.getting.pop_front();
            (
                Carrier::Deliver {
                    tag,
                    consumer: Name::new(""),
                    source,
                    redelivered,
                },
                exchange,
                key,
            )
        }
        other => return Err(other),
    };
    Ok(Content::new(
        carrier,
        exchange.into_owned(),
        key.into_owned(),
        frame,
    ))
}

/// The step that a method with its content is.
fn end_content(channel: &mut Channel, carrier: Carrier, message: Message, in_flight: &InFlight) -> Step {
    match carrier {
        Carrier::Publish { mandatory } => Step::Publish {
            tag: channel.published(message.key.as_ref()),
            mandatory,
            message,
        },
        Carrier::Return { code, text } => Step::Return { code, text, message },
        Carrier::Deliver {
            tag,
            consumer,
            source,
            redelivered,
        } => {
            let queue = source.as_ref().map(|source| source.queue.clone());
            if !source.is_some_and(|source| source.no_ack) {
                channel.delivered(tag, message.key.as_ref(), queue.as_ref(), in_flight);
            }
            Step::Deliver {
                tag,
                consumer,
                queue,
                redelivered,
                message,
            }
        }
    }
}

/// The step that a method without content is, if it is one.
fn channel_method(channel: &mut Channel, by: Side, method: Method<'_>, in_flight: &InFlight) -> Option<Step> {
    match method {
        Method::ChannelOpenOk => Some(Step::ChannelOpened),
        Method::ChannelClose { code, text } => {
            channel.close(in_flight);
            Some(Step::ChannelClosed {
                by,
                code,
                text: text.into_owned(),
            })
        }
        Method::ChannelCloseOk => {
            channel.closed(in_flight);
            None
        }
        Method::DeclareExchange {
            name,
            passive,
            durable,
        } => Some(Step::Declare {
            what: "exchange".into(),
            name: Name::new(name),
            durable,
            passive,
        }),
        Method::DeclareQueue {
            name,
            passive,
            durable,
            nowait,
        } => {
            let nameless = name.is_empty();
            if !nowait {
                channel
                    .declaring
                    .push_back(nameless.then_some(Declared { durable, passive }));
            }
            (!nameless).then(|| declare_queue(channel, Name::new(name), Declared { durable, passive }))
        }
        Method::DeclareQueueOk { name } => {
            let declared = channel.declaring.pop_front().flatten();
            declared.map(|declared| declare_queue(channel, Name::new(name), declared))
        }
        Method::BindQueue { queue, exchange, key } => Some(Step::Bind {
            queue: channel.queue(&queue),
            exchange: Name::new(exchange),
            key: key.into_owned(),
        }),
        Method::UnbindQueue { queue, exchange, key } => Some(Step::Unbind {
            queue: channel.queue(&queue),
            exchange: Name::new(exchange),
            key: key.into_owned(),
        }),
        Method::DeleteExchange { name } => Some(Step::Delete {
            what: "exchange".into(),
            name: Name::new(name),
        }),
        Method::DeleteQueue { name } => Some(Step::Delete {
            what: "queue".into(),
            name: channel.queue(&name),
        }),
        Method::Qos { prefetch, global } => Some(Step::Qos { prefetch, global }),
        Method::ConfirmSelect => {
            channel.select_confirms();
            Some(Step::ConfirmSelect)
        }
        Method::Consume {
            queue,
            consumer,
            no_ack,
            nowait,
        } => {
            let source = Source {
                queue: channel.queue(&queue),
                no_ack,
            };
            if nowait {
                return Some(consume(channel, Name::new(consumer), source));
            }
            channel.consuming.push_back(source);
            None
        }
        Method::ConsumeOk { consumer } => {
            let source = channel.consuming.pop_front();
            source.map(|source| consume(channel, Name::new(consumer), source))
        }
        Method::Cancel { consumer } => {
            let (consumer, source) = channel.consumer(&consumer);
            if by == Side::Server {
                channel.cancelled(&consumer);
            }
            Some(Step::Cancel {
                by,
                consumer,
                queue: source.map(|source| source.queue),
            })
        }
        Method::CancelOk { consumer } => {
            channel.cancelled(&consumer);
            None
        }
        Method::Get { queue, no_ack } => {
            let source = Source {
                queue: channel.queue(&queue),
                no_ack,
            };
            channel.getting.push_back(source);
            None
        }
        Method::GetEmpty => {
            channel.getting.pop_front();
            None
        }
        Method::Ack { tag, multiple } => Some(match by {
            Side::Client => Step::Ack {
                covers: channel.settled(tag, multiple, in_flight),
            },
            _ => Step::Confirm {
                ok: true,
                covers: channel.confirmed(tag, multiple),
            },
        }),
        Method::Nack {
            tag,
            multiple,
            requeue,
        } => Some(match by {
            Side::Client => Step::Nack {
                requeue,
                covers: channel.settled(tag, multiple, in_flight),
            },
            _ => Step::Confirm {
                ok: false,
                covers: channel.confirmed(tag, multiple),
            },
        }),
        // The broker answers by delivering everything anew, as after a nack of everything.
        Method::Recover => Some(Step::Nack {
            requeue: true,
            covers: channel.settled(0, true, in_flight),
        }),
        _ => None,
    }
}

fn declare_queue(channel: &mut Channel, name: Name, declared: Declared) -> Step {
    channel.last_queue = Some(name.clone());
    let Declared { durable, passive } = declared;
    Step::Declare {
        what: "queue".into(),
        name,
        durable,
        passive,
    }
}

fn consume(channel: &mut Channel, consumer: Name, source: Source) -> Step {
    let Source { queue, no_ack } = source.clone();
    channel.consumes(consumer.clone(), source);
    Step::Consume {
        queue,
        consumer,
        no_ack,
    }
}
