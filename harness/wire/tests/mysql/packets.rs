//! How a direction is cut into units, and on which unit a step is.

use harness_model::event::Verb;
use harness_wire::codec::{Codec as _, Direction, Unit};

use crate::support::{COLUMN, DEPRECATE_EOF, Talk, db_ok, ok, ok_as_eof, packet, query, statement};

const FULL: usize = 0xff_ffff;
const MIB: usize = 1 << 20;

fn push(talk: &mut Talk, direction: Direction, bytes: &[u8]) -> Vec<Unit> {
    let mut units = Vec::new();
    talk.codec.push(direction, bytes, &mut units).unwrap();
    assert!(units.concat_bytes() == bytes, "bytes are lost or changed");
    units
}

trait Concat {
    fn concat_bytes(&self) -> Vec<u8>;
}

impl Concat for Vec<Unit> {
    fn concat_bytes(&self) -> Vec<u8> {
        self.iter().flat_map(|unit| unit.bytes.iter().copied()).collect()
    }
}

/// Payload cut into packets, from a sequence id on.
fn fragments(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sequence = first;
    let mut rest = payload;
    loop {
        let (part, behind) = rest.split_at(rest.len().min(FULL));
        bytes.extend(packet(sequence, part));
        if part.len() < FULL {
            return bytes;
        }
        (sequence, rest) = (sequence.wrapping_add(1), behind);
    }
}

#[test]
fn a_unit_is_a_packet() {
    let mut talk = Talk::opened(DEPRECATE_EOF, 0);
    push(&mut talk, Direction::ToServer, &packet(0, &query("SELECT 1")));
    let packets = [
        packet(1, &[1]),
        packet(2, COLUMN),
        packet(3, b"\x011"),
        packet(4, &ok_as_eof(0)),
    ];
    let units = push(&mut talk, Direction::ToClient, &packets.concat());
    let bytes: Vec<_> = units.iter().map(|unit| unit.bytes.clone()).collect();
    assert_eq!(bytes, packets);
    let steps: Vec<_> = units.iter().map(|unit| unit.step.iter().count()).collect();
    assert_eq!(steps, [0, 0, 0, 1], "only the last packet completes the answer");
}

#[test]
fn an_incomplete_packet_is_left_over() {
    let mut talk = Talk::opened(0, 0);
    let bytes = packet(0, &query("COMMIT"));
    for cut in 0..bytes.len() {
        assert_eq!(talk.send(Direction::ToServer, &bytes[..0]), Ok(Vec::new()));
        let mut units = Vec::new();
        talk.codec
            .push(Direction::ToServer, &bytes[..cut], &mut units)
            .unwrap();
        assert_eq!(units, []);
        assert_eq!(talk.codec.leftover(Direction::ToServer), bytes[..cut]);
    }
    assert_eq!(talk.codec.leftover(Direction::ToClient), b"");
}

#[test]
fn a_long_command_is_one_statement_on_its_first_piece() {
    for length in [
        MIB - 5,
        MIB - 4,
        MIB - 3,
        FULL - 1,
        FULL,
        FULL + 1,
        2 * FULL,
        2 * FULL + MIB,
    ] {
        let mut talk = Talk::opened(0, 0);
        let mut sql = query("UPDATE t SET n = 7 -- ");
        sql.resize(length, b'x');
        let units = push(&mut talk, Direction::ToServer, &fragments(0, &sql));
        let steps: Vec<_> = units.iter().map(|unit| unit.step.iter().count()).collect();
        assert_eq!((steps[0], steps.iter().sum::<usize>()), (1, 1), "{length}");
        assert!(units.iter().all(|unit| unit.bytes.len() <= MIB), "{length}");
        let sequence = u8::try_from(length / FULL + 1).unwrap();
        assert_eq!(talk.server(sequence, &ok(3, 1)), [db_ok(Verb::Update, 3, true)]);
        assert_eq!(
            talk.client(0, &query("COMMIT")),
            [statement(Verb::Commit, "COMMIT", false, &[])]
        );
    }
}

#[test]
fn a_long_row_is_one_row_even_if_it_looks_like_an_end() {
    for length in [1 << 16, FULL - 1, FULL, FULL + 1, 2 * FULL] {
        let mut talk = Talk::opened(DEPRECATE_EOF, 0);
        talk.client(0, &query("SELECT b FROM t"));
        talk.rest(&[&[1], COLUMN]);
        // Texts of 16 MiB and more begin with 0xfe, and so do their second packets here.
        let mut row = vec![if length < FULL { 0xfd } else { 0xfe }];
        row.resize(length, 0xfe);
        let units = push(&mut talk, Direction::ToClient, &fragments(3, &row));
        assert!(
            units
                .iter()
                .all(|unit| unit.bytes.len() <= 1 << 16 && unit.step.is_none())
        );
        let end = talk.rest(&[b"\x011", &ok_as_eof(0)]);
        assert_eq!(end, [db_ok(Verb::Select, 2, false)], "{length}");
    }
}

#[test]
fn a_packet_that_claims_much_is_not_waited_for() {
    let mut talk = Talk::opened(0, 0);
    let mut bytes = packet(0, &query("SELECT 1"));
    bytes[..3].copy_from_slice(&[0xfe, 0xff, 0xff]);
    bytes.resize(MIB + 10, b' ');
    let mut units = Vec::new();
    talk.codec.push(Direction::ToServer, &bytes, &mut units).unwrap();
    assert_eq!(
        (units.len(), units[0].bytes.len(), units[0].step.iter().count()),
        (1, MIB, 1)
    );
    assert_eq!(talk.codec.leftover(Direction::ToServer).len(), 10);
}
