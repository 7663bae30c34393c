//! Everything that a judge may look at: what was asked for, what happened, and what is left.
//!
//! The runner fills it, the store keeps it, `recheck` reads it back. Invariants get nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Event, Step, StepKind};
use crate::fault::FaultPlan;
use crate::ledger::Ledger;
use crate::name::{Key, Name};
use crate::topology::Topology;

/// A column or field map, in name order.
pub type Fields = BTreeMap<String, Value>;

/// What the scenario was about, known before anything happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// `family::name`.
    pub scenario: String,
    /// What was under test.
    pub topology: Topology,
    /// Kinds of step that must occur, or the trial is invalid.
    pub must_see: BTreeSet<StepKind>,
    /// The faults, in the order in which they were armed.
    pub faults: Vec<FaultPlan>,
    /// What was injected, in order; canaries included.
    pub injected: Vec<Injected>,
    /// Invariants that this scenario waives, each with its reason.
    #[serde(default)]
    pub waived: BTreeMap<String, String>,
    /// Most milliseconds from the last healing to the canary's last effect.
    pub recovery_budget_ms: u64,
}

/// One injected report or message, and what must become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// Its key.
    pub key: Key,
    /// The report's sequence number; absent for messages that are about no report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Name in the corpus or generator.
    pub name: String,
    /// How often it was published on purpose.
    pub times: u32,
    /// What must become of it.
    pub expect: Expect,
    /// It was sent by the harness to show recovery, not by the scenario.
    #[serde(default)]
    pub canary: bool,
}

/// What must become of an injected message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ends", rename_all = "snake_case")]
pub enum Expect {
    /// It has its effects.
    Effect {
        /// Its canonical tags.
        tags: BTreeSet<String>,
        /// It is public, so that its event is published.
        public: bool,
        /// It is also active and publicly owned, so that the renderer shows it once its analysis is valid.
        rendered: bool,
    },
    /// It ends in the dead-letter queue of every queue of these roles, and has no effect.
    DeadLetter {
        /// Roles of the queues whose consumers reject it.
        queues: BTreeSet<Name>,
        /// XXH3 (64 bit) of its body, in hex.
        hash: String,
    },
}

/// What is left when a trial has come to rest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EndState {
    /// What the broker held before the services started: what the topology asks for. Absent if nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_before: Option<Declared>,
    /// The same, at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_after: Option<Declared>,
    /// Rows of the source table before the services started to work on them, by sequence number; each is the
    /// SHA-256 over its columns, in hex.
    pub source_before: BTreeMap<u64, String>,
    /// The same, at the end.
    pub source_after: BTreeMap<u64, String>,
    /// Columns of the source table that events are compared with, by sequence number.
    pub source: BTreeMap<u64, Fields>,
    /// Rows of the analysis table, in the order of key and language; duplicates stay visible.
    pub analysis: Vec<AnalysisRow>,
    /// Sequence numbers whose publication time is set.
    pub published: BTreeSet<u64>,
    /// Usage counts by canonical tag.
    pub tags: BTreeMap<String, i64>,
    /// Links between reports and tags; duplicates stay visible.
    pub links: Vec<(u64, String)>,
    /// What the renderer holds; absent when the topology names no such endpoint.
    pub rendered: Option<Rendered>,
    /// Queues by their name on the broker: work queues, retry queues and dead-letter queues.
    pub queues: BTreeMap<Name, QueueState>,
    /// Messages in the dead-letter queues, by the role of the queue they were rejected from.
    pub dead: BTreeMap<Name, Vec<DeadLetter>>,
    /// Services by role.
    pub services: BTreeMap<Name, ServiceState>,
}

/// What is declared in the trial's part of the broker, by its names; what it is made of is in words that can be compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Exchanges.
    pub exchanges: BTreeMap<Name, String>,
    /// Queues that outlive the connection that declared them.
    pub queues: BTreeMap<Name, String>,
    /// Bindings, but for those to the default exchange, which every queue has.
    pub bindings: BTreeSet<Binding>,
    /// Policies.
    pub policies: BTreeMap<Name, String>,
}

/// A binding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Binding {
    /// The exchange that messages come from.
    pub source: Name,
    /// The queue, or exchange, that they go to.
    pub to: Name,
    /// The binding key.
    pub key: String,
    /// Its arguments as JSON; empty without any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arguments: String,
}

