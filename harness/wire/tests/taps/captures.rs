//! Recorded sessions say the same however they are cut into reads, and what another decoder says.

use std::collections::BTreeMap;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, exchange, queue};
use harness_model::event::{Step, StepKind};
use harness_wire::amqp::{AmqpCodec, AmqpOptions};
use harness_wire::codec::{Codec, Direction, Unit};
use harness_wire::in_flight::InFlight;
use proptest::prelude::*;

use crate::amqp::options;
use crate::sessions::{BOTH, Chunk, cut, stream};
use crate::support::captures;

/// The units of a session, each with its direction.
fn decode(chunks: &[Chunk], options: AmqpOptions) -> Vec<(Direction, Unit)> {
    let in_flight = InFlight::new();
    let mut codec = AmqpCodec::new(options, in_flight.clone());
    let mut all = Vec::new();
    for (direction, bytes) in chunks {
        let mut units = Vec::new();
        codec.push(*direction, bytes, &mut units).unwrap();
        all.extend(units.into_iter().map(|unit| (*direction, unit)));
    }
    for direction in BOTH {
        assert!(
            codec.leftover(direction).is_empty(),
            "a session that ended well leaves nothing over"
        );
    }
    drop(codec);
    assert!(in_flight.is_empty());
    all
}

fn steps(units: &[(Direction, Unit)]) -> impl Iterator<Item = &Step> {
    units.iter().filter_map(|(_, unit)| unit.step.as_ref())
}

fn passed(units: &[(Direction, Unit)], direction: Direction) -> Vec<u8> {
    units
        .iter()
        .filter(|unit| unit.0 == direction)
        .flat_map(|unit| unit.1.bytes.clone())
        .collect()
}

/// The kind of step that another decoder's frame should be.
fn kind(frame: &AMQPFrame, direction: Direction) -> Option<StepKind> {
    let client = direction == Direction::ToServer;
    let AMQPFrame::Method(_, class) = frame else {
        return matches!(frame, AMQPFrame::Heartbeat).then_some(StepKind::Heartbeat);
    };
    Some(match class {
        AMQPClass::Connection(connection::AMQPMethod::OpenOk(_)) => StepKind::AmqpOpened,
        AMQPClass::Connection(connection::AMQPMethod::Close(_)) => StepKind::AmqpClosed,
        AMQPClass::Connection(connection::AMQPMethod::Blocked(_)) => StepKind::Blocked,
        AMQPClass::Connection(connection::AMQPMethod::Unblocked(_)) => StepKind::Unblocked,
        AMQPClass::Channel(channel::AMQPMethod::OpenOk(_)) => StepKind::ChannelOpened,
        AMQPClass::Channel(channel::AMQPMethod::Close(_)) => StepKind::ChannelClosed,
        AMQPClass::Confirm(confirm::AMQPMethod::Select(_)) => StepKind::ConfirmSelect,
        AMQPClass::Exchange(exchange::AMQPMethod::Declare(_)) => StepKind::Declare,
        AMQPClass::Queue(queue::AMQPMethod::Declare(declare)) if !declare.queue.as_str().is_empty() => {
            StepKind::Declare
        }
        AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) if ok.queue.as_str().starts_with("amq.gen") => {
            StepKind::Declare
        }
        AMQPClass::Queue(queue::AMQPMethod::Bind(_)) => StepKind::Bind,
        AMQPClass::Queue(queue::AMQPMethod::Unbind(_)) => StepKind::Unbind,
        AMQPClass::Queue(queue::AMQPMethod::Delete(_))
        | AMQPClass::Exchange(exchange::AMQPMethod::Delete(_)) => StepKind::Delete,
        AMQPClass::Basic(method) => match method {
            basic::AMQPMethod::Qos(_) => StepKind::Qos,
            basic::AMQPMethod::ConsumeOk(_) => StepKind::Consume,
            basic::AMQPMethod::Cancel(_) => StepKind::Cancel,
            basic::AMQPMethod::Publish(_) => StepKind::Publish,
            basic::AMQPMethod::Return(_) => StepKind::Return,
            basic::AMQPMethod::Deliver(_) | basic::AMQPMethod::GetOk(_) => StepKind::Deliver,
            basic::AMQPMethod::Ack(_) if client => StepKind::Ack,
            basic::AMQPMethod::Nack(_) if client => StepKind::Nack,
            basic::AMQPMethod::Ack(_) | basic::AMQPMethod::Nack(_) => StepKind::Confirm,
            basic::AMQPMethod::Reject(_) | basic::AMQPMethod::Recover(_) => StepKind::Nack,
            _ => return None,
        },
        _ => return None,
    })
}

#[test]
fn the_steps_are_those_that_another_decoder_finds() {
    for (name, chunks) in captures() {
        let units = decode(&chunks, options());
        for direction in BOTH {
            let bytes = stream(&chunks, direction);
            let (mut rest, mut expected) = (&bytes[..], Vec::new());
            while !rest.is_empty() {
                let (after, frame) = parse_frame(rest).unwrap();
                expected.extend(kind(&frame, direction));
                rest = after;
            }
            let found = units
                .iter()
                .filter(|unit| unit.0 == direction)
                .filter_map(|unit| unit.1.step.as_ref());
            assert_eq!(
                found.map(Step::kind).collect::<Vec<_>>(),
                expected,
                "{name}, {direction:?}"
            );
        }
    }
}

