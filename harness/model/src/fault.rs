//! Faults, the events they wait for, and the schedule that makes a trial repeatable.
//!
//! A schedule never contains a time at which something happens: a fault fires when its [`Trigger`] does, on an event
//! of the ledger. (How long a frame is delayed or how slow a link is are properties of a fault, not of its start.)

mod matcher;
mod states;
mod trigger;

use serde::{Deserialize, Serialize};

use crate::event::{Backend, Side};
use crate::name::Name;
use crate::seed::Seed;

pub use self::matcher::{Matcher, Seen};
pub use self::states::Work;
pub use self::trigger::{MessageState, On, Pattern, Phase, Trigger};

/// What a fault is aimed at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The message broker's container.
    Broker,
    /// The database's container.
    Database,
    /// The container of a service, or of one instance of it: the second one of `tags` is `tags-2`.
    Service(Name),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broker => f.write_str("broker"),
            Self::Database => f.write_str("database"),
            Self::Service(name) => name.fmt(f),
        }
    }
}

/// How a link is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// Orderly end of stream in both directions.
    Fin,
    /// Reset in both directions.
    Rst,
    /// Nothing ends, but no byte passes any more, on old connections and on new ones, until it is healed.
    HalfOpen,
    /// The same in one direction: nothing comes to the service any more, what it sends passes. A new dial succeeds after
    /// healing only, for a handshake needs both directions.
    HalfOpenToService,
    /// The same in the other direction: nothing that the service sends passes, what is sent to it does.
    HalfOpenFromService,
    /// Nothing ends for the service, but its open connections are dead for good: no byte comes, and nobody reads what it
    /// sends, as when a firewall has forgotten them. The backend has lost them; a new dial succeeds at once.
    Silent,
}

/// How badly a link carries bytes. Zero means: as without the fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// Every chunk of bytes waits so many milliseconds.
    pub latency_ms: u32,
    /// And up to so many more, drawn from the fault's own random stream.
    pub jitter_ms: u32,
    /// No more than so many bytes a second pass in each direction.
    pub bytes_per_second: u32,
    /// Bytes are written in pieces of at most this size, each with a write of its own.
    pub slice: u32,
    /// In this direction only: to the service (`Client`) or to the backend (`Server`); absent means in both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub towards: Option<Side>,
}

/// What is done to a frame that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameAction {
    /// It waits so many milliseconds, and what is behind it in its direction waits with it.
    Delay(u32),
    /// It is taken out of the stream.
    Drop,
    /// It is sent after the next frame of its direction.
    Reorder,
    /// A statement is not executed; the client is given this error code of the server instead, with the server's
    /// transaction in the state that the error leaves it in: 1213 (deadlock) rolls it back, 1205 (lock wait timeout)
    /// leaves it open.
    Refuse(u16),
}

/// What a broker runs out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Memory: publishers are blocked above the high watermark.
    Memory,
    /// Disk: publishers are blocked below the free limit.
    Disk,
}

/// What a service outside the pipeline does to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misbehaviour {
    /// It answers with this status.
    Status(u16),
    /// It answers rightly, but only after so many milliseconds.
    Slow(u32),
    /// It takes the request and never answers.
    Never,
    /// It answers 200 with a body that is no answer.
    Garbage,
    /// It ends the connection in the middle of the body.
    CutBody,
}

