//! Damaged sessions: whatever the bytes are, what [`crate::amqp::check`] says holds. `../../fuzz` looks further.

use harness_wire::amqp::AmqpCodec;
use harness_wire::codec::{Codec, Direction, Undecodable, Unit};
use harness_wire::in_flight::InFlight;
use proptest::prelude::*;

use crate::amqp::{check, check_bytes, options};
use crate::sessions::{Chunk, Random, hear, heard_however_cut};
use crate::support::captures;

/// Rounds over all captures.
const ROUNDS: u64 = 100;

/// Damages a chunk in one of the ways that find most: single bits, interesting numbers, pieces lost, twice or moved.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    let len = random.below(16).min(bytes.len() - at);
    match random.below(7) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7F, 0x80, 0xCE, 0xFF][random.below(6)],
        2 => drop(bytes.drain(at..at + len)),
        3 => {
            let again = bytes[at..at + len].to_vec();
            bytes.splice(at..at, again);
        }
        4 => bytes.truncate(at),
        5 => bytes[at..].rotate_left(len),
        _ => {
            let any = random.next().to_be_bytes();
            bytes.splice(at..at, any);
        }
    }
}

#[test]
fn damaged_sessions_are_passed_whole() {
    let captures = captures();
    for round in 0..ROUNDS {
        for ((name, chunks), number) in captures.iter().zip(0..) {
            // Large bodies are dull.
            if name == "large" && round % 10 > 0 {
                continue;
            }
            let mut random = Random(round << 8 | number);
            let mut chunks = chunks.clone();
            for _ in 0..=random.below(4) {
                let victim = random.below(chunks.len());
                damage(&mut chunks[victim].1, &mut random);
            }
            check(&chunks, &[1 + random.below(40), 1 + random.below(900)]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_passed_whole(
        header in any::<bool>(),
        chunks in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 0..8),
    ) {
        let mut session = Vec::new();
        if header {
            session.push((Direction::ToServer, b"AMQP\0\0\x09\x01".to_vec()));
        }
        let side = |client| if client { Direction::ToServer } else { Direction::ToClient };
        session.extend(chunks.into_iter().map(|(client, bytes)| (side(client), bytes)));
        check(&session, &[1, 7]);
    }

    #[test]
    fn any_method_is_passed_whole(
        frames in prop::collection::vec((1..4_u8, 0..3_u16, any::<bool>(), 0..130_u8, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
    ) {
        let mut session = vec![(Direction::ToServer, b"AMQP\0\0\x09\x01".to_vec())];
        for (kind, channel, client, number, arguments) in frames {
            let mut payload = if kind == 1 { vec![0, number / 10 * 10 % 100, 0, number] } else { Vec::new() };
            payload.extend(arguments);
            let mut frame = vec![kind];
            frame.extend(channel.to_be_bytes());
            frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
            frame.extend(payload);
            frame.push(0xCE);
            session.push((if client { Direction::ToServer } else { Direction::ToClient }, frame));
        }
        check(&session, &[1, 7]);
    }
}

/// A codec that does something wrong to what the right one gives.
struct Wrong {
    codec: AmqpCodec,
    wrong: fn(&mut Vec<Unit>),
}

impl Wrong {
    fn new(wrong: fn(&mut Vec<Unit>)) -> Self {
        let codec = AmqpCodec::new(options(), InFlight::new());
        Self { codec, wrong }
    }
}

impl Codec for Wrong {
    fn push(&mut self, direction: Direction, bytes: &[u8], units: &mut Vec<Unit>) -> Result<(), Undecodable> {
        let pushed = self.codec.push(direction, bytes, units);
        (self.wrong)(units);
        pushed
    }

    fn leftover(&mut self, direction: Direction) -> Vec<u8> {
        self.codec.leftover(direction)
    }
}

fn session() -> Vec<Chunk> {
    let captures = captures().into_iter();
    captures
        .filter(|capture| capture.0 == "confirms")
        .flat_map(|capture| capture.1)
        .collect()
}

#[test]
#[should_panic = "depends on where reads end"]
fn a_codec_that_minds_where_reads_end_is_noticed() {
    let all_at_once: fn(&mut Vec<Unit>) = |units| {
        if units.len() > 1 {
            units[1].step = None;
        }
    };
    heard_however_cut(|| Wrong::new(all_at_once), &session(), &[1]);
}

#[test]
#[should_panic = "bytes ToServer were lost, changed or moved"]
fn a_codec_that_loses_a_unit_is_noticed() {
    let chunks = session();
    let heard = hear(
        Wrong::new(|units| units.retain(|unit| unit.chan.is_some())),
        &chunks,
    );
    check_bytes(&chunks, &heard);
}

#[test]
#[should_panic = "were lost, changed or moved"]
fn a_codec_that_moves_a_unit_within_its_channel_is_noticed() {
    let chunks = session();
    let heard = hear(Wrong::new(|units| units.reverse()), &chunks);
    check_bytes(&chunks, &heard);
}