#[test]
fn the_sessions_tell_their_stories() {
    let stories: BTreeMap<String, String> = captures()
        .iter()
        .map(|(name, chunks)| {
            let mut counts = BTreeMap::<String, u64>::new();
            for step in steps(&decode(chunks, options())) {
                let (word, times) = match step {
                    Step::Ack { covers } => ("acked", covers.len() as u64),
                    Step::Nack {
                        requeue: true,
                        covers,
                    } => ("requeued", covers.len() as u64),
                    Step::Nack {
                        requeue: false,
                        covers,
                    } => ("rejected", covers.len() as u64),
                    Step::Confirm { ok: true, covers } => ("confirmed", covers.len() as u64),
                    Step::Deliver {
                        redelivered: true, ..
                    } => ("redelivered", 1),
                    Step::Deliver { message, .. } if message.death.is_some() => ("dead", 1),
                    Step::Publish { message, .. } if message.retry.is_some() => ("retried", 1),
                    Step::Publish { message, .. } if message.key.is_none() => ("nameless", 1),
                    Step::Publish { .. } => ("published", 1),
                    Step::Deliver { .. } => ("delivered", 1),
                    Step::Return { .. } => ("returned", 1),
                    Step::Cancel { .. } => ("cancelled", 1),
                    Step::Blocked { .. } => ("blocked", 1),
                    Step::Unblocked => ("unblocked", 1),
                    Step::Heartbeat { .. } => ("heartbeat", 1),
                    Step::ChannelClosed { code, .. } | Step::AmqpClosed { code, .. } => {
                        *counts.entry(format!("closed {code}")).or_default() += 1;
                        continue;
                    }
                    _ => continue,
                };
                *counts.entry(word.to_owned()).or_default() += times;
            }
            let story: Vec<_> = counts
                .iter()
                .map(|(word, times)| format!("{word} {times}"))
                .collect();
            (name.clone(), story.join(", "))
        })
        .collect();
    let expected = [
        ("blocked", "blocked 1, closed 200 1, published 1, unblocked 1"),
        (
            "cancels",
            "cancelled 2, closed 200 1, delivered 4, published 4, redelivered 3, requeued 3",
        ),
        (
            "confirms",
            "acked 45, closed 200 2, confirmed 60, delivered 57, published 60, redelivered 1, rejected 12, requeued 1, returned 3",
        ),
        (
            "errors",
            "acked 1, closed 200 1, closed 404 2, closed 406 2, published 1",
        ),
        ("heartbeats", "closed 200 2, heartbeat 9"),
        (
            "large",
            "acked 3, closed 200 1, delivered 3, nameless 1, published 2",
        ),
        (
            "pika",
            "acked 5, cancelled 1, closed 200 2, confirmed 6, delivered 5, published 1, retried 5, returned 1",
        ),
        ("refused", "closed 530 1"),
        (
            "retries",
            "acked 9, cancelled 2, closed 200 1, dead 18, published 2, rejected 9, retried 7",
        ),
    ];
    assert_eq!(
        stories,
        expected
            .map(|(name, story)| (name.to_owned(), story.to_owned()))
            .into()
    );
}

#[test]
fn every_settled_message_is_known() {
    for (name, chunks) in captures().into_iter().filter(|capture| capture.0 != "errors") {
        for step in steps(&decode(&chunks, options())) {
            let (Step::Ack { covers } | Step::Nack { covers, .. }) = step else {
                continue;
            };
            // The empty body of `large` has no key.
            let known = covers
                .iter()
                .all(|covered| covered.queue.is_some() && (covered.key.is_some() || name == "large"));
            assert!(known, "{name}: {step:?}");
        }
    }
}

#[test]
fn only_the_virtual_host_is_rewritten() {
    for (name, chunks) in captures() {
        let as_is = decode(&chunks, options());
        for direction in BOTH {
            assert_eq!(passed(&as_is, direction), stream(&chunks, direction), "{name}");
        }
        let led = decode(
            &chunks,
            AmqpOptions {
                vhost: Some("elsewhere".into()),
                ..options()
            },
        );
        let changed: Vec<_> = as_is
            .iter()
            .zip(&led)
            .filter(|(a, b)| a.1.bytes != b.1.bytes)
            .collect();
        let [(_, (direction, unit))] = changed[..] else {
            panic!("{name}: {} units changed", changed.len())
        };
        let (_, frame) = parse_frame(&unit.bytes[..]).unwrap();
        let AMQPFrame::Method(0, AMQPClass::Connection(connection::AMQPMethod::Open(open))) = frame else {
            panic!("{name}: {frame:?}")
        };
        assert_eq!(
            (*direction, open.virtual_host.as_str()),
            (Direction::ToServer, "elsewhere")
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_may_end_anywhere(cuts in prop::collection::vec(1..2000_usize, 1..20)) {
        for (name, chunks) in captures() {
            prop_assert_eq!(decode(&cut(&chunks, &cuts), options()), decode(&chunks, options()), "{}", name);
        }
    }
}

#[test]
fn reads_may_be_of_single_bytes() {
    for (name, chunks) in captures().into_iter().filter(|capture| capture.0 != "large") {
        assert_eq!(
            decode(&cut(&chunks, &[1]), options()),
            decode(&chunks, options()),
            "{name}"
        );
    }
}
