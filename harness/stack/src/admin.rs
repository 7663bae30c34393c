//! The harness' own way to the backends: making and removing what a trial needs, and reading what is left.
//!
//! This is the control plane. It dials the backends directly, with the administrator's password; what belongs to the
//! pipeline (reports going in, effects being made) goes through taps instead.

mod broker;
mod database;

pub use broker::{AdminError, BrokerAdmin};
pub use database::{DatabaseAdmin, DatabaseError, read_table};
