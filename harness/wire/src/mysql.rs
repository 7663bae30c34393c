//! The MySQL client/server protocol, as MySQL and MariaDB speak it, from the greeting to `COM_QUIT`.
//!
//! A [`Unit`] is a physical packet. Only a packet longer than 1 MiB (from the client) or 64 KiB (from the server) is
//! given out in pieces, so that memory stays bounded whatever a packet claims to be; all steps are on its first piece.
//!
//! - A command's [`Statement`] is on its first packet: who holds that unit holds all of the statement.
//! - An answer's [`DbOk`] or [`DbErr`] is on the packet that completes it: who holds that unit has let the rows pass, but
//!   the client does not know the outcome. A statement has exactly one answer, also where it is made of several result
//!   sets; their rows are added up.
//! - `COM_STMT_PREPARE` changes nothing in the database: it is no step, except when it fails.
//!
//! [`Statement`]: harness_model::event::Step::Statement
//! [`DbOk`]: harness_model::event::Step::DbOk
//! [`DbErr`]: harness_model::event::Step::DbErr
//!
//! In the greeting the bits for TLS and compression are cleared, so that a client which would take them up if offered
//! speaks in the clear. Deliberately not done: TLS, compression, replication and the protocol before 4.1 (they are
//! [`Undecodable`]); rows are counted, never parsed; a text with several statements has the verb of its first one. What
//! the server would keep of an execution that was refused (types of parameters that are sent only once, values that were
//! sent ahead) is not made up for.
//!
//! Sources: "Client/Server Protocol" in MySQL's source documentation and in MariaDB's server reference.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use harness_model::event::Step;
use harness_model::name::Key;

use crate::codec::{Codec, Direction, Undecodable, Unit};
use crate::in_flight::InFlight;
use crate::tap::NewCodec;

mod answer;
mod command;
mod frame;
mod handshake;
mod read;
mod refusal;
mod session;
mod sql;
mod statement;
mod values;

use frame::{COMMAND_PIECE, Framer, Packet, RESPONSE_PIECE};
use session::Session;

/// The messages in the hands of a service, so that a statement can be told to be about them.
pub trait KeysInHand: Send + Sync {
    /// Those whose key is one of `values`, in order. Must not wait: it is called between two packets.
    fn matching(&self, values: &BTreeSet<String>) -> Vec<Key>;
}

impl KeysInHand for InFlight {
    fn matching(&self, values: &BTreeSet<String>) -> Vec<Key> {
        let mut keys = self.keys();
        keys.retain(|key| values.contains(key.as_str()));
        keys
    }
}

/// For [`crate::tap::TapSpec::codec`]: the codec of every connection of one service.
pub fn codec(in_flight: InFlight) -> NewCodec {
    let keys: Arc<dyn KeysInHand> = Arc::new(in_flight);
    Arc::new(move || Box::new(MySqlCodec::new(Arc::clone(&keys))))
}

/// The codec of one database connection.
pub struct MySqlCodec {
    keys: Arc<dyn KeysInHand>,
    to_server: Framer,
    to_client: Framer,
    session: Session,
    /// The statement whose first packet was the last that the client began.
    statement: Option<u64>,
    broken: Option<Undecodable>,
}

impl MySqlCodec {
    /// A codec for a new connection; `keys` are those of the service at its end.
    pub fn new(keys: Arc<dyn KeysInHand>) -> Self {
        Self {
            keys,
            to_server: Framer::new(COMMAND_PIECE),
            to_client: Framer::new(RESPONSE_PIECE),
            session: Session::default(),
            statement: None,
            broken: None,
        }
    }
}

impl fmt::Debug for MySqlCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlCodec")
            .field("session", &self.session)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl Codec for MySqlCodec {
    fn push(&mut self, direction: Direction, bytes: &[u8], units: &mut Vec<Unit>) -> Result<(), Undecodable> {
        let framer = match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        };
        if let Some(why) = &self.broken {
            framer.put_back(Vec::new(), bytes);
            return Err(why.clone());
        }
        let mut input = bytes;
        while let Some(mut piece) = framer.next_piece(&mut input) {
            let mut instead = None;
            let step = match (Packet::read(&mut piece), direction) {
                (None, _) => Ok(None),
                (Some(packet), Direction::ToServer) => {
                    let step = self.session.client_sends(&packet, &*self.keys);
                    let statement = matches!(step, Ok(Some(Step::Statement { .. })));
                    self.statement = statement.then(|| self.session.newest_command());
                    step
                }
                (Some(mut packet), Direction::ToClient) => {
                    let step = self.session.server_sends(&mut packet);
                    instead = packet.instead;
                    step
                }
            };
            match step {
                Ok(step) => units.push(Unit {
                    bytes: instead.unwrap_or(piece.bytes),
                    chan: None,
                    request: self.statement.filter(|_| direction == Direction::ToServer),
                    step,
                }),
                Err(why) => {
                    framer.put_back(piece.bytes, input);
                    self.broken = Some(why.clone());
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    fn leftover(&mut self, direction: Direction) -> Vec<u8> {
        match direction {
            Direction::ToServer => self.to_server.take_held(),
            Direction::ToClient => self.to_client.take_held(),
        }
    }

    fn refuse(&mut self, request: u64, code: u16) -> Option<Vec<u8>> {
        if self.broken.is_some() {
            return None;
        }
        self.session.refuse(request, code)
    }
}

/// What there is to say of bytes that make no sense.
fn undecodable(why: impl Into<String>) -> Undecodable {
    Undecodable { why: why.into() }
}

/// `bytes` as text for the ledger, cut at 300 characters.
fn shown(bytes: &[u8]) -> String {
    const CHARACTERS: usize = 300;
    // A character has at most four bytes; what comes after them cannot be shown and need not be decoded.
    let bytes = &bytes[..bytes.len().min(4 * CHARACTERS)];
    String::from_utf8_lossy(bytes).chars().take(CHARACTERS).collect()
}
