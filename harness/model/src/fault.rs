//! Faults, the events they wait for, and the schedule that makes a trial repeatable.
//!
//! A schedule never contains a time: a fault fires when the nth event that matches a [`Pattern`] is seen on the wire.

use serde::{Deserialize, Serialize};

use crate::event::{Backend, Event, StepKind};
use crate::name::{Key, Name};
use crate::seed::Seed;

/// What a fault is aimed at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The message broker's container.
    Broker,
    /// The database's container.
    Database,
    /// The container of a service.
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
    /// Nothing ends, but no byte passes any more.
    HalfOpen,
}

/// One kind of disturbance, with what it is done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FaultKind {
    /// SIGKILL; healing starts it again.
    Kill {
        /// What is killed.
        target: Target,
    },
    /// SIGTERM, wait for the exit, start again: what an operator's restart does.
    Restart {
        /// What is restarted.
        target: Target,
    },
    /// One service's connections to a backend are cut; a new dial succeeds at once (`Fin`, `Rst`) or after healing
    /// (`HalfOpen`).
    CutLink {
        /// The service.
        service: Name,
        /// The backend.
        backend: Backend,
        /// How.
        how: Cut,
    },
}

/// Which events count for a trigger. An absent field matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// The kind of step.
    pub step: StepKind,
    /// The service on whose link it is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Name>,
    /// The queue, by its name on the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Name>,
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
}

/// Fires at the `nth` match of `on`.
///
/// A frame that settles several deliveries at once (`multiple`) counts once for each of them; it is the frame in which
/// the nth occurs that fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Which match, counted from 1.
    pub nth: u64,
    /// What is counted.
    pub on: Pattern,
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

impl Pattern {
    /// All events of one kind.
    pub fn new(step: StepKind) -> Self {
        Self {
            step,
            by: None,
            queue: None,
            key: None,
        }
    }

    /// How often `event` counts: the number of messages in it that match, or 1 for a step without messages.
    pub fn count(&self, event: &Event) -> u64 {
        use crate::event::Step;
        if event.step.kind() != self.step || self.by.as_ref().is_some_and(|by| event.svc.as_ref() != Some(by))
        {
            return 0;
        }
        let queue = |queue: Option<&Name>| self.queue.is_none() || self.queue.as_ref() == queue;
        let key = |key: Option<&Key>| self.key.is_none() || self.key.as_ref() == key;
        match &event.step {
            Step::Ack { covers } | Step::Nack { covers, .. } | Step::Confirm { covers, .. } => covers
                .iter()
                .filter(|covered| queue(covered.queue.as_ref()) && key(covered.key.as_ref()))
                .count()
                as u64,
            Step::Deliver {
                queue: from, message, ..
            } => u64::from(queue(from.as_ref()) && key(message.key.as_ref())),
            Step::Publish { message, .. } | Step::Return { message, .. } => {
                u64::from(self.queue.is_none() && key(message.key.as_ref()))
            }
            Step::Consume { queue: from, .. } | Step::Depth { queue: from, .. } => {
                u64::from(queue(Some(from)) && self.key.is_none())
            }
            step => u64::from(
                self.queue.is_none()
                    && (self.key.is_none() || step.keys().into_iter().any(|found| key(Some(found)))),
            ),
        }
    }
}

impl std::fmt::Display for Trigger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} number {}", self.on.step, self.nth)?;
        if let Some(by) = &self.on.by {
            write!(f, " by {by}")?;
        }
        if let Some(queue) = &self.on.queue {
            write!(f, " on {queue}")?;
        }
        if let Some(key) = &self.on.key {
            write!(f, " of {key}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kill { target } => write!(f, "SIGKILL of {target}"),
            Self::Restart { target } => write!(f, "graceful restart of {target}"),
            Self::CutLink {
                service,
                backend,
                how,
            } => {
                let backend = match backend {
                    Backend::Broker => "broker",
                    Backend::Database => "database",
                };
                let how = match how {
                    Cut::Fin => "FIN",
                    Cut::Rst => "RST",
                    Cut::HalfOpen => "half-open",
                };
                write!(f, "{how} on the link from {service} to the {backend}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Trigger};
    use crate::event::{Covered, Event, Step, StepKind};

    fn ack(svc: &str, keys: &[&str]) -> Event {
        let covers = keys
            .iter()
            .zip(1..)
            .map(|(key, tag)| Covered {
                tag,
                key: Some((*key).into()),
                queue: Some("q".into()),
            })
            .collect();
        Event {
            n: 1,
            at: 0,
            svc: Some(svc.into()),
            conn: Some(1),
            chan: Some(1),
            step: Step::Ack { covers },
        }
    }

    #[test]
    fn a_multiple_ack_counts_each_delivery_that_matches() {
        let mut pattern = Pattern::new(StepKind::Ack);
        assert_eq!(pattern.count(&ack("tags", &["1", "2", "3"])), 3);
        pattern.key = Some("2".into());
        assert_eq!(pattern.count(&ack("tags", &["1", "2", "3"])), 1);
        pattern.by = Some("analyzer".into());
        assert_eq!(pattern.count(&ack("tags", &["1", "2", "3"])), 0);
        assert_eq!(pattern.count(&ack("analyzer", &["2"])), 1);
        pattern.queue = Some("other".into());
        assert_eq!(pattern.count(&ack("analyzer", &["2"])), 0);
    }

    #[test]
    fn a_trigger_reads_as_a_sentence() {
        let on = Pattern {
            by: Some("analyzer".into()),
            ..Pattern::new(StepKind::Ack)
        };
        assert_eq!(Trigger { nth: 30, on }.to_string(), "ack number 30 by analyzer");
    }
}
