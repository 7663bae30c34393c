//! What must hold for the MySQL codec, whatever the bytes are.

use std::collections::BTreeSet;
use std::sync::Arc;

use harness_model::event::Step;
use harness_model::name::Key;
use harness_wire::codec::{Codec as _, Direction};
use harness_wire::mysql::{KeysInHand, MySqlCodec};

use crate::sessions::{Chunk, Format, Heard, heard_however_cut, stream};

/// See `tests/captures/mysql/README.md`.
pub(crate) const FORMAT: Format = Format {
    marks: *b"><",
    big_endian: false,
};

/// Most bytes that are kept, or given out at once, in a direction.
const PIECES: [usize; 2] = [1 << 20, 1 << 16];

/// Keys that are in hand in all tests.
pub(crate) const KEYS: [&str; 8] = [
    "-5",
    "18446744073709551615",
    "2",
    "42",
    "5000000000",
    "7",
    "72",
    "pub-3",
];

struct Keys;

impl KeysInHand for Keys {
    fn matching(&self, values: &BTreeSet<String>) -> Vec<Key> {
        KEYS.iter()
            .filter(|key| values.contains(**key))
            .map(Key::new)
            .collect()
    }
}

/// A codec for a service that has [`KEYS`] in hand.
pub(crate) fn codec() -> MySqlCodec {
    MySqlCodec::new(Arc::new(Keys))
}

/// What holds for a session: the same is heard of it however it is cut, no byte is lost, added, moved, or changed except
/// in the greeting, and no more than a piece is kept.
pub(crate) fn check(chunks: &[Chunk], sizes: &[usize]) {
    let heard = heard_however_cut(codec, chunks, sizes);
    check_bytes(chunks, &heard);
    for (direction, unit) in &heard.units {
        assert!(unit.bytes.len() <= PIECES[*direction as usize]);
    }
    if heard.understood {
        let kept = heard.rest.each_ref().map(Vec::len);
        assert!(
            kept.iter().zip(PIECES).all(|(kept, most)| *kept < most),
            "{kept:?}"
        );
    }
}

pub(crate) fn check_bytes(chunks: &[Chunk], heard: &Heard) {
    assert!(
        stream(chunks, Direction::ToServer) == heard.forwarded(Direction::ToServer),
        "what the client said was changed"
    );
    let came = stream(chunks, Direction::ToClient);
    let went = heard.forwarded(Direction::ToClient);
    assert_eq!(came.len(), went.len(), "bytes to the client were lost or added");
    let changed: Vec<usize> = (0..came.len()).filter(|&at| came[at] != went[at]).collect();
    let cleared = changed.iter().all(|&at| came[at] & went[at] == went[at]);
    // The two bytes of the lower flags and the second one of the upper flags.
    let near = changed.last().is_none_or(|last| last - changed[0] <= 6);
    let greeting = came
        .first_chunk()
        .map_or(0, |&[a, b, c]| u32::from_le_bytes([a, b, c, 0]));
    let within = changed.last().is_none_or(|&last| last < 4 + greeting as usize);
    assert!(
        changed.len() <= 3 && cleared && near && within,
        "bytes to the client were changed at {changed:?}"
    );
}

/// Has every statement refused, as a rule does: who is told so in the ledger is told so on the wire.
pub(crate) fn check_refused(chunks: &[Chunk]) {
    const CODE: u16 = 1205;
    let [low, high] = CODE.to_le_bytes();
    let (mut codec, mut units) = (codec(), Vec::new());
    for (direction, bytes) in chunks {
        let pushed = codec.push(*direction, bytes, &mut units);
        for unit in units.drain(..) {
            match unit.step {
                Some(Step::Statement { .. }) => {
                    let request = unit.request.expect("a statement is a request");
                    if let Some(instead) = codec.refuse(request, CODE) {
                        assert_eq!(instead, [1, 0, 0, 0, 0x0e], "a ping goes in its place");
                    }
                }
                Some(Step::DbErr { code: CODE, .. }) => {
                    assert!(unit.bytes[4..].starts_with(&[0xff, low, high]));
                }
                _ => {}
            }
        }
        if pushed.is_err() {
            break;
        }
    }
}
