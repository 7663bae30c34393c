//! The harness' own way to the backends: making and removing what a trial needs, breaking it as an operator would, and
//! reading what is left.
//!
//! This is the control plane. It dials the backends directly, with the administrator's password; what belongs to the
//! pipeline (reports going in, effects being made) goes through taps instead.
//!
//! - [`BrokerAdmin`]: the management interface; `objects` is what it does to single queues, exchanges and policies,
//!   `definitions` what a virtual host is made from, `declared` what it holds; [`Alarm`] needs the broker's own command line
//! - [`DatabaseAdmin`]: schemas, users and rows; `sessions` is what it does to other people's connections and locks,
//!   `contents` all that a schema holds

mod alarm;
mod broker;
mod contents;
mod database;
mod declared;
mod definitions;
mod objects;
mod sessions;

pub use alarm::Alarm;
pub use broker::{AdminError, BrokerAdmin};
pub use contents::{Contents, TableContents};
pub use database::{DatabaseAdmin, DatabaseError, read_table};
pub use objects::QueueFacts;
pub use sessions::Held;
