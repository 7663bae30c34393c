//! Every method that leaves a trace, written by another implementation (`amq-protocol`) and read by this one.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, connection, constants, exchange, queue};
use amq_protocol::types::{AMQPValue, FieldArray, FieldTable};
use harness_model::event::{Covered, Message, Side, Step};

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
        hash: format!("{:016x}", xxhash_rust::xxh3::xxh3_64(body.as_bytes())),
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
            .flat_map(|unit| unit.steps)
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

#[test]
fn a_connection_is_led_to_its_virtual_host_and_opened() {
    let mut talk = Talk::new(|options| options.vhost = Some("trial-17".into()));
    let on_zero = |method| vec![AMQPFrame::Method(0, AMQPClass::Connection(method))];
    let tune = connection::TuneOk {
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat: 30,
    };
    assert_eq!(
        talk.steps(
            Direction::ToServer,
            &on_zero(connection::AMQPMethod::TuneOk(tune))
        ),
        []
    );
    let open = |vhost: &str| {
        connection::AMQPMethod::Open(connection::Open {
            virtual_host: vhost.into(),
        })
    };
    let units = talk.units(Direction::ToServer, &on_zero(open("/")));
    assert_eq!(units[0].bytes, bytes(&on_zero(open("trial-17"))[0]));
    let ok = connection::AMQPMethod::OpenOk(connection::OpenOk {});
    assert_eq!(
        talk.steps(Direction::ToClient, &on_zero(ok)),
        [Step::AmqpOpened {
            vhost: "trial-17".into(),
            heartbeat: 30,
            frame_max: 131_072
        }]
    );

    let blocked = connection::AMQPMethod::Blocked(connection::Blocked {
        reason: "low on memory".into(),
    });
    let unblocked = connection::AMQPMethod::Unblocked(connection::Unblocked {});
    let close = connection::AMQPMethod::Close(connection::Close {
        reply_code: 320,
        reply_text: "shutdown".into(),
        class_id: 0,
        method_id: 0,
    });
    let heartbeat = vec![AMQPFrame::Heartbeat];
    let closed = |by| Step::AmqpClosed {
        by,
        code: 320,
        text: "shutdown".into(),
    };
    for (direction, frames, step) in [
        (
            Direction::ToClient,
            on_zero(blocked),
            Step::Blocked {
                reason: "low on memory".into(),
            },
        ),
        (Direction::ToClient, on_zero(unblocked), Step::Unblocked),
        (
            Direction::ToServer,
            heartbeat.clone(),
            Step::Heartbeat { by: Side::Client },
        ),
        (
            Direction::ToClient,
            heartbeat,
            Step::Heartbeat { by: Side::Server },
        ),
        (Direction::ToClient, on_zero(close.clone()), closed(Side::Server)),
        (Direction::ToServer, on_zero(close), closed(Side::Client)),
    ] {
        let units = talk.units(direction, &frames);
        assert_eq!(
            (units.len(), units[0].chan, &units[0].steps[..]),
            (1, None, &[step][..])
        );
    }
}

