//! What trials and the pool say to each other: one JSON object a line, over a Unix socket.
//!
//! **The connection is the lease**: when it ends, for whatever reason, the lease ends with it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Raised whenever a message or the meaning of a container changes, so that an older pool that still lingers is left
/// alone.
pub(crate) const VERSION: u32 = 1;

/// Whether a trial may disturb the backends themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Others use the same broker and database, each in its own virtual host and schema.
    Shared,
    /// Nobody else uses them until the lease ends.
    Exclusive,
}

/// The images of a backend pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairSpec {
    /// The broker.
    pub broker: ImageRef,
    /// The database.
    pub database: ImageRef,
}

/// A resolved image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// Reference that the engine knows.
    pub reference: String,
    /// Built from Debian packages by us; otherwise an upstream image with its own conventions.
    pub ours: bool,
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub(crate) enum Request {
    /// A pair of backends.
    Lease {
        /// How.
        mode: Mode,
        /// Which.
        pair: PairSpec,
        /// For what, shown in the pool's log.
        trial: String,
    },
    /// End of a lease, with the answer [`Response::Released`] once everything of it is gone.
    Release {
        /// The backends are not to be used again.
        discard: bool,
    },
    /// End the pool now if nobody holds a lease.
    Shutdown,
}

/// What the pool answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "lowercase")]
pub(crate) enum Response {
    /// Something that takes time goes on.
    Progress {
        /// A line for a person.
        text: String,
    },
    /// The lease.
    Granted {
        /// What it gives.
        grant: Box<Grant>,
    },
    /// No lease, and why.
    Refused {
        /// The reason.
        reason: String,
    },
    /// The lease has ended and nothing of it is left.
    Released,
    /// Answer to [`Request::Shutdown`]: how many leases are still held; with 0 the pool ends.
    Leases {
        /// The number.
        held: usize,
    },
}

/// What a lease gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Name of the lease; also of its virtual host, schema and users.
    pub lease: String,
    /// The pool's id: the value of [`super::POOL_LABEL`] on everything it owns.
    pub pool: String,
    /// The broker.
    pub broker: BackendInfo,
    /// The database.
    pub database: BackendInfo,
    /// Name of the backends' network.
    pub backends: String,
    /// Network of the services, without a way out.
    pub inside: NetworkInfo,
    /// Network of services that may reach the outside.
    pub outside: NetworkInfo,
    /// Milliseconds that the pair took from nothing to ready; absent if it was ready before.
    pub booted_ms: Option<u64>,
}

/// One backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendInfo {
    /// Container id.
    pub container: String,
    /// Its address on the backends' network.
    pub ip: IpAddr,
    /// Administrator's name.
    pub user: String,
    /// Administrator's password, made for this pair.
    pub password: String,
    /// Its image.
    pub image: ImageRef,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInfo {
    /// Name.
    pub name: String,
    /// The host's address on it, where taps listen.
    pub gateway: IpAddr,
}
