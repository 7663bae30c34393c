//! Messages: what covers what, and the facts that travel with them.

use super::*;

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