#[test]
fn topology_and_channel_methods_leave_their_steps() {
    let mut talk = Talk::new(|_| ());
    let opened = channel::AMQPMethod::OpenOk(channel::OpenOk {});
    assert_eq!(talk.server(AMQPClass::Channel(opened)), [Step::ChannelOpened]);
    let declare = exchange::Declare {
        exchange: "x".into(),
        durable: true,
        ..exchange::Declare::default()
    };
    let step = Step::Declare {
        what: "exchange".into(),
        name: "x".into(),
        durable: true,
        passive: false,
    };
    assert_eq!(
        talk.client(AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare))),
        [step]
    );
    let declare = queue::Declare {
        queue: "q".into(),
        passive: true,
        ..queue::Declare::default()
    };
    let step = Step::Declare {
        what: "queue".into(),
        name: "q".into(),
        durable: false,
        passive: true,
    };
    assert_eq!(
        talk.client(AMQPClass::Queue(queue::AMQPMethod::Declare(declare))),
        [step]
    );
    let ok = queue::DeclareOk {
        queue: "q".into(),
        message_count: 0,
        consumer_count: 0,
    };
    assert_eq!(
        talk.server(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok.clone()))),
        []
    );

    // The broker chooses a name, and an empty name means that queue from then on.
    let declare = queue::Declare {
        durable: true,
        ..queue::Declare::default()
    };
    assert_eq!(
        talk.client(AMQPClass::Queue(queue::AMQPMethod::Declare(declare))),
        []
    );
    let ok = queue::DeclareOk {
        queue: "amq.gen-1".into(),
        ..ok
    };
    let step = Step::Declare {
        what: "queue".into(),
        name: "amq.gen-1".into(),
        durable: true,
        passive: false,
    };
    assert_eq!(
        talk.server(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok))),
        [step]
    );
    let bind = queue::Bind {
        exchange: "x".into(),
        routing_key: "k".into(),
        ..queue::Bind::default()
    };
    let step = Step::Bind {
        queue: "amq.gen-1".into(),
        exchange: "x".into(),
        key: "k".into(),
    };
    assert_eq!(
        talk.client(AMQPClass::Queue(queue::AMQPMethod::Bind(bind))),
        [step]
    );

    let qos = basic::Qos {
        prefetch_count: 16,
        global: true,
    };
    let step = Step::Qos {
        prefetch: 16,
        global: true,
    };
    assert_eq!(talk.client(AMQPClass::Basic(basic::AMQPMethod::Qos(qos))), [step]);
    let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
    assert_eq!(talk.client(AMQPClass::Confirm(select)), [Step::ConfirmSelect]);

    let consume = basic::Consume {
        consumer_tag: "now".into(),
        nowait: true,
        ..basic::Consume::default()
    };
    let step = Step::Consume {
        queue: "amq.gen-1".into(),
        consumer: "now".into(),
        no_ack: false,
    };
    assert_eq!(
        talk.client(AMQPClass::Basic(basic::AMQPMethod::Consume(consume))),
        [step]
    );
    let cancel = || {
        let cancel = basic::Cancel {
            consumer_tag: "now".into(),
            nowait: true,
        };
        AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel))
    };
    let step = |by, queue| Step::Cancel {
        by,
        consumer: "now".into(),
        queue,
    };
    assert_eq!(
        talk.client(cancel()),
        [step(Side::Client, Some("amq.gen-1".into()))]
    );
    assert_eq!(
        talk.server(cancel()),
        [step(Side::Server, Some("amq.gen-1".into()))]
    );
    assert_eq!(talk.server(cancel()), [step(Side::Server, None)]);

    let close = channel::Close {
        reply_code: 404,
        reply_text: "none".into(),
        class_id: 0,
        method_id: 0,
    };
    let close = || AMQPClass::Channel(channel::AMQPMethod::Close(close.clone()));
    let closed = |by| Step::ChannelClosed {
        by,
        code: 404,
        text: "none".into(),
    };
    assert_eq!(talk.server(close()), [closed(Side::Server)]);
    assert_eq!(talk.client(close()), [closed(Side::Client)]);
}

#[test]
fn confirms_cover_the_publishes_they_stand_for() {
    let mut talk = Talk::new(|_| ());
    let unconfirmed = talk.steps(Direction::ToServer, &publish(1, "x", "k", "{\"seq\":0}"));
    assert!(
        matches!(&unconfirmed[..], [Step::Publish { tag: 0, .. }]),
        "{unconfirmed:?}"
    );

    for _ in 0..2 {
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: true });
        talk.client(AMQPClass::Confirm(select));
    }
    for seq in 1..=6 {
        let body = format!("{{\"tags\":[1,{{\"seq\":9}}],\"seq\":{seq}}}");
        let key = seq.to_string();
        let step = Step::Publish {
            tag: seq,
            mandatory: true,
            message: message("x", "k", &body, Some(&key)),
        };
        assert_eq!(
            talk.steps(Direction::ToServer, &publish(1, "x", "k", &body)),
            [step]
        );
    }
    let returned = basic::Return {
        reply_code: 312,
        reply_text: "NO_ROUTE".into(),
        exchange: "x".into(),
        routing_key: "k".into(),
    };
    let body = "{\"seq\":\"s\"}";
    let frames = content(
        1,
        basic::AMQPMethod::Return(returned),
        basic::AMQPProperties::default(),
        body,
    );
    let message = message("x", "k", body, Some("s"));
    let step = Step::Return {
        code: 312,
        text: "NO_ROUTE".into(),
        message,
    };
    assert_eq!(talk.steps(Direction::ToClient, &frames), [step]);

    let confirm = |ok, of: &[(u64, &str)]| Step::Confirm {
        ok,
        covers: covers(of, None),
    };
    let unknown = Covered {
        tag: 4,
        key: None,
        queue: None,
    };
    for (method, step) in [
        (ack(4, false), confirm(true, &[(4, "4")])),
        (ack(3, true), confirm(true, &[(1, "1"), (2, "2"), (3, "3")])),
        (nack(5, false, false), confirm(false, &[(5, "5")])),
        (
            ack(4, false),
            Step::Confirm {
                ok: true,
                covers: vec![unknown],
            },
        ),
        (ack(0, true), confirm(true, &[(6, "6")])),
        (ack(0, true), confirm(true, &[])),
    ] {
        assert_eq!(talk.server(AMQPClass::Basic(method)), [step]);
    }
}

