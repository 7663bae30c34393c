//! AMQP 0-9-1 as a tap sees it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::codec::{Codec, Direction, Undecodable, Unit};
use crate::in_flight::{InFlight, InjectedKeys};
use crate::tap::NewCodec;

/// What the codec has to know about the trial.
#[derive(Debug, Clone, Default)]
pub struct AmqpOptions {
    /// The virtual host that clients are led to, whatever they ask for; services know only `/`.
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
    let options = Arc::new(options);
    Arc::new(move || Box::new(AmqpCodec::new(Arc::clone(&options), in_flight.clone())))
}

/// The codec of one connection.
#[derive(Debug)]
pub struct AmqpCodec {
    options: Arc<AmqpOptions>,
    in_flight: InFlight,
}

impl AmqpCodec {
    /// A codec for a new connection.
    pub fn new(options: Arc<AmqpOptions>, in_flight: InFlight) -> Self {
        Self { options, in_flight }
    }
}

impl Codec for AmqpCodec {
    fn push(&mut self, _: Direction, bytes: &[u8], units: &mut Vec<Unit>) -> Result<(), Undecodable> {
        units.push(Unit {
            bytes: bytes.to_vec(),
            chan: None,
            steps: Vec::new(),
        });
        Ok(())
    }

    fn leftover(&mut self, _: Direction) -> Vec<u8> {
        Vec::new()
    }
}
