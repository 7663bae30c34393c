//! Taps: protocol-aware proxies on the links between services and their broker or database.
//!
//! A [`tap::Tap`] listens at a stable address, dials the backend for each client and moves bytes both ways. What the
//! bytes mean is told by a [`codec::Codec`] ([`amqp`] for the broker, `mysql` for the database); what happened is written to the
//! trial's ledger by the [`recorder::Recorder`] before it is forwarded. Faults hold, drop, repeat or reorder single
//! frames through a [`recorder::Gate`] or a [`recorder::Rule`], and cut whole links through the tap.
//!
//! Deliberately not done: TLS (a tap reads plain text; what it cannot read it passes through and says so), pooling of
//! backend connections (one client connection is one backend connection), and any judgement of what was seen.

pub mod amqp;
pub mod clock;
pub mod codec;
pub mod in_flight;
pub mod mysql;
pub mod recorder;
pub mod tap;
mod thread;
