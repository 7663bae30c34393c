//! What holds for all bytes.

use std::sync::LazyLock;

use harness_wire::codec::{Codec as _, Direction};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use crate::support::{Chunks, Talk, capture, capture_names, codec, decode, greeting, login, ok, packet};

static CAPTURES: LazyLock<Vec<(String, Chunks)>> = LazyLock::new(|| {
    let named = |name: String| (name.clone(), capture(&name));
    capture_names().into_iter().map(named).collect()
});

const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// The same bytes in other chunks: lengths are taken from `lengths` in turn; the order of directions stays.
fn cut(chunks: &Chunks, lengths: &[usize]) -> Chunks {
    let mut lengths = lengths.iter().cycle();
    let mut cut = Chunks::new();
    for (direction, bytes) in chunks {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
            cut.push((*direction, part.to_vec()));
            rest = behind;
        }
    }
    cut
}

fn one_way(chunks: &Chunks, way: Direction) -> Vec<u8> {
    let of_way = chunks.iter().filter(|(direction, _)| *direction == way);
    of_way.flat_map(|(_, bytes)| bytes.iter().copied()).collect()
}

/// Pushes everything, as a tap does, and checks that no byte is lost, added or changed, except in the greeting.
fn check_bytes(chunks: &Chunks) {
    let mut codec = codec();
    let mut out = Chunks::new();
    for (direction, bytes) in chunks {
        let mut units = Vec::new();
        let failed = codec.push(*direction, bytes, &mut units).is_err();
        assert!(units.iter().all(|unit| unit.bytes.len() <= 1 << 20));
        out.extend(units.into_iter().map(|unit| (*direction, unit.bytes)));
        if failed {
            out.extend(BOTH.map(|direction| (direction, codec.leftover(direction))));
        }
    }
    out.extend(BOTH.map(|direction| (direction, codec.leftover(direction))));
    assert!(one_way(chunks, Direction::ToServer) == one_way(&out, Direction::ToServer));
    let (came, went) = (
        one_way(chunks, Direction::ToClient),
        one_way(&out, Direction::ToClient),
    );
    assert_eq!(came.len(), went.len());
    let changed: Vec<usize> = (0..came.len()).filter(|&at| came[at] != went[at]).collect();
    let cleared = changed.iter().all(|&at| came[at] & went[at] == went[at]);
    // The two bytes of the lower flags and the second one of the upper flags.
    let near = changed.last().is_none_or(|last| last - changed[0] <= 6);
    assert!(changed.len() <= 3 && cleared && near, "changed at {changed:?}");
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::ToServer), Just(Direction::ToClient)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_capture_is_the_same_however_it_is_cut(which in any::<usize>(), lengths in vec(1_usize..5_000, 1..20)) {
        let (name, chunks) = &CAPTURES[which % CAPTURES.len()];
        let cut = cut(chunks, &lengths);
        assert!(decode(&cut).unwrap() == decode(chunks).unwrap(), "{name} cut at {lengths:?}");
        check_bytes(&cut);
    }

    #[test]
    fn arbitrary_bytes_are_taken(chunks in vec((direction(), vec(any::<u8>(), 0..200)), 0..10)) {
        check_bytes(&chunks);
    }

    #[test]
    fn arbitrary_packets_are_taken_in_a_session(
        flags in any::<u32>(),
        extended in any::<u32>(),
        packets in vec((direction(), prop_oneof![Just(0_u8), any::<u8>()], vec(any::<u8>(), 0..60)), 0..40),
    ) {
        let mut chunks = vec![
            (Direction::ToClient, packet(0, &greeting(flags, extended))),
            (Direction::ToServer, packet(1, &login(flags, extended, "shop"))),
            (Direction::ToClient, packet(2, &ok(0, 2))),
        ];
        chunks.extend(packets.iter().map(|(way, sequence, payload)| (*way, packet(*sequence, payload))));
        check_bytes(&chunks);
    }

    #[test]
    fn arbitrary_commands_of_the_interesting_kinds_are_taken(
        commands in vec((prop_oneof![Just(0x03_u8), Just(0x16), Just(0x17), Just(0x18), Just(0xfa), Just(0x11)],
                         vec(prop_oneof![any::<u8>(), Just(0), Just(1), Just(5), Just(b'\'')], 0..60)), 0..40),
    ) {
        let mut talk = Talk::opened(u32::MAX >> 1, 0);
        talk.client(0, &crate::support::prepare("SELECT ?, ?, ?"));
        talk.server(1, &crate::support::prepared(0, 0, 3));
        for (code, arguments) in commands {
            talk.client(0, &crate::support::command(code, &arguments));
        }
    }
}

#[test]
fn one_byte_at_a_time_is_enough() {
    for (name, chunks) in CAPTURES.iter().filter(|(_, chunks)| chunks.len() < 200) {
        assert!(
            decode(&cut(chunks, &[1])).unwrap() == decode(chunks).unwrap(),
            "{name}"
        );
    }
}

/// SplitMix64, so that a failure comes back with its number.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }
}

/// Changes a few places: a byte, a run of bytes taken out, repeated, or a whole chunk.
fn mutate(chunks: &mut Chunks, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let which = random.below(chunks.len());
        let bytes = &mut chunks[which].1;
        let at = random.below(bytes.len());
        match random.below(6) {
            _ if bytes.is_empty() => {}
            0 | 1 => bytes[at] = [0, 1, 0xfb, 0xfc, 0xfe, 0xff][random.below(6)],
            2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes.truncate(at),
            4 => bytes.extend_from_within(at..),
            _ => {
                chunks.remove(which);
            }
        }
        if chunks.is_empty() {
            return;
        }
    }
}

#[test]
fn mutated_captures_are_taken() {
    let mut understood = 0;
    for round in 0..2_000_u64 {
        let mut random = Random(round);
        let small: Vec<_> = CAPTURES.iter().filter(|(_, chunks)| chunks.len() < 200).collect();
        let mut chunks = small[random.below(small.len())].1.clone();
        mutate(&mut chunks, &mut random);
        check_bytes(&chunks);
        understood += usize::from(decode(&chunks).is_ok());
    }
    // The mutations have to reach both what is decoded and what is not.
    assert!(
        (200..1_800).contains(&understood),
        "{understood} of 2000 understood"
    );
}
