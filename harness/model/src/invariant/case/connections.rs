//! The connections of services, as their taps saw them.

use std::collections::BTreeMap;

use crate::event::{Backend, Event, Step};
use crate::name::Name;

use super::{BROKER, DATABASE, HARNESS, Moment};

/// A dial of a service, and the connection that came of it.
#[derive(Debug)]
pub(in crate::invariant) struct Connection<'a> {
    /// Whose it is.
    pub(in crate::invariant) svc: &'a Name,
    /// The connection within the trial.
    pub(in crate::invariant) conn: u32,
    /// What it leads to.
    pub(in crate::invariant) to: Backend,
    /// The tap passed the dial on, or could not.
    pub(in crate::invariant) dialled: Moment,
    /// The backend let the service in.
    pub(in crate::invariant) opened: Option<Moment>,
    /// The agreed heartbeat in seconds; 0 is none.
    pub(in crate::invariant) heartbeat: u16,
    /// One side gave it up.
    pub(in crate::invariant) ended: Option<Moment>,
    /// It is there for deliveries.
    pub(in crate::invariant) consumes: bool,
    /// It is there for publishes.
    pub(in crate::invariant) publishes: bool,
    /// It was of some use: deliveries, publishes, or statements.
    pub(in crate::invariant) used: bool,
}

impl Connection<'_> {
    /// It can be used at this event.
    pub(in crate::invariant) fn is_open(&self, n: u64) -> bool {
        self.opened.is_some_and(|opened| opened.n <= n) && self.ended.is_none_or(|ended| ended.n > n)
    }
}

/// All dials of services, in order.
pub(super) fn connections<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<Connection<'a>> {
    let mut connections: Vec<Connection<'a>> = Vec::new();
    let mut by_conn: BTreeMap<u32, usize> = BTreeMap::new();
    for event in events {
        let now = Moment::of(event);
        if let Step::Container { name, change, .. } = &event.step
            && is_end(change)
        {
            for connection in connections
                .iter_mut()
                .filter(|connection| *name == word(connection.to))
            {
                connection.ended = connection.ended.or(Some(now));
            }
        }
        let (Some(svc), Some(conn)) = (&event.svc, event.conn) else {
            continue;
        };
        if *svc == HARNESS {
            continue;
        }
        if let Step::Connect { to } | Step::DialFailed { to, .. } = &event.step {
            by_conn.insert(conn, connections.len());
            let failed = matches!(event.step, Step::DialFailed { .. });
            connections.push(Connection {
                svc,
                conn,
                to: *to,
                dialled: now,
                opened: None,
                heartbeat: 0,
                ended: failed.then_some(now),
                consumes: false,
                publishes: false,
                used: false,
            });
        }
        let Some(connection) = by_conn.get(&conn).and_then(|i| connections.get_mut(*i)) else {
            continue;
        };
        match &event.step {
            Step::AmqpOpened { heartbeat, .. } => connection.heartbeat = *heartbeat,
            Step::AmqpClosed { .. } | Step::Disconnect { .. } | Step::Opaque { .. } => {
                connection.ended = connection.ended.or(Some(now));
                continue;
            }
            Step::Consume { .. } | Step::Deliver { .. } => {
                (connection.consumes, connection.used) = (true, true);
            }
            Step::Publish { .. } | Step::ConfirmSelect => {
                (connection.publishes, connection.used) = (true, true);
            }
            Step::Statement { .. } => connection.used = true,
            Step::DbOpened { .. } | Step::ChannelOpened => {}
            _ => continue,
        }
        connection.opened = connection.opened.or(Some(now));
    }
    connections
}

/// What is told of a container that has ended; others are started, and may be paused and resumed.
pub(in crate::invariant) fn is_end(change: &str) -> bool {
    matches!(change, "killed" | "stopped" | "exited")
}

/// What a backend and its container are called.
pub(in crate::invariant) fn word(to: Backend) -> &'static str {
    match to {
        Backend::Broker => BROKER,
        Backend::Database => DATABASE,
    }
}