#[test]
fn settlements_cover_the_deliveries_they_stand_for() {
    let mut talk = Talk::new(|_| ());
    talk.consume("q", false);
    for tag in 1..=8 {
        let body = format!("{tag}");
        let step = Step::Deliver {
            tag,
            consumer: "c".into(),
            queue: Some("q".into()),
            redelivered: tag == 2,
            message: message("x", "k", &body, Some(&body)),
        };
        assert_eq!(talk.steps(Direction::ToClient, &deliver(1, tag, &body)), [step]);
    }
    let of = |of: &[(u64, &str)]| covers(of, Some("q"));
    assert_eq!(
        talk.settle(ack(2, false)),
        Step::Ack {
            covers: of(&[(2, "2")])
        }
    );
    assert_eq!(
        talk.settle(ack(3, true)),
        Step::Ack {
            covers: of(&[(1, "1"), (3, "3")])
        }
    );
    let reject = basic::AMQPMethod::Reject(basic::Reject {
        delivery_tag: 4,
        requeue: false,
    });
    assert_eq!(
        talk.settle(reject),
        Step::Nack {
            requeue: false,
            covers: of(&[(4, "4")])
        }
    );
    assert_eq!(
        talk.settle(nack(5, true, true)),
        Step::Nack {
            requeue: true,
            covers: of(&[(5, "5")])
        }
    );
    assert_eq!(talk.in_flight.keys(), ["6", "7", "8"]);
    let unknown = Covered {
        tag: 99,
        key: None,
        queue: None,
    };
    assert_eq!(
        talk.settle(ack(99, false)),
        Step::Ack {
            covers: vec![unknown]
        }
    );
    assert_eq!(
        talk.settle(ack(6, false)),
        Step::Ack {
            covers: of(&[(6, "6")])
        }
    );
    let recover = basic::AMQPMethod::Recover(basic::Recover { requeue: true });
    assert_eq!(
        talk.settle(recover),
        Step::Nack {
            requeue: true,
            covers: of(&[(7, "7"), (8, "8")])
        }
    );
    assert_eq!(talk.settle(ack(0, true)), Step::Ack { covers: Vec::new() });
    assert!(talk.in_flight.is_empty());
}

#[test]
fn what_is_in_flight_ends_with_its_channel_and_its_connection() {
    let mut talk = Talk::new(|_| ());
    talk.consume("q", false);
    talk.steps(Direction::ToClient, &deliver(1, 1, "1"));
    talk.steps(Direction::ToClient, &deliver(2, 1, "2"));
    let close = channel::Close {
        reply_code: 200,
        reply_text: "".into(),
        class_id: 0,
        method_id: 0,
    };
    talk.client(AMQPClass::Channel(channel::AMQPMethod::Close(close)));
    // It may still arrive, but nobody will settle it.
    talk.steps(Direction::ToClient, &deliver(1, 2, "3"));
    assert_eq!(talk.in_flight.keys(), ["2"]);
    // The channel's number can be used again.
    talk.server(AMQPClass::Channel(channel::AMQPMethod::CloseOk(
        channel::CloseOk {},
    )));
    talk.consume("q", true);
    talk.steps(Direction::ToClient, &deliver(1, 1, "4"));
    talk.consume("q", false);
    talk.steps(Direction::ToClient, &deliver(1, 2, "5"));
    assert_eq!(
        talk.in_flight.keys(),
        ["2", "5"],
        "deliveries without acknowledgement are never outstanding"
    );
    let in_flight = talk.in_flight.clone();
    drop(talk);
    assert!(in_flight.is_empty());
}

