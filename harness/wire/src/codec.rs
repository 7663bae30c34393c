//! The seam between a tap, which moves bytes, and a protocol, which says what they mean.
//!
//! A [`Codec`] belongs to one connection and sees both of its directions. It cuts each direction into [`Unit`]s: the
//! smallest pieces that may be held, dropped, repeated or moved as a whole without breaking the protocol's framing.
//! For AMQP that is a frame, or a method with all of its content; for MySQL a packet, or a command. A codec never does
//! I/O, never waits and never panics, whatever the bytes are: what it cannot decode it reports as [`Undecodable`], and
//! the tap passes the rest of the connection through untouched.

use harness_model::event::Step;

/// Which way bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the service to the backend.
    ToServer,
    /// From the backend to the service.
    ToClient,
}

/// A piece of the stream that is forwarded whole, with the step that it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// The bytes to forward. They are those that came in, except where the codec is told to rewrite (the virtual host
    /// of `connection.open`, the TLS bit of MySQL's greeting).
    pub bytes: Vec<u8>,
    /// AMQP channel, if it has one.
    pub chan: Option<u16>,
    /// The request that it is a part of, if [`Codec::refuse`] can refuse it. The parts of a request follow each other,
    /// and its step is on the first; who takes that one out of the stream takes all of them.
    pub request: Option<u64>,
    /// What happens in it.
    pub step: Option<Step>,
}

/// The bytes are not of this protocol, or not in the clear.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Undecodable {
    /// What was found instead, for the ledger.
    pub why: String,
}

/// The protocol of one connection.
pub trait Codec: Send {
    /// Takes the next bytes of one direction, split anywhere, and appends the units that are complete by now.
    ///
    /// Bytes of an incomplete unit are kept and given out with a later call. Concatenated over all calls, the units of
    /// one direction are the bytes of that direction (apart from rewriting).
    ///
    /// # Errors
    /// [`Undecodable`] when the bytes cannot be of this protocol. Units appended before the error are valid; what is
    /// left over is then taken with [`Codec::leftover`].
    fn push(&mut self, direction: Direction, bytes: &[u8], units: &mut Vec<Unit>) -> Result<(), Undecodable>;

    /// Takes the bytes of an incomplete unit, so that they can be forwarded at the end of a stream or after an error.
    fn leftover(&mut self, direction: Direction) -> Vec<u8>;

    /// Learns that a unit, which is in the ledger, is taken out of the stream, so that its receiver never sees it. `behind`
    /// are the units of its direction that were given out after it and are not in the ledger yet: the codec may put right
    /// what they say.
    fn lost(&mut self, _direction: Direction, _unit: &Unit, _behind: &mut [Unit]) {}

    /// Gives what is to be sent to the server in the place of a request, so that the client is told that it has failed
    /// with this error code of the server. `None` if nothing can: the protocol knows no such thing, or the connection
    /// cannot be read any more.
    fn refuse(&mut self, _request: u64, _code: u16) -> Option<Vec<u8>> {
        None
    }
}
