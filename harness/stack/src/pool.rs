//! The pool: one detached process for each user, which owns the backends and lends them to trials.
//!
//! A broker takes seconds to boot and a virtual host milliseconds, so backends are shared and each trial gets a virtual
//! host and a schema of its own. The first process that needs a lease starts the pool; the next runs find it. A lease
//! **is** a connection to the pool's Unix socket, so a trial that is killed gives its lease back like any other.
//!
//! The pool is also the reaper. When a lease ends, everything that carries its label goes; when the last one has
//! ended, the pool waits a short linger, so that the next run starts warm, and removes everything that carries its own
//! label, then itself. A pool that was killed is cleaned up after by the next command ([`reap`]): every pool holds a
//! lock on a file named after its id, and what is labelled with an id whose lock is free belongs to nobody.
//! Containers without our labels are never touched.
//!
//! [`protocol`] is what is said on the socket, [`client`] the trial's side, [`server`] the pool's, [`slots`] which pair
//! serves which lease.

mod client;
mod paths;
mod protocol;
mod reap;
mod server;
mod slots;

pub use client::{Lease, LeaseError, shut_down};
pub use paths::{Paths, StateError};
pub use protocol::{BackendInfo, Grant, ImageRef, Mode, NetworkInfo, PairSpec};
pub use reap::{Reaped, reap};
pub use server::{Options, serve};

/// Label with the pool's id, on everything that a pool or its trials start.
pub const POOL_LABEL: &str = "harness.pool";
/// Label with the lease's name, on everything that a trial starts.
pub const LEASE_LABEL: &str = "harness.lease";
/// Label with the folder in which the pool's lock is found; another folder's containers are not ours to judge.
pub const STATE_LABEL: &str = "harness.state";
