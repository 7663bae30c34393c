//! What must hold for any bytes that a service, a file or a person hands to the harness. Each function is a target of the
//! fuzzer, and panics if it does not. `.ci/fuzz` runs them.
//!
//! What must hold for sessions is what the tests of the codecs ask of them, too: it is in `../tests/sessions`.

pub mod mutate;

#[path = "../../tests/sessions/amqp.rs"]
mod amqp;
#[path = "../../tests/sessions/mysql.rs"]
mod mysql;
#[path = "../../tests/sessions/mod.rs"]
mod sessions;

use std::io::BufReader;

use harness_model::ledger::{Ledger, LedgerError, Reader, write_line};
use harness_model::topology::Topology;
use harness_wire::amqp::AmqpCodec;
use harness_wire::codec::Codec;
use harness_wire::in_flight::InFlight;
use peak_alloc::PeakAlloc;

use self::sessions::{Chunk, Random};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory that anything may take, and that each byte of input may take. A frame of ten bytes becomes a unit of a few
/// hundred, and a content that is announced gets room for an ordinary one. What is claimed beyond that has to come first.
const ROOM: usize = 1 << 20;
const ROOM_PER_BYTE: usize = 2_000;

/// Runs `work` on so many bytes of input, and sees how much memory it takes.
fn within_bounds<T>(input: usize, work: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let done = work();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    let most = ROOM + ROOM_PER_BYTE * input;
    assert!(
        taken <= most,
        "{input} bytes of input took {taken} bytes of memory"
    );
    done
}

/// Sizes of reads that follow from the input, so that an input that fails always does.
fn sizes(data: &[u8]) -> [usize; 3] {
    let seed = data
        .iter()
        .fold(0, |seed: u64, byte| seed.rotate_left(7) ^ u64::from(*byte));
    let mut random = Random(seed);
    [1 + random.below(3), 1 + random.below(20), 1 + random.below(600)]
}

/// A codec takes no more memory than what was said to it is worth.
fn bounded(mut codec: impl Codec, chunks: &[Chunk]) {
    let input = chunks.iter().map(|chunk| chunk.1.len()).sum();
    within_bounds(input, || {
        let mut units = Vec::new();
        for (direction, bytes) in chunks {
            let pushed = codec.push(*direction, bytes, &mut units);
            units.clear();
            if pushed.is_err() {
                break;
            }
        }
    });
}

/// A session of AMQP peers, in the format of the captures.
pub fn amqp(data: &[u8]) {
    let chunks = amqp::FORMAT.read(data);
    amqp::check(&chunks, &sizes(data));
    bounded(AmqpCodec::new(amqp::options(), InFlight::new()), &chunks);
}

/// A session of MySQL peers, in the format of the captures.
pub fn mysql(data: &[u8]) {
    let chunks = mysql::FORMAT.read(data);
    mysql::check(&chunks, &sizes(data));
    mysql::check_refused(&chunks);
    bounded(mysql::codec(), &chunks);
}

/// A ledger: what can be read of it is written as it was read, whatever follows it, and however it comes.
pub fn ledger(data: &[u8]) {
    let (events, end) = within_bounds(data.len(), || read(data));
    let mut written = Vec::new();
    for (event, n) in events.iter().zip(1..) {
        assert_eq!(event.n, n);
        let begin = written.len();
        write_line(event, &mut written);
        let line = &written[begin..];
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert_eq!(
            serde_json::to_vec(event).expect("an event is plain data"),
            line[..line.len() - 1],
            "it is not written as the serializer does"
        );
    }
    assert!(events.is_sorted_by_key(|event| event.at));
    let again = Ledger::read(&written[..]).expect("what was written can be read");
    assert!(again.events() == events, "it is not read as it was written");

    let mut slowly = Reader::new(BufReader::with_capacity(sizes(data)[1], data));
    assert!(slowly.by_ref().map_while(Result::ok).eq(events.iter().cloned()));
    assert_eq!(Ledger::read(data).is_ok(), end.is_none());
    assert!(slowly.next().is_none(), "after an error there is nothing");

    let prefix = &data[..Random(sizes(data)[2] as u64).below(data.len())];
    let (before, end) = read(prefix);
    assert!(events.starts_with(&before), "a prefix says something else");
    assert!(
        end.is_some() || prefix.last().is_none_or(|&byte| byte == b'\n'),
        "a line without an end was taken"
    );
}

fn read(data: &[u8]) -> (Vec<harness_model::event::Event>, Option<LedgerError>) {
    let (mut events, mut end) = (Vec::new(), None);
    for event in Reader::new(data) {
        match event {
            Ok(event) => events.push(event),
            Err(error) => end = Some(error),
        }
    }
    (events, end)
}

/// A file that describes a pipeline: it is taken, or each mistake is shown at a place in it.
pub fn topology(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Err(error) = Topology::parse("pipeline.toml", text) else {
        return;
    };
    assert!(!error.mistakes().is_empty());
    for mistake in error.mistakes() {
        let (from, len) = (mistake.span.offset(), mistake.span.len());
        assert!(text.get(from..from + len).is_some(), "{mistake:?} is nowhere");
    }
    for width in [20, 100] {
        assert!(error.render(width, width == 20).contains("pipeline.toml"));
    }
}