impl Declared {
    /// The bindings that `now` lacks, though both of their ends are there as they were, and that none of these events has
    /// taken away. A broker that comes back without them has lost them by itself.
    pub fn lost<'a>(&'a self, now: &'a Self, events: &[Event]) -> Vec<&'a Binding> {
        let stands = |binding: &&Binding| {
            let same = |had: &BTreeMap<Name, String>, has: &BTreeMap<Name, String>, name| {
                had.get(name).is_some_and(|facts| has.get(name) == Some(facts))
            };
            same(&self.exchanges, &now.exchanges, &binding.source)
                && same(&self.queues, &now.queues, &binding.to)
        };
        self.bindings
            .difference(&now.bindings)
            .filter(stands)
            .filter(|binding| !events.iter().any(|event| binding.is_undone_by(&event.step)))
            .collect()
    }
}

impl Binding {
    /// Whether this step takes the binding away: by itself, or with one of its ends.
    pub fn is_undone_by(&self, step: &Step) -> bool {
        match step {
            Step::Unbind { queue, exchange, key } => {
                (queue, exchange, key) == (&self.to, &self.source, &self.key)
            }
            Step::Delete { what, name } if what == "queue" => *name == self.to,
            Step::Delete { name, .. } => *name == self.source,
            _ => false,
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            to,
            key,
            arguments,
        } = self;
        write!(f, "the binding of {to} to exchange {source} by \"{key}\"")?;
        if arguments.is_empty() {
            return Ok(());
        }
        write!(f, " with {arguments}")
    }
}

/// One row of the analysis table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalysisRow {
    /// The report.
    pub seq: u64,
    /// Its language.
    pub language: String,
    /// All its columns.
    pub fields: Fields,
}

/// What the renderer holds in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// Sequence numbers of its points, as listed; duplicates stay visible.
    pub points: Vec<u64>,
    /// Totals by brand.
    pub brands: BTreeMap<String, u64>,
    /// Total of physical reports, as it says itself.
    pub physical: u64,
    /// Total of digital reports, as it says itself.
    pub digital: u64,
}

/// A queue at rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueState {
    /// Ready messages.
    pub ready: u64,
    /// Consumers.
    pub consumers: u64,
    /// Two readings, apart, agreed.
    pub stable: bool,
}

/// A dead-lettered message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Which message it is, if that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// XXH3 (64 bit) of its body, in hex.
    pub hash: String,
    /// Length of its body.
    pub size: u64,
    /// The broker's reason (`rejected`, `expired`, ..), from `x-death`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A service's container at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// It runs.
    pub running: bool,
    /// Exit code, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i64>,
    /// Status of its health endpoint; 0 without an answer.
    pub health: u16,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What was asked for.
    pub plan: Plan,
    /// What happened.
    pub ledger: Ledger,
    /// What is left.
    pub end: EndState,
}

#[cfg(test)]
mod tests {
    use super::{Binding, Declared};
    use crate::event::{Event, Step};

    fn declared() -> Declared {
        let binding = Binding {
            source: "x".into(),
            to: "q".into(),
            key: "k".into(),
            arguments: String::new(),
        };
        Declared {
            exchanges: [("x".into(), "direct".to_owned())].into(),
            queues: [("q".into(), "quorum".to_owned())].into(),
            bindings: [binding].into(),
            ..Declared::default()
        }
    }

    fn event(step: Step) -> Event {
        Event {
            n: 1,
            at: 1,
            svc: Some("tags".into()),
            conn: Some(1),
            chan: Some(1),
            step,
        }
    }

    fn unbind(key: &str) -> Step {
        Step::Unbind {
            queue: "q".into(),
            exchange: "x".into(),
            key: key.to_owned(),
        }
    }

    fn delete(what: &str, name: &str) -> Step {
        Step::Delete {
            what: what.to_owned(),
            name: name.into(),
        }
    }

    #[test]
    fn a_binding_that_nobody_has_taken_away_is_lost() {
        let before = declared();
        let mut now = declared();
        assert!(before.lost(&now, &[]).is_empty());
        now.bindings.clear();
        let others = [unbind("other"), delete("queue", "x"), delete("exchange", "q")].map(event);
        assert_eq!(before.lost(&now, &others).len(), 1);
        for step in [unbind("k"), delete("queue", "q"), delete("exchange", "x")] {
            assert!(before.lost(&now, &[event(step.clone())]).is_empty(), "{step:?}");
        }
    }

    #[test]
    fn a_binding_without_its_ends_is_not_what_was_lost() {
        let before = declared();
        for change in [
            (|now| now.queues.clear()) as fn(&mut Declared),
            |now| now.exchanges.clear(),
            |now| drop(now.queues.insert("q".into(), "classic".to_owned())),
        ] {
            let mut now = declared();
            now.bindings.clear();
            change(&mut now);
            assert!(before.lost(&now, &[]).is_empty(), "{now:?}");
        }
    }
}