/// One kind of disturbance, with what it is done to. Queues, exchanges and services are meant by their roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FaultKind {
    /// SIGKILL; healing starts it again.
    Kill {
        /// What is killed.
        target: Target,
    },
    /// SIGTERM and wait for the exit; healing starts it again. What an operator's restart does.
    Restart {
        /// What is restarted.
        target: Target,
    },
    /// Its processes stand still; healing lets them go on.
    Pause {
        /// What is paused.
        target: Target,
    },
    /// A service is given so little memory that the kernel kills it; healing gives it what it had and starts it.
    OutOfMemory {
        /// The service.
        service: Name,
    },
    /// One service's connections to a backend are cut; a new dial succeeds at once or, if it is half-open, after healing.
    CutLink {
        /// The service.
        service: Name,
        /// The backend.
        backend: Backend,
        /// How.
        how: Cut,
    },
    /// One service's link to a backend carries bytes badly, in one direction or both, until it is healed.
    ShapeLink {
        /// The service.
        service: Name,
        /// The backend.
        backend: Backend,
        /// How badly.
        shape: Shape,
    },
    /// Something is done to every frame that matches, until it is healed or the limit is reached.
    Frames {
        /// Which frames.
        on: Pattern,
        /// What is done.
        does: FrameAction,
        /// To every so manieth of them only: 3 leaves two alone and takes the third; absent means to each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        every: Option<u64>,
        /// To so many of them at most; absent means to all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
    },
    /// The broker raises an alarm and blocks all publishers.
    Alarm {
        /// What it has run out of.
        resource: Resource,
    },
    /// The broker closes all connections of the trial, as an operator can ask it to.
    CloseConnections,
    /// The broker closes a service's channel with 406: an ack of the service reaches it twice.
    CloseChannel {
        /// The service.
        service: Name,
    },
    /// A queue is deleted, which cancels its consumers; healing makes it again, with its bindings, unless a service has.
    DeleteQueue {
        /// The queue.
        queue: Name,
    },
    /// Another queue of the same name but with other arguments stands in the place of a queue; healing puts the right
    /// one back.
    RedeclareQueue {
        /// The queue.
        queue: Name,
    },
    /// The ready messages of a queue are thrown away. There is no healing.
    PurgeQueue {
        /// The queue.
        queue: Name,
    },
    /// The bindings of all queues to a route are removed, so that nobody gets what is published to it; healing makes them
    /// again.
    Unbind {
        /// The route.
        route: Name,
    },
    /// An exchange is deleted, with all bindings to it; healing makes them again.
    DeleteExchange {
        /// The exchange.
        exchange: Name,
    },
    /// The policy by which a queue dead-letters is removed; healing makes it again.
    DropPolicy {
        /// The queue.
        queue: Name,
    },
    /// The retry queue of a queue is deleted; healing makes it again.
    DropRetryQueue {
        /// The queue.
        queue: Name,
    },
    /// The services' user may no longer write, read or configure; healing allows it again. Connections stay.
    RevokePermissions,
    /// The database refuses new connections and has ended the services' own: error 1226.
    ExhaustConnections,
    /// A transaction of somebody else locks the rows of the analyses, and the gaps between them.
    LockRows,
    /// Somebody else has locked the table of analyses for writing.
    LockTable,
    /// The database refuses every write: error 1290.
    ReadOnly,
    /// The database's disk is full.
    DiskFull,
    /// A service outside the pipeline misbehaves.
    Upstream {
        /// Its name in the topology.
        name: Name,
        /// How.
        does: Misbehaviour,
        /// To so many requests at most; absent means to all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
    },
}

/// One fault of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// Its id within the trial.
    pub id: Name,
    /// What is done.
    #[serde(flatten)]
    pub what: FaultKind,
    /// When; absent means: as soon as the scenario asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Trigger>,
}

/// What was injected, so that a repetition can be compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// Number of messages.
    pub messages: u64,
    /// SHA-256 over the bodies in order, in hex.
    pub sha256: String,
}

/// Everything that was decided before or during a trial: with the same schedule the same things are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The scenario.
    pub scenario: String,
    /// The trial's seed.
    pub seed: Seed,
    /// The faults, in the order in which they were armed.
    pub faults: Vec<FaultPlan>,
    /// What was injected.
    pub workload: Workload,
}

/// The word for a backend in sentences.
fn word(backend: Backend) -> &'static str {
    match backend {
        Backend::Broker => "broker",
        Backend::Database => "database",
    }
}

impl FaultKind {
    /// The word in a schedule that names this kind.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::Restart { .. } => "restart",
            Self::Pause { .. } => "pause",
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::CutLink { .. } => "cut-link",
            Self::ShapeLink { .. } => "shape-link",
            Self::Frames { .. } => "frames",
            Self::Alarm { .. } => "alarm",
            Self::CloseConnections => "close-connections",
            Self::CloseChannel { .. } => "close-channel",
            Self::DeleteQueue { .. } => "delete-queue",
            Self::RedeclareQueue { .. } => "redeclare-queue",
            Self::PurgeQueue { .. } => "purge-queue",
            Self::Unbind { .. } => "unbind",
            Self::DeleteExchange { .. } => "delete-exchange",
            Self::DropPolicy { .. } => "drop-policy",
            Self::DropRetryQueue { .. } => "drop-retry-queue",
            Self::RevokePermissions => "revoke-permissions",
            Self::ExhaustConnections => "exhaust-connections",
            Self::LockRows => "lock-rows",
            Self::LockTable => "lock-table",
            Self::ReadOnly => "read-only",
            Self::DiskFull => "disk-full",
            Self::Upstream { .. } => "upstream",
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if self.latency_ms > 0 || self.jitter_ms > 0 {
            parts.push(format!("{} ms + 0..{} ms late", self.latency_ms, self.jitter_ms));
        }
        if self.bytes_per_second > 0 {
            parts.push(format!("{} bytes/s", self.bytes_per_second));
        }
        if self.slice > 0 {
            parts.push(format!("pieces of {} bytes", self.slice));
        }
        if let Some(side) = self.towards {
            parts.push(match side {
                Side::Client => "to the service only".to_owned(),
                Side::Server | Side::Tap => "from the service only".to_owned(),
            });
        }
        f.write_str(&parts.join(", "))
    }
}

