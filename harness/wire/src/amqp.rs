//! AMQP 0-9-1 as a tap sees it: cuts both directions into units and says what happens in each.
//!
//! A unit is one frame, or a method with all frames of its content. Contents are put together channel by channel, so
//! frames of other channels that come in between are forwarded before them, which the protocol allows. What is not
//! understood for sure is not guessed: bytes that are no frames, and known methods whose arguments end early, make the
//! connection opaque. A method that is not known passes without a step.
//!
//! What a settlement or a confirm covers is the view of its receiver. One that a fault takes out of the stream is in the
//! ledger, with its release as dropped, and settles nothing: a later one with `multiple`, which the broker takes for all
//! that it has open up to its tag, covers the same deliveries again. The service sees it otherwise: for it they are done
//! with its first ack, so they are not in flight ([`InFlight`]) from then on. If the channel ends before the broker is
//! told, they go back to their queue, and nothing in the ledger covers them again.
//!
//! Deliberately not done: judging the peers. Frames that the protocol forbids at their place pass as they are; the
//! broker will say what it thinks of them. Transactions (`tx`) are not followed: settlements count when they are sent.

mod channel;
mod content;
mod frame;
mod key;
mod lost;
mod method;
mod session;
mod table;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::frame::Splitter;
use self::key::KeyPaths;
use self::session::Session;
use crate::codec::{Codec, Direction, Undecodable, Unit};
use crate::in_flight::{InFlight, InjectedKeys};
use crate::tap::NewCodec;

/// What the codec has to know about the trial.
#[derive(Debug, Clone, Default)]
pub struct AmqpOptions {
    /// The virtual host that clients are led to, whatever they ask for; services know only `/`. At most 255 bytes.
    pub vhost: Option<String>,
    /// Where the key of a message is in its JSON body: dotted paths, the first that is there wins.
    pub key_paths: Vec<String>,
    /// The header that counts retries.
    pub retry_header: String,
    /// Exchange and routing key of the messages whose bodies go into the ledger.
    pub record: BTreeSet<(String, String)>,
    /// The message ids that the harness gave out.
    pub injected: InjectedKeys,
}

/// For [`crate::tap::TapSpec::codec`]: the codec of every connection of one service.
pub fn codec(options: AmqpOptions, in_flight: InFlight) -> NewCodec {
    let settings = Arc::new(Settings::new(options));
    Arc::new(move || Box::new(AmqpCodec::with(Arc::clone(&settings), in_flight.clone())))
}

/// Options and what is made of them once.
#[derive(Debug)]
struct Settings {
    options: AmqpOptions,
    key_paths: KeyPaths,
}

impl Settings {
    fn new(options: AmqpOptions) -> Self {
        Self {
            key_paths: KeyPaths::new(&options.key_paths),
            options,
        }
    }
}

/// The codec of one connection.
#[derive(Debug)]
pub struct AmqpCodec {
    to_server: Splitter,
    to_client: Splitter,
    session: Session,
}

impl AmqpCodec {
    /// A codec for a new connection of the service whose deliveries are counted in `in_flight`.
    pub fn new(options: AmqpOptions, in_flight: InFlight) -> Self {
        Self::with(Arc::new(Settings::new(options)), in_flight)
    }

    fn with(settings: Arc<Settings>, in_flight: InFlight) -> Self {
        let (to_server, to_client) = Default::default();
        Self {
            to_server,
            to_client,
            session: Session::new(settings, in_flight),
        }
    }
}

impl Codec for AmqpCodec {
    fn push(&mut self, direction: Direction, bytes: &[u8], units: &mut Vec<Unit>) -> Result<(), Undecodable> {
        let session = &mut self.session;
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
        .push(bytes, direction == Direction::ToServer, |frame| {
            session.frame(direction, &frame, units)
        })
    }

    fn leftover(&mut self, direction: Direction) -> Vec<u8> {
        let mut leftover = self.session.leftover(direction);
        leftover.append(&mut match direction {
            Direction::ToServer => self.to_server.leftover(),
            Direction::ToClient => self.to_client.leftover(),
        });
        leftover
    }

    fn lost(&mut self, direction: Direction, unit: &Unit, behind: &mut [Unit]) {
        self.session.lost(direction, unit, behind);
    }
}

#[cfg(test)]
mod tests;
