//! Changes sessions frame by frame, so that most of what comes out can be read up to where it was changed.
//!
//! libFuzzer's own mutations know nothing of lengths: one byte more, and nothing behind it makes sense. Here they are
//! applied to what is inside a frame, whose length is then put right, mostly.

use harness_wire::codec::Direction;
use libfuzzer_sys::fuzzer_mutate;

use crate::sessions::{BOTH, Chunk, Format, Random, joined};

/// How much a frame may grow at once.
const GROWTH: usize = 64;

/// A frame that was written as such, or bytes that are none.
type Frame = Chunk;

/// A protocol, as far as it is made of frames.
struct Protocol {
    format: Format,
    /// Bytes before and behind what is inside a frame.
    around: (usize, usize),
    /// The length of the frame that bytes begin with.
    length: fn(&[u8]) -> Option<usize>,
    /// Writes the length of what is inside.
    seal: fn(&mut [u8], u32),
    /// Where a number stands that frames are told apart by: the channel, the sequence id.
    number: usize,
}

/// A mutator for sessions of AMQP peers: see [`libfuzzer_sys::fuzz_mutator`].
pub fn amqp(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let protocol = Protocol {
        format: crate::amqp::FORMAT,
        around: (7, 1),
        length: |bytes| crate::amqp::frame(bytes).map(<[u8]>::len),
        seal: |frame, length| {
            frame[3..7].copy_from_slice(&length.to_be_bytes());
            if let Some(end) = frame.last_mut() {
                *end = 0xCE;
            }
        },
        number: 2,
    };
    protocol.mutate(data, size, max_size, seed)
}

/// A mutator for sessions of MySQL peers.
pub fn mysql(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let protocol = Protocol {
        format: crate::mysql::FORMAT,
        around: (4, 0),
        length: |bytes| {
            let [a, b, c, _] = *bytes.first_chunk()?;
            let length = 4 + u32::from_le_bytes([a, b, c, 0]) as usize;
            (length <= bytes.len()).then_some(length)
        },
        seal: |frame, length| frame[..3].copy_from_slice(&length.to_le_bytes()[..3]),
        number: 3,
    };
    protocol.mutate(data, size, max_size, seed)
}

impl Protocol {
    fn mutate(&self, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
        let mut random = Random(seed.into());
        let mut frames = self.frames(&data[..size]);
        if frames.is_empty() || random.below(8) == 0 {
            return fuzzer_mutate(data, size, max_size);
        }
        for _ in 0..=random.below(3) {
            self.change(&mut frames, &mut random);
        }
        let written = self.format.write(&joined(&frames));
        if written.len() > max_size {
            return fuzzer_mutate(data, size, max_size);
        }
        data[..written.len()].copy_from_slice(&written);
        written.len()
    }

    fn frames(&self, data: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for (direction, bytes) in joined(&self.format.read(data)) {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let length = (self.length)(rest).unwrap_or(rest.len());
                frames.push((direction, rest[..length].to_vec()));
                rest = &rest[length..];
            }
        }
        frames
    }

    fn change(&self, frames: &mut Vec<Frame>, random: &mut Random) {
        if frames.is_empty() {
            return;
        }
        let at = random.below(frames.len());
        let other = random.below(frames.len());
        match random.below(12) {
            0 => drop(frames.remove(at)),
            1 => frames.insert(other, frames[at].clone()),
            2 => frames.swap(at, other),
            3 => {
                let (direction, frame) = frames[at].clone();
                frames.insert(
                    other,
                    (BOTH[usize::from(direction == Direction::ToServer)], frame),
                );
            }
            4 => {
                if let Some(number) = frames[at].1.get_mut(self.number) {
                    *number = random.below(4) as u8;
                }
            }
            5 => {
                let frame = &mut frames[at].1;
                frame.truncate(random.below(frame.len()));
            }
            6 => {
                // A length that is a lie.
                let length = [0, 1, 0xFF, 0xFFFF, 0xFF_FFFF, 0x07FF_FFFF, u32::MAX][random.below(7)];
                if frames[at].1.len() >= self.around.0 {
                    (self.seal)(&mut frames[at].1, length);
                }
            }
            _ => self.change_inside(&mut frames[at].1),
        }
    }

    /// Lets the fuzzer change what is inside a frame.
    fn change_inside(&self, frame: &mut Vec<u8>) {
        let (before, behind) = self.around;
        let Some(inside) = frame.len().checked_sub(before + behind) else {
            return;
        };
        let mut changed = vec![0; inside + GROWTH];
        changed[..inside].copy_from_slice(&frame[before..before + inside]);
        let length = fuzzer_mutate(&mut changed, inside, inside + GROWTH);
        frame.splice(before..before + inside, changed[..length].iter().copied());
        (self.seal)(frame, length as u32);
    }
}