impl std::fmt::Display for FrameAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Delay(ms) => write!(f, "{ms} ms of delay"),
            Self::Drop => f.write_str("loss"),
            Self::Reorder => f.write_str("reordering"),
            Self::Refuse(code) => write!(f, "refusal with error {code}"),
        }
    }
}

impl std::fmt::Display for Misbehaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "answers {status}"),
            Self::Slow(ms) => write!(f, "answers after {ms} ms"),
            Self::Never => f.write_str("never answers"),
            Self::Garbage => f.write_str("answers with garbage"),
            Self::CutBody => f.write_str("cuts its answers"),
        }
    }
}

impl Cut {
    /// Whether nothing ends by it, and bytes pass again, old ones included, when it is healed.
    pub fn is_half_open(self) -> bool {
        self.stops(Side::Client) || self.stops(Side::Server)
    }

    /// Whether it ends nothing, and keeps what is sent towards this side.
    pub fn stops(self, towards: Side) -> bool {
        match self {
            Self::HalfOpen => towards != Side::Tap,
            Self::HalfOpenToService => towards == Side::Client,
            Self::HalfOpenFromService => towards == Side::Server,
            Self::Fin | Self::Rst | Self::Silent => false,
        }
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kill { target } => write!(f, "SIGKILL of {target}"),
            Self::Restart { target } => write!(f, "graceful restart of {target}"),
            Self::Pause { target } => write!(f, "pause of {target}"),
            Self::OutOfMemory { service } => write!(f, "out of memory in {service}"),
            Self::CutLink {
                service,
                backend,
                how,
            } => {
                let how = match how {
                    Cut::Fin => "FIN",
                    Cut::Rst => "RST",
                    Cut::HalfOpen => "half-open",
                    Cut::HalfOpenToService => "half-open to the service",
                    Cut::HalfOpenFromService => "half-open from the service",
                    Cut::Silent => "silence",
                };
                write!(f, "{how} on the link from {service} to the {}", word(*backend))
            }
            Self::ShapeLink {
                service,
                backend,
                shape,
            } => write!(f, "bad link from {service} to the {}: {shape}", word(*backend)),
            Self::Frames {
                on,
                does,
                every,
                limit,
            } => {
                write!(f, "{does} of {on}")?;
                every.map_or(Ok(()), |every| write!(f, ", 1 of {every}"))?;
                limit.map_or(Ok(()), |limit| write!(f, ", {limit} times at most"))
            }
            Self::Alarm { resource } => match resource {
                Resource::Memory => f.write_str("memory alarm of the broker"),
                Resource::Disk => f.write_str("disk alarm of the broker"),
            },
            Self::CloseConnections => f.write_str("closing of all connections by the broker"),
            Self::CloseChannel { service } => write!(f, "closing of a channel of {service}"),
            Self::DeleteQueue { queue } => write!(f, "deletion of queue {queue}"),
            Self::RedeclareQueue { queue } => write!(f, "another queue in the place of {queue}"),
            Self::PurgeQueue { queue } => write!(f, "purge of queue {queue}"),
            Self::Unbind { route } => write!(f, "loss of all bindings to route {route}"),
            Self::DeleteExchange { exchange } => write!(f, "deletion of exchange {exchange}"),
            Self::DropPolicy { queue } => write!(f, "loss of the policy of {queue}"),
            Self::DropRetryQueue { queue } => write!(f, "deletion of the retry queue of {queue}"),
            Self::RevokePermissions => f.write_str("loss of permissions on the broker"),
            Self::ExhaustConnections => f.write_str("no connections left on the database"),
            Self::LockRows => f.write_str("locked rows of the analyses"),
            Self::LockTable => f.write_str("locked table of the analyses"),
            Self::ReadOnly => f.write_str("read-only database"),
            Self::DiskFull => f.write_str("full disk of the database"),
            Self::Upstream { name, does, limit } => {
                write!(f, "{name} {does}")?;
                limit.map_or(Ok(()), |limit| write!(f, ", {limit} times at most"))
            }
        }
    }
}
