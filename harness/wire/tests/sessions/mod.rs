//! Sessions of two peers as bytes: how they are written down and cut into reads, and what must hold for every codec
//! whatever is in them. The tests of both protocols and the fuzz targets in `../../fuzz` are made of this.

use harness_wire::codec::{Codec, Direction, Unit};

/// One read of a session.
pub(crate) type Chunk = (Direction, Vec<u8>);

pub(crate) const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// How sessions are written down: for each read the mark of its direction, its length in four bytes, and its bytes.
pub(crate) struct Format {
    /// To the server, to the client.
    pub(crate) marks: [u8; 2],
    pub(crate) big_endian: bool,
}

impl Format {
    /// The session that `bytes` are, and any bytes are one: a mark that is none is to the server, and a read that is not
    /// all there ends with them.
    pub(crate) fn read(&self, mut bytes: &[u8]) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        while let Some((&[mark, length @ ..], rest)) = bytes.split_first_chunk::<5>() {
            let direction = BOTH[usize::from(mark == self.marks[1])];
            let length = if self.big_endian {
                u32::from_be_bytes(length)
            } else {
                u32::from_le_bytes(length)
            };
            let (chunk, rest) = rest.split_at(rest.len().min(length as usize));
            chunks.push((direction, chunk.to_vec()));
            bytes = rest;
        }
        chunks
    }

    pub(crate) fn write(&self, chunks: &[Chunk]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (direction, chunk) in chunks {
            let length = u32::try_from(chunk.len()).expect("reads are short");
            bytes.push(self.marks[*direction as usize]);
            bytes.extend(if self.big_endian {
                length.to_be_bytes()
            } else {
                length.to_le_bytes()
            });
            bytes.extend(chunk);
        }
        bytes
    }
}

/// The same bytes in as few reads as their order allows.
pub(crate) fn joined(chunks: &[Chunk]) -> Vec<Chunk> {
    let mut joined: Vec<Chunk> = Vec::new();
    for (direction, bytes) in chunks {
        match joined.last_mut() {
            Some((last, all)) if last == direction => all.extend(bytes),
            _ => joined.push((*direction, bytes.clone())),
        }
    }
    joined
}

/// The same bytes in reads of these sizes, which are taken in turn, over and over.
pub(crate) fn cut(chunks: &[Chunk], sizes: &[usize]) -> Vec<Chunk> {
    let mut sizes = sizes.iter().copied().cycle();
    let mut pieces = Vec::new();
    for (direction, bytes) in chunks {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
            pieces.push((*direction, piece.to_vec()));
            rest = behind;
        }
    }
    pieces
}

/// The bytes of one direction.
pub(crate) fn stream(chunks: &[Chunk], direction: Direction) -> Vec<u8> {
    let of_it = chunks.iter().filter(|chunk| chunk.0 == direction);
    of_it.flat_map(|chunk| chunk.1.iter().copied()).collect()
}

/// What a tap gets from a codec in the course of a session.
#[derive(Debug, PartialEq)]
pub(crate) struct Heard {
    pub(crate) units: Vec<(Direction, Unit)>,
    /// What passes without a unit, by direction: incomplete at the end, or not read any more.
    pub(crate) rest: [Vec<u8>; 2],
    pub(crate) understood: bool,
}

impl Heard {
    /// All that is forwarded in one direction.
    pub(crate) fn forwarded(&self, direction: Direction) -> Vec<u8> {
        let units = self.units.iter().filter(|unit| unit.0 == direction);
        let bytes = units.flat_map(|unit| &unit.1.bytes);
        bytes.chain(&self.rest[direction as usize]).copied().collect()
    }
}

/// Hands a session to a codec, as a tap does.
pub(crate) fn hear(mut codec: impl Codec, chunks: &[Chunk]) -> Heard {
    let mut heard = Heard {
        units: Vec::new(),
        rest: Default::default(),
        understood: true,
    };
    let mut units = Vec::new();
    for (direction, bytes) in chunks {
        if !heard.understood {
            heard.rest[*direction as usize].extend(bytes);
            continue;
        }
        heard.understood = codec.push(*direction, bytes, &mut units).is_ok();
        heard.units.extend(units.drain(..).map(|unit| (*direction, unit)));
        if !heard.understood {
            heard.rest = BOTH.map(|direction| codec.leftover(direction));
        }
    }
    if heard.understood {
        heard.rest = BOTH.map(|direction| codec.leftover(direction));
    }
    heard
}

/// What is heard of a session, which is the same however it is cut into reads.
///
/// # Panics
/// It is not.
pub(crate) fn heard_however_cut<C: Codec>(codec: impl Fn() -> C, chunks: &[Chunk], sizes: &[usize]) -> Heard {
    let heard = hear(codec(), &joined(chunks));
    for other in [chunks, &cut(chunks, sizes)] {
        let again = hear(codec(), other);
        if again == heard {
            continue;
        }
        let units = heard.units.iter().zip(&again.units);
        let same = units.take_while(|(a, b)| a == b).count();
        let next = [&heard, &again].map(|heard| heard.units.get(same));
        panic!(
            "unit {same} depends on where reads end: {next:?}, of {} and {} units",
            heard.units.len(),
            again.units.len()
        );
    }
    heard
}

/// SplitMix64: small, and the same numbers everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, or 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}
