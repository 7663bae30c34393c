//! What [`crate::mysql::check`] says holds for all bytes. `../../fuzz` looks further.

use std::sync::LazyLock;

use harness_wire::codec::Direction;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

use crate::mysql::{check, check_bytes, check_refused, codec};
use crate::sessions::{Chunk, Random, cut, hear};
use crate::support::{Talk, capture, capture_names, decode, greeting, login, ok, packet};

static CAPTURES: LazyLock<Vec<(String, Vec<Chunk>)>> = LazyLock::new(|| {
    let named = |name: String| (name.clone(), capture(&name));
    capture_names().into_iter().map(named).collect()
});

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
        check(&cut, &lengths);
    }

    #[test]
    fn arbitrary_bytes_are_taken(chunks in vec((direction(), vec(any::<u8>(), 0..200)), 0..10)) {
        check(&chunks, &[1, 6]);
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
        check(&chunks, &[1, 6]);
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

/// Changes a few places: a byte, a run of bytes taken out, repeated, or a whole chunk.
fn mutate(chunks: &mut Vec<Chunk>, random: &mut Random) {
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
        check(&chunks, &[1, 6]);
        check_refused(&chunks);
        understood += usize::from(decode(&chunks).is_ok());
    }
    // The mutations have to reach both what is decoded and what is not.
    assert!(
        (200..1_800).contains(&understood),
        "{understood} of 2000 understood"
    );
}

#[test]
fn what_a_codec_may_not_do_is_noticed() {
    let chunks = capture("cli-1");
    let noticed = |wrong: fn(&mut Vec<(Direction, harness_wire::codec::Unit)>)| {
        let mut heard = hear(codec(), &chunks);
        wrong(&mut heard.units);
        std::panic::catch_unwind(|| check_bytes(&chunks, &heard)).is_err()
    };
    assert!(!noticed(|_| ()));
    assert!(noticed(|units| drop(units.pop())), "it lost a packet");
    assert!(noticed(|units| units[1].1.bytes[4] ^= 1), "it changed the login");
    assert!(
        noticed(|units| units[0].1.bytes[4] |= 0x40),
        "it set a bit of the greeting"
    );
    assert!(
        noticed(|units| units.last_mut().unwrap().1.bytes[4] ^= 1),
        "it changed the last packet"
    );
}
