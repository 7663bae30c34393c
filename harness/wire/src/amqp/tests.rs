//! Every method that leaves a trace, written by another implementation (`amq-protocol`) and read by this one.

mod framing;
mod lost;
mod messages;
mod methods;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, constants, exchange, queue};
use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};
use harness_model::event::{Covered, Message, Side, Step, body_hash};

use super::{AmqpCodec, AmqpOptions};
use crate::codec::{Codec, Direction, Unit};
use crate::in_flight::{InFlight, InjectedKeys};

struct Talk {
    codec: AmqpCodec,
    in_flight: InFlight,
    injected: InjectedKeys,
}

fn bytes(frame: &AMQPFrame) -> Vec<u8> {
    let mut buffer = vec![0; 16 * 1024];
    let (_, len) = gen_frame(frame)(buffer.as_mut_slice().into())
        .unwrap()
        .into_inner();
    buffer.truncate(usize::try_from(len).unwrap());
    buffer
}

fn method(channel: u16, class: AMQPClass) -> AMQPFrame {
    AMQPFrame::Method(channel, class)
}

fn header(channel: u16, size: usize, properties: basic::AMQPProperties) -> AMQPFrame {
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: size as u64,
        properties,
    };
    AMQPFrame::Header(channel, header)
}

fn publish(channel: u16, exchange: &str, key: &str, body: &str) -> Vec<AMQPFrame> {
    let publish = basic::Publish {
        exchange: exchange.into(),
        routing_key: key.into(),
        mandatory: true,
        immediate: false,
    };
    content(
        channel,
        basic::AMQPMethod::Publish(publish),
        basic::AMQPProperties::default(),
        body,
    )
}

fn deliver(channel: u16, tag: u64, body: &str) -> Vec<AMQPFrame> {
    let deliver = basic::Deliver {
        consumer_tag: "c".into(),
        delivery_tag: tag,
        redelivered: tag == 2,
        exchange: "x".into(),
        routing_key: "k".into(),
    };
    content(
        channel,
        basic::AMQPMethod::Deliver(deliver),
        basic::AMQPProperties::default(),
        body,
    )
}

fn content(
    channel: u16,
    carrier: basic::AMQPMethod,
    properties: basic::AMQPProperties,
    body: &str,
) -> Vec<AMQPFrame> {
    let mut frames = vec![
        method(channel, AMQPClass::Basic(carrier)),
        header(channel, body.len(), properties),
    ];
    if !body.is_empty() {
        frames.push(AMQPFrame::Body(channel, body.as_bytes().to_vec()));
    }
    frames
}

fn message(exchange: &str, key: &str, body: &str, of: Option<&str>) -> Message {
    Message {
        exchange: exchange.into(),
        routing_key: key.into(),
        key: of.map(Into::into),
        size: body.len() as u64,
        hash: body_hash(body.as_bytes()),
        ..Message::default()
    }
}

fn covers(of: &[(u64, &str)], queue: Option<&str>) -> Vec<Covered> {
    let cover = |&(tag, key): &(u64, &str)| Covered {
        tag,
        key: Some(key.into()),
        queue: queue.map(Into::into),
    };
    of.iter().map(cover).collect()
}

impl Talk {
    /// A conversation after the protocol header.
    fn new(change: impl FnOnce(&mut AmqpOptions)) -> Self {
        let (in_flight, injected) = (InFlight::new(), InjectedKeys::new());
        let mut options = AmqpOptions {
            key_paths: vec!["seq".into(), "report.seq".into()],
            retry_header: "retries".into(),
            injected: injected.clone(),
            ..AmqpOptions::default()
        };
        change(&mut options);
        let mut codec = AmqpCodec::new(options, in_flight.clone());
        let mut units = Vec::new();
        codec
            .push(Direction::ToServer, b"AMQP\0\0\x09\x01", &mut units)
            .unwrap();
        assert_eq!(units.len(), 1);
        Self {
            codec,
            in_flight,
            injected,
        }
    }

    fn units(&mut self, direction: Direction, frames: &[AMQPFrame]) -> Vec<Unit> {
        let sent: Vec<u8> = frames.iter().flat_map(bytes).collect();
        let mut units = Vec::new();
        self.codec.push(direction, &sent, &mut units).unwrap();
        units
    }

    fn steps(&mut self, direction: Direction, frames: &[AMQPFrame]) -> Vec<Step> {
        self.units(direction, frames)
            .into_iter()
            .filter_map(|unit| unit.step)
            .collect()
    }

    fn client(&mut self, class: AMQPClass) -> Vec<Step> {
        self.steps(Direction::ToServer, &[method(1, class)])
    }

    fn server(&mut self, class: AMQPClass) -> Vec<Step> {
        self.steps(Direction::ToClient, &[method(1, class)])
    }

    fn consume(&mut self, queue: &str, no_ack: bool) {
        let consume = basic::Consume {
            queue: queue.into(),
            no_ack,
            ..basic::Consume::default()
        };
        assert_eq!(
            self.client(AMQPClass::Basic(basic::AMQPMethod::Consume(consume))),
            []
        );
        let ok = basic::ConsumeOk {
            consumer_tag: "c".into(),
        };
        let consume = Step::Consume {
            queue: queue.into(),
            consumer: "c".into(),
            no_ack,
        };
        assert_eq!(
            self.server(AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok))),
            [consume]
        );
    }

    fn settle(&mut self, method: basic::AMQPMethod) -> Step {
        let mut steps = self.client(AMQPClass::Basic(method));
        assert_eq!(steps.len(), 1);
        steps.remove(0)
    }
}

fn ack(delivery_tag: u64, multiple: bool) -> basic::AMQPMethod {
    basic::AMQPMethod::Ack(basic::Ack {
        delivery_tag,
        multiple,
    })
}

fn nack(delivery_tag: u64, multiple: bool, requeue: bool) -> basic::AMQPMethod {
    basic::AMQPMethod::Nack(basic::Nack {
        delivery_tag,
        multiple,
        requeue,
    })
}