#[test]
fn a_get_is_a_delivery_without_a_consumer() {
    let mut talk = Talk::new(|_| ());
    let get = |queue: &str| {
        let get = basic::Get {
            queue: queue.into(),
            no_ack: false,
        };
        AMQPClass::Basic(basic::AMQPMethod::Get(get))
    };
    assert_eq!(talk.client(get("empty")), []);
    assert_eq!(talk.client(get("q")), []);
    assert_eq!(
        talk.server(AMQPClass::Basic(basic::AMQPMethod::GetEmpty(basic::GetEmpty {}))),
        []
    );
    let ok = basic::GetOk {
        delivery_tag: 1,
        redelivered: true,
        exchange: "".into(),
        routing_key: "q".into(),
        message_count: 3,
    };
    let frames = content(
        1,
        basic::AMQPMethod::GetOk(ok),
        basic::AMQPProperties::default(),
        "",
    );
    let message = message("", "q", "", None);
    let (consumer, queue) = ("".into(), Some("q".into()));
    let step = Step::Deliver {
        tag: 1,
        consumer,
        queue,
        redelivered: true,
        message,
    };
    assert_eq!(talk.steps(Direction::ToClient, &frames), [step]);
}

#[test]
fn facts_about_a_message_come_from_its_properties() {
    let mut talk = Talk::new(|options| {
        options.record.insert(("x".into(), "k".into()));
    });
    talk.injected.insert("m-1".into());
    let table = |pairs: &[(&str, AMQPValue)]| {
        let mut table = FieldTable::default();
        for (key, value) in pairs {
            table.insert((*key).into(), value.clone());
        }
        table
    };
    let died =
        |reason: &str| AMQPValue::FieldTable(table(&[("reason", AMQPValue::LongString(reason.into()))]));
    let first = ("x-first-death-reason", AMQPValue::LongString("expired".into()));
    let latest = (
        "x-death",
        AMQPValue::FieldArray(FieldArray::from(vec![died("rejected"), died("expired")])),
    );
    let retries = |value| vec![("a", AMQPValue::Void), ("retries", value)];
    let publish = basic::Publish {
        exchange: "x".into(),
        routing_key: "k".into(),
        ..Default::default()
    };
    let mut look = |id: &str, mode: u8, headers: &[(&str, AMQPValue)], body: &str| {
        let properties = basic::AMQPProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_headers(table(headers))
            .with_delivery_mode(mode)
            .with_priority(1)
            .with_correlation_id("c".into())
            .with_reply_to("r".into())
            .with_expiration("1000".into())
            .with_message_id(id.into())
            .with_timestamp(7);
        let method = basic::AMQPMethod::Publish(publish.clone());
        match talk
            .steps(Direction::ToServer, &content(1, method, properties, body))
            .remove(0)
        {
            Step::Publish { message, .. } => message,
            other => panic!("{other:?}"),
        }
    };
    let seen = look("m-1", 2, &[first.clone(), latest.clone()], "{\"seq\":5}");
    assert_eq!(
        (seen.key, seen.persistent, seen.death),
        (Some("m-1".into()), true, Some("rejected".into()))
    );
    assert_eq!(seen.body.as_deref(), Some("{\"seq\":5}"));
    let seen = look("m-2", 1, &[first], "{\"report\":{\"seq\":6}}");
    assert_eq!(
        (seen.key, seen.persistent, seen.death),
        (Some("6".into()), false, Some("expired".into()))
    );
    for (value, expected) in [
        (AMQPValue::ShortShortInt(-1), Some(-1)),
        (AMQPValue::ShortShortUInt(255), Some(255)),
        (AMQPValue::ShortInt(-300), Some(-300)),
        (AMQPValue::ShortUInt(65_535), Some(65_535)),
        (AMQPValue::LongInt(-70_000), Some(-70_000)),
        (AMQPValue::LongUInt(4_000_000_000), Some(4_000_000_000)),
        (AMQPValue::LongLongInt(1 << 40), Some(1 << 40)),
        (AMQPValue::LongString("3".into()), None),
        (AMQPValue::Double(3.0), None),
        (AMQPValue::Boolean(true), None),
    ] {
        assert_eq!(
            look("", 2, &retries(value.clone()), "1").retry,
            expected,
            "{value:?}"
        );
    }
    assert_eq!(
        look("", 2, &[], "any text \u{0}").body.as_deref(),
        Some("any text \u{0}")
    );
}

