//! Frames in unusual places, and bytes that are none.

use super::*;

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
        .map(|unit| (unit.chan, unit.step.as_ref().unwrap().kind().to_string()))
        .collect();
    let expected = [(None, "heartbeat"), (Some(2), "publish"), (Some(1), "publish")];
    assert_eq!(seen, expected.map(|(chan, kind)| (chan, kind.to_owned())));
    let whole: Vec<u8> = [&one[0], &one[1], &halves[0], &halves[1]]
        .into_iter()
        .flat_map(bytes)
        .collect();
    assert_eq!(units[2].bytes, whole);
    let Step::Publish { message: seen, .. } = units[2].step.as_ref().unwrap() else {
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
                .filter_map(|unit| unit.step.as_ref())
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
fn a_heartbeat_on_the_channel_of_a_content_does_not_overtake_it() {
    let content = publish(1, "x", "k", "{\"seq\":1}");
    let mut sent = b"AMQP\0\0\x09\x01".to_vec();
    sent.extend(bytes(&content[0]));
    sent.extend(b"\x08\0\x01\0\0\0\0\xce");
    let mut codec = AmqpCodec::new(AmqpOptions::default(), InFlight::new());
    let mut units = Vec::new();
    codec.push(Direction::ToServer, &sent, &mut units).unwrap();
    let passed: Vec<u8> = units.into_iter().flat_map(|unit| unit.bytes).collect();
    assert_eq!(passed, sent);
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
