//! Packets: a length (3 bytes), a sequence id, a payload. A payload of exactly 16 MiB - 1 goes on in the next packet.

/// Longest piece of a packet from the client. Generous, because the key of a statement may come after a picture.
pub(super) const COMMAND_PIECE: usize = 1 << 20;
/// Longest piece of a packet from the server; what decides about an answer is in its first bytes.
pub(super) const RESPONSE_PIECE: usize = 1 << 16;

const HEADER: usize = 4;
const FULL: usize = 0xff_ffff;

/// Cuts one direction into pieces. A piece is a whole packet, or at most `limit` bytes of one.
#[derive(Debug)]
pub(super) struct Framer {
    limit: usize,
    /// The beginning of the next piece.
    held: Vec<u8>,
    /// How many bytes of the current packet come after the pieces given out so far.
    rest: usize,
    /// The last packet was full, hence the next one belongs to the same payload.
    continued: bool,
}

/// What is forwarded at once.
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// A payload begins here, and its first packet has this length.
    payload: Option<usize>,
}

/// The beginning of a payload.
pub(super) struct Packet<'a> {
    /// Sequence id; 0 begins a command.
    pub(super) sequence: u8,
    /// Length of the packet's payload, which may be more than is here.
    pub(super) length: usize,
    /// As much of it as fits a piece.
    pub(super) payload: &'a mut [u8],
    /// What is to be forwarded in its place.
    pub(super) instead: Option<Vec<u8>>,
}

impl<'a> Packet<'a> {
    /// The payload that begins in `piece`, if one does.
    pub(super) fn read(piece: &'a mut Piece) -> Option<Self> {
        let length = piece.payload?;
        let (header, payload) = piece.bytes.split_first_chunk_mut::<HEADER>()?;
        Some(Self {
            sequence: header[3],
            length,
            payload,
            instead: None,
        })
    }
}

/// A packet made anew.
pub(super) fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    debug_assert!(payload.len() < FULL, "what a tap says for itself is short");
    let [a, b, c, ..] = payload.len().to_le_bytes();
    let mut bytes = vec![a, b, c, sequence];
    bytes.extend_from_slice(payload);
    bytes
}

impl Framer {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Vec::new(),
            rest: 0,
            continued: false,
        }
    }

    /// The next piece if it is complete; else all of `input` is kept.
    pub(super) fn next_piece(&mut self, input: &mut &[u8]) -> Option<Piece> {
        if self.rest > 0 {
            let size = self.rest.min(self.limit);
            let bytes = self.gather(size, input)?;
            self.rest -= size;
            return Some(Piece { bytes, payload: None });
        }
        let [a, b, c, _] = self.header(input)?;
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        let size = (HEADER + length).min(self.limit);
        let bytes = self.gather(size, input)?;
        self.rest = HEADER + length - size;
        let payload = (!self.continued).then_some(length);
        self.continued = length == FULL;
        Some(Piece { bytes, payload })
    }

    /// Keeps the bytes of a piece that could not be decoded, and those behind it.
    pub(super) fn put_back(&mut self, mut piece: Vec<u8>, behind: &[u8]) {
        piece.extend_from_slice(behind);
        self.held.append(&mut piece);
    }

    /// The bytes that are kept.
    pub(super) fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn header(&mut self, input: &mut &[u8]) -> Option<[u8; HEADER]> {
        if self.held.is_empty()
            && let Some(header) = input.first_chunk()
        {
            return Some(*header);
        }
        self.fill(HEADER, input);
        self.held.first_chunk().copied()
    }

    /// `size` bytes, copied once when they are all in `input`.
    fn gather(&mut self, size: usize, input: &mut &[u8]) -> Option<Vec<u8>> {
        if self.held.is_empty()
            && let Some((piece, behind)) = input.split_at_checked(size)
        {
            *input = behind;
            return Some(piece.to_vec());
        }
        self.fill(size, input);
        (self.held.len() == size).then(|| self.take_held())
    }

    /// Moves bytes from `input` to what is held until that is `size` long.
    fn fill(&mut self, size: usize, input: &mut &[u8]) {
        let missing = size.saturating_sub(self.held.len()).min(input.len());
        let (moved, behind) = input.split_at(missing);
        self.held.extend_from_slice(moved);
        *input = behind;
    }
}
