//! The harness as a user of the pipeline: publishing reports, inserting their rows, reading queues and endpoints.
//!
//! This is the data plane. It goes through the harness' own taps, so that the ledger holds what the harness did as well
//! as what the services did. Every call has a deadline; nothing is sent again on its own (a report whose publish was
//! not confirmed stays unconfirmed: sending it again would be a duplicate of our own making).

mod amqp;
mod http;
mod rows;

pub use amqp::{Copied, Depth, Messenger, MessengerError, Outgoing, Sent};
pub(crate) use amqp::{connect as connect_amqp, purge};
pub use http::{Answer, get};
pub use rows::{Rows, RowsError};

/// The name under which the harness' own links stand in the ledger.
pub const HARNESS: &str = "harness";
