//! What must hold for the AMQP codec, whatever the bytes are.

use std::collections::BTreeMap;

use harness_model::event::{Step, body_hash};
use harness_wire::amqp::{AmqpCodec, AmqpOptions};
use harness_wire::codec::Unit;
use harness_wire::in_flight::InFlight;

use crate::sessions::{BOTH, Chunk, Format, Heard, heard_however_cut, stream};

/// See `tests/captures/README.md`.
pub(crate) const FORMAT: Format = Format {
    marks: [0, 1],
    big_endian: true,
};

const ELSEWHERE: &str = "elsewhere";
const HEADER: usize = 8;

pub(crate) fn options() -> AmqpOptions {
    AmqpOptions {
        key_paths: vec!["seq".into(), "report.seq".into()],
        retry_header: "x-cleanapp-retry-count".into(),
        ..AmqpOptions::default()
    }
}

/// The frame that `bytes` begin with.
pub(crate) fn frame(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.starts_with(b"AMQP") {
        return bytes.get(..HEADER);
    }
    let size = u32::from_be_bytes(bytes.get(3..7)?.try_into().ok()?) as usize;
    let frame = bytes.get(..size.checked_add(8)?)?;
    (matches!(bytes[0], 1 | 2 | 3 | 8) && frame.ends_with(&[0xCE])).then_some(frame)
}

/// The frames of each channel, and what comes behind the last frame.
fn by_channel(mut bytes: &[u8]) -> (BTreeMap<u16, Vec<u8>>, &[u8]) {
    let mut channels = BTreeMap::<_, Vec<_>>::new();
    while let Some(frame) = frame(bytes) {
        let channel = if frame.starts_with(b"AMQP") {
            0
        } else {
            u16::from_be_bytes([frame[1], frame[2]])
        };
        channels.entry(channel).or_default().extend(frame);
        bytes = &bytes[frame.len()..];
    }
    (channels, bytes)
}

/// What holds for a session: the same is heard of it however it is cut, no byte is lost, added, changed, or leaves its
/// place in its channel, the message of a step is the one in its unit, and nothing stays in flight.
pub(crate) fn check(chunks: &[Chunk], sizes: &[usize]) {
    let in_flight = InFlight::new();
    let heard = heard_however_cut(|| AmqpCodec::new(options(), in_flight.clone()), chunks, sizes);
    assert!(in_flight.is_empty(), "{:?} stay in flight", in_flight.keys());
    check_bytes(chunks, &heard);
    for (_, unit) in &heard.units {
        check_unit(unit);
    }
    let options = AmqpOptions {
        vhost: Some(ELSEWHERE.into()),
        ..options()
    };
    check_led(
        &heard,
        &heard_however_cut(
            || AmqpCodec::new(options.clone(), in_flight.clone()),
            chunks,
            sizes,
        ),
    );
}

pub(crate) fn check_bytes(chunks: &[Chunk], heard: &Heard) {
    for direction in BOTH {
        let (came, went) = (stream(chunks, direction), heard.forwarded(direction));
        assert!(
            by_channel(&came) == by_channel(&went),
            "bytes {direction:?} were lost, changed or moved"
        );
    }
}

fn check_unit(unit: &Unit) {
    let (channels, rest) = by_channel(&unit.bytes);
    let channel = unit.chan.unwrap_or(0);
    assert!(
        rest.is_empty() && channels.keys().eq([&channel]),
        "a unit of channel {channel} is {}",
        unit.bytes.escape_ascii()
    );
    if let Some(
        Step::Publish { message, .. } | Step::Return { message, .. } | Step::Deliver { message, .. },
    ) = &unit.step
    {
        let (mut body, mut rest) = (Vec::new(), &unit.bytes[..]);
        while let Some(frame) = frame(rest) {
            if frame[0] == 3 {
                body.extend(&frame[7..frame.len() - 1]);
            }
            rest = &rest[frame.len()..];
        }
        assert_eq!(
            (message.size, &message.hash),
            (body.len() as u64, &body_hash(&body)),
            "the step is about another body"
        );
    }
}

/// Clients that are led to another virtual host say and hear the same, except for its name.
fn check_led(as_is: &Heard, led: &Heard) {
    let units = |heard: &Heard| heard.units.len();
    assert_eq!(
        (units(as_is), &as_is.rest, as_is.understood),
        (units(led), &led.rest, led.understood)
    );
    for ((_, as_is), (_, led)) in as_is.units.iter().zip(&led.units) {
        if as_is.bytes != led.bytes {
            let asked = usize::from(as_is.bytes[11]);
            let [mut wanted, rest] = [
                vec![10, 0, 40, ELSEWHERE.len() as u8],
                as_is.bytes[12 + asked..].to_vec(),
            ];
            wanted.extend(ELSEWHERE.bytes().chain(rest));
            assert_eq!(led.bytes[8..], wanted, "more than the virtual host was changed");
            assert_eq!(frame(&led.bytes), Some(&led.bytes[..]));
        }
        match (&as_is.step, &led.step) {
            (Some(Step::AmqpOpened { .. }), Some(Step::AmqpOpened { .. })) => {}
            (as_is, led) => assert_eq!(as_is, led),
        }
    }
}
