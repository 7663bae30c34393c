//! Damaged sessions: whatever the bytes are, the codec does not panic and gives back every byte it was given.

use harness_wire::amqp::{AmqpCodec, AmqpOptions};
use harness_wire::codec::{Codec, Direction};
use harness_wire::in_flight::InFlight;
use proptest::prelude::*;

use crate::support::{Chunk, captures};

/// Rounds over all captures.
const ROUNDS: u64 = 400;

/// SplitMix64: small, and the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }
}

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

/// How often each byte occurs in each direction: channels may change places, bytes may not change.
type Histogram = [[usize; 256]; 2];

fn count(histogram: &mut Histogram, direction: Direction, bytes: &[u8]) {
    for &byte in bytes {
        histogram[usize::from(direction == Direction::ToClient)][usize::from(byte)] += 1;
    }
}

fn check(chunks: &[Chunk]) {
    let in_flight = InFlight::new();
    let options = AmqpOptions {
        key_paths: vec!["seq".into(), "report.seq".into()],
        ..AmqpOptions::default()
    };
    let mut codec = AmqpCodec::new(options, in_flight.clone());
    let (mut given, mut taken) = ([[0; 256]; 2], [[0; 256]; 2]);
    let mut units = Vec::new();
    for (direction, bytes) in chunks {
        count(&mut given, *direction, bytes);
        let pushed = codec.push(*direction, bytes, &mut units);
        for unit in units.drain(..) {
            count(&mut taken, *direction, &unit.bytes);
        }
        if pushed.is_err() {
            break;
        }
    }
    for direction in [Direction::ToServer, Direction::ToClient] {
        count(&mut taken, direction, &codec.leftover(direction));
    }
    assert!(given == taken, "bytes were lost or invented");
    drop(codec);
    assert!(in_flight.is_empty());
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
            check(&chunks);
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
        check(&session);
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
        check(&session);
    }
}