#[test]
fn contents_are_whole_units_even_when_channels_interleave() {
    let mut talk = Talk::new(|_| ());
    let body = "{\"seq\":12}";
    let (one, two) = (publish(1, "x", "k", body), publish(2, "x", "k", body));
    let halves = [
        AMQPFrame::Body(1, body.as_bytes()[..4].to_vec()),
        AMQPFrame::Body(1, body.as_bytes()[4..].to_vec()),
    ];
    let sent = [
        one[0].clone(),
        two[0].clone(),
        one[1].clone(),
        AMQPFrame::Heartbeat,
        halves[0].clone(),
        two[1].clone(),
        two[2].clone(),
        halves[1].clone(),
    ];
    let units = talk.units(Direction::ToServer, &sent);
    let seen: Vec<_> = units
        .iter()
        .map(|unit| (unit.chan, unit.steps[0].kind().to_string()))
        .collect();
    let expected = [(None, "heartbeat"), (Some(2), "publish"), (Some(1), "publish")];
    assert_eq!(seen, expected.map(|(chan, kind)| (chan, kind.to_owned())));
    let whole: Vec<u8> = [&one[0], &one[1], &halves[0], &halves[1]]
        .into_iter()
        .flat_map(bytes)
        .collect();
    assert_eq!(units[2].bytes, whole);
    let Step::Publish { message: seen, .. } = &units[2].steps[0] else {
        panic!("{units:?}")
    };
    assert_eq!(*seen, message("x", "k", body, Some("12")));
}

#[test]
fn frames_out_of_place_pass_without_a_step() {
    let mut talk = Talk::new(|_| ());
    let whole = publish(1, "x", "k", "{\"seq\":1}");
    let body = AMQPFrame::Body(1, b"stray".to_vec());
    // A body before its header; a header twice; a content that another method interrupts.
    for sent in [
        vec![whole[0].clone(), body.clone()],
        vec![whole[0].clone(), whole[1].clone(), whole[1].clone()],
        vec![
            whole[0].clone(),
            whole[1].clone(),
            method(1, AMQPClass::Basic(ack(1, false))),
        ],
        vec![body],
    ] {
        let units = talk.units(Direction::ToServer, &sent);
        let passed: Vec<u8> = units.iter().flat_map(|unit| unit.bytes.clone()).collect();
        assert_eq!(passed, sent.iter().flat_map(bytes).collect::<Vec<_>>());
        assert!(
            units
                .iter()
                .flat_map(|unit| &unit.steps)
                .all(|step| matches!(step, Step::Ack { .. }))
        );
    }
    assert_eq!(
        talk.steps(Direction::ToServer, &whole).len(),
        1,
        "the channel works on"
    );
}

#[test]
fn what_is_no_amqp_is_said_and_given_back() {
    let nested = {
        // A frame of the right form whose method ends early.
        let mut frame = bytes(&method(1, AMQPClass::Basic(ack(1, false))));
        frame[6] = 8;
        frame.truncate(7 + 8);
        frame.push(constants::FRAME_END);
        frame
    };
    let begun = |rest: &[u8]| [b"AMQP\0\0\x09\x01", rest].concat();
    for (sent, why) in [
        (b"\x16\x03\x01\x02".to_vec(), "TLS ClientHello"),
        (
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            "GET / HT where a protocol header should be",
        ),
        (
            b"AMQP\x03\x01\x00\x00".to_vec(),
            "protocol header AMQP\\x03\\x01\\x00\\x00",
        ),
        (begun(b"\x07\0\0\0\0\0\0\xce"), "frame of type 7"),
        (begun(b"\x08\0\0\0\0\0\0\xcd"), "frame of 0 bytes without its end"),
        (begun(b"\x01\0\0\xff\xff\xff\xff"), "frame of 4294967295 bytes"),
        (begun(&nested), "method 60.80 whose arguments end early"),
    ] {
        let mut codec = AmqpCodec::new(AmqpOptions::default(), InFlight::new());
        let mut units = Vec::new();
        let error = codec.push(Direction::ToServer, &sent, &mut units).unwrap_err();
        assert_eq!(error.to_string(), why);
        let mut passed: Vec<u8> = units.into_iter().flat_map(|unit| unit.bytes).collect();
        passed.extend(codec.leftover(Direction::ToServer));
        assert_eq!(passed, sent);
    }
}
