//! Last attempts wait until what they need is there.
//!
//! A consumer gives a message up after so many attempts, some time apart. A scenario takes something away for a while, a
//! row or the database, and means to have it back before the attempts are used up. Whether that comes true must not
//! depend on how fast a container starts, so the deliveries of last attempts are held in the taps for so long. Everything
//! before them goes its way, and the ledger tells what was held, by the name `last-attempts`.
//!
//! A connection on which something is held is silent, so this should not last longer than two heartbeats: a client that
//! hangs up because of it gets its delivery again.

use harness_model::event::{Fate, StepKind};
use harness_model::fault::{FaultKind, Pattern, Target, Trigger};
use harness_model::name::Name;
use harness_model::topology::Topology;
use harness_wire::recorder::{Gate, Recorder};

/// What a held delivery is held for, in the ledger.
const NAME: &str = "last-attempts";

/// Holds each delivery that is a consumer's last attempt; dropped, it lets them go.
#[derive(Debug)]
pub(crate) struct Bars(Vec<Gate>);

impl Bars {
    /// Bars the way from now on, for every consumer that retries.
    pub(crate) fn close(topology: &Topology, recorder: &Recorder) -> Self {
        let last = last_attempts(topology).map(|last| recorder.bar(Name::new(NAME), Trigger::nth(1, last)));
        Self(last.collect())
    }

    /// Lets go what is held, and holds nothing more.
    pub(crate) fn open(&self) {
        for gate in &self.0 {
            gate.release(Fate::Forwarded);
        }
    }
}

/// The deliveries that are last attempts: retried as often as their consumer does it.
fn last_attempts(topology: &Topology) -> impl Iterator<Item = Pattern> {
    topology.queues.iter().filter_map(|(role, queue)| {
        let (_, service) = topology.consumer_of(role)?;
        (queue.retry.is_some() && service.max_retries > 0).then(|| {
            let mut last = Pattern::new(StepKind::Deliver);
            last.queue = Some(queue.name.clone());
            last.retry = Some(service.max_retries.into());
            last
        })
    })
}

/// As long as this fault is in force no attempt can succeed, whichever service makes it.
pub(crate) fn wanted(fault: &FaultKind) -> bool {
    match fault {
        FaultKind::Kill { target } | FaultKind::Restart { target } | FaultKind::Pause { target } => {
            *target == Target::Database
        }
        FaultKind::ExhaustConnections | FaultKind::LockRows | FaultKind::LockTable | FaultKind::ReadOnly => {
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use harness_model::event::Backend;

    use super::*;

    #[test]
    fn each_consumer_that_retries_is_barred_at_its_last_attempt() {
        let text = include_str!("../../../fixtures/topologies/ci.toml");
        let text = text.replacen("max_retries = 3", "max_retries = 5", 1);
        let topology = Topology::parse("ci.toml", &text).unwrap();
        let mut last: Vec<_> = last_attempts(&topology)
            .map(|last| (last.queue.unwrap().to_string(), last.retry.unwrap()))
            .collect();
        last.sort();
        let wanted = [("report-analyze", 5), ("report-renderer", 3), ("report-tags", 3)];
        assert_eq!(last, wanted.map(|(queue, retry)| (queue.to_owned(), retry)));

        let never = text.replace("max_retries = 3", "max_retries = 0");
        let topology = Topology::parse("ci.toml", &never).unwrap();
        assert_eq!(last_attempts(&topology).count(), 1);
    }

    #[test]
    fn what_takes_the_database_away_is_waited_for_and_nothing_else() {
        let target = Target::Database;
        assert!(wanted(&FaultKind::Kill {
            target: target.clone()
        }));
        assert!(wanted(&FaultKind::Pause { target }));
        assert!(wanted(&FaultKind::ReadOnly));
        let target = Target::Broker;
        assert!(!wanted(&FaultKind::Kill { target }));
        let target = Target::Service("tags".into());
        assert!(!wanted(&FaultKind::Restart { target }));
        assert!(!wanted(&FaultKind::CutLink {
            service: "tags".into(),
            backend: Backend::Database,
            how: harness_model::fault::Cut::Rst,
        }));
    }
}
