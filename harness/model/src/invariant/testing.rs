//! A small language in which tests tell what happened in a trial.
//!
//! A [`Trial`] is the CI pipeline with nothing in it and nothing wrong. Each call adds what the wire would show, in
//! order, one millisecond apart, and keeps the end state in step where it says so. Keys are sequence numbers, or names
//! for messages that are about no report.

mod lives;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::event::{Backend, Event, Step};
use crate::evidence::{EndState, Evidence, Expect, Injected, Plan, QueueState, Rendered, ServiceState};
use crate::ledger::Ledger;
use crate::name::{Key, Name};
use crate::topology::{QueueKind, Topology};
use crate::verdict::{Finding, Kind};

use super::{Case, find, judge};

/// A millisecond in the ledger's unit.
const MS: u64 = 1_000_000;

/// A trial that is being told.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) plan: Plan,
    pub(super) end: EndState,
    events: Vec<Event>,
    now: u64,
    connections: u32,
    links: BTreeMap<(Name, u8), u32>,
    /// Second links of services to the broker.
    aside: BTreeMap<Name, u32>,
    tags: u64,
}

impl Trial {
    /// The CI pipeline, idle and healthy.
    pub(super) fn new() -> Self {
        let topology: Topology =
            toml::from_str(include_str!("../../../../fixtures/topologies/ci.toml")).expect("the CI topology");
        let mut end = EndState {
            rendered: Some(Rendered::default()),
            ..EndState::default()
        };
        for (role, queue) in &topology.queues {
            let state = |consumers| QueueState {
                ready: 0,
                consumers,
                stable: true,
            };
            end.queues.insert(queue.name.clone(), state(1));
            end.queues
                .insert(queue.retry.as_ref().unwrap().queue.clone(), state(0));
            end.dead.insert(role.clone(), Vec::new());
        }
        for (role, service) in &topology.services {
            let state = ServiceState {
                running: true,
                exit: None,
                health: service.health.status,
            };
            end.services.insert(role.clone(), state);
        }
        let plan = Plan {
            scenario: "test::trial".into(),
            topology,
            must_see: BTreeSet::new(),
            faults: Vec::new(),
            injected: Vec::new(),
            waived: BTreeMap::new(),
            recovery_budget_ms: 30_000,
        };
        Self {
            plan,
            end,
            events: Vec::new(),
            now: 0,
            connections: 0,
            links: BTreeMap::new(),
            aside: BTreeMap::new(),
            tags: 0,
        }
    }

    /// The same pipeline on quorum queues.
    pub(super) fn quorum() -> Self {
        let mut trial = Self::new();
        for queue in trial.plan.topology.queues.values_mut() {
            queue.kind = QueueKind::Quorum;
        }
        trial
    }

    pub(super) fn evidence(&self) -> Evidence {
        Evidence {
            plan: self.plan.clone(),
            ledger: Ledger::from_events(self.events.clone()),
            end: self.end.clone(),
        }
    }

    /// Lets time pass without anything happening.
    pub(super) fn wait_ms(&mut self, ms: u64) {
        self.now += ms * MS;
    }

    /// The number of the last event.
    pub(super) fn last(&self) -> u64 {
        self.events.len() as u64
    }

    /// Gives an event the body of another one.
    pub(super) fn copy_body(&mut self, from: u64, to: u64) {
        let Step::Publish { message, .. } = self.events[usize::try_from(from).unwrap() - 1].step.clone()
        else {
            panic!("#{from} is no publish")
        };
        self.change(to, |step| {
            if let Step::Publish { message: old, .. } = step {
                old.body = message.body;
            }
        });
    }

    /// Puts an event on another channel of its connection.
    pub(super) fn move_to(&mut self, n: u64, chan: u16) {
        self.events[usize::try_from(n).unwrap() - 1].chan = Some(chan);
    }

    /// Says that an event was seen on the link of somebody else.
    pub(super) fn hand_to(&mut self, svc: &str, n: u64) {
        self.events[usize::try_from(n).unwrap() - 1].svc = Some(svc.into());
    }

    /// Changes an event that was told.
    pub(super) fn change(&mut self, n: u64, change: impl FnOnce(&mut Step)) {
        change(&mut self.events[usize::try_from(n).unwrap() - 1].step);
    }

    /// An event that is about no link.
    pub(super) fn say(&mut self, step: Step) -> u64 {
        self.push(None, None, None, step)
    }

    /// An event about a service, on none of its links.
    pub(super) fn about(&mut self, svc: &str, step: Step) -> u64 {
        self.push(Some(svc), None, None, step)
    }

    /// An event on a service's link to the broker, channel 1; it dials first if it has to.
    pub(super) fn on(&mut self, svc: &str, step: Step) -> u64 {
        let conn = self.link(svc, Backend::Broker);
        self.push(Some(svc), Some(conn), Some(1), step)
    }

    /// An event on a service's link to the database.
    pub(super) fn db(&mut self, svc: &str, step: Step) -> u64 {
        let conn = self.link(svc, Backend::Database);
        self.push(Some(svc), Some(conn), None, step)
    }

    fn push(&mut self, svc: Option<&str>, conn: Option<u32>, chan: Option<u16>, step: Step) -> u64 {
        self.now += MS;
        let n = self.last() + 1;
        self.events.push(Event {
            n,
            at: self.now,
            svc: svc.map(Name::from),
            conn,
            chan,
            step,
        });
        n
    }

    fn link(&mut self, svc: &str, to: Backend) -> u32 {
        let id = (Name::from(svc), to as u8);
        if let Some(conn) = self.links.get(&id) {
            return *conn;
        }
        self.connections += 1;
        let conn = self.connections;
        self.links.insert(id, conn);
        self.push(Some(svc), Some(conn), None, Step::Connect { to });
        if to == Backend::Broker {
            self.push(Some(svc), Some(conn), Some(1), Step::ChannelOpened);
        }
        conn
    }

    // --- what is planned ------------------------------------------------------------------------------------------

    /// Plans a public, active report with these tags and puts its row into the database.
    pub(super) fn plan_report(&mut self, seq: u64, tags: &[&str]) -> &mut Injected {
        self.end.source_before.insert(seq, format!("row-{seq}"));
        self.end.source_after.insert(seq, format!("row-{seq}"));
        let row = json!({
            "seq": seq, "id": format!("citizen-{seq}"), "team": 1, "latitude": f64::from(47.05_f32),
            "longitude": f64::from(8.3_f32), "x": 0.5, "y": null, "action_id": null, "description": "a bin",
            "image": "not in the event",
        });
        self.end.source.insert(seq, serde_json::from_value(row).unwrap());
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let expect = Expect::Effect {
            tags,
            public: true,
            rendered: true,
        };
        self.plan_message(seq, Some(seq), "bin", expect)
    }

    /// Plans a message that belongs into the dead-letter queues of these queues.
    pub(super) fn plan_poison(&mut self, key: &str, queues: &[&str]) {
        let queues = queues.iter().map(|queue| Name::from(*queue)).collect();
        self.plan_message(
            key,
            None,
            "bad-json",
            Expect::DeadLetter {
                queues,
                hash: hash(&Key::from(key)),
            },
        );
    }

    fn plan_message(
        &mut self,
        key: impl Into<Key>,
        seq: Option<u64>,
        name: &str,
        expect: Expect,
    ) -> &mut Injected {
        let (key, name) = (key.into(), name.into());
        self.plan.injected.push(Injected {
            key,
            seq,
            name,
            times: 1,
            expect,
            canary: false,
        });
        self.plan.injected.last_mut().unwrap()
    }

    /// Changes what a planned report must come to.
    pub(super) fn expect(&mut self, seq: u64, is_public: bool, is_rendered: bool) {
        let planned = self
            .plan
            .injected
            .iter_mut()
            .find(|injected| injected.seq == Some(seq))
            .unwrap();
        if let Expect::Effect { public, rendered, .. } = &mut planned.expect {
            (*public, *rendered) = (is_public, is_rendered);
        }
    }
}

/// The hash of the body that belongs to a key.
fn hash(key: &Key) -> String {
    format!("hash-of-{key}")
}

/// What one invariant finds.
pub(super) fn found(rule: &str, trial: &Trial) -> Vec<Finding> {
    let evidence = trial.evidence();
    (find(rule).expect("an invariant").judge)(&Case::new(&evidence))
}

/// All invariants accept it.
#[track_caller]
pub(super) fn accepted(trial: &Trial) {
    let findings = judge(&trial.evidence());
    assert!(findings.is_empty(), "{findings:#?}");
}

/// The invariant finds exactly one thing: about these reports, in these words. Its events are all in the ledger.
#[track_caller]
pub(super) fn rejected(rule: &str, trial: &Trial, keys: &[&str], what: &str) {
    let findings = found(rule, trial);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let finding = &findings[0];
    assert_eq!(finding.what, what);
    assert_eq!(finding.rule, rule);
    let kind = if rule == "not-vacuous" {
        Kind::Invalid
    } else {
        Kind::Fail
    };
    assert_eq!(finding.kind, kind);
    let about: Vec<_> = finding.keys.iter().map(Key::as_str).collect();
    assert_eq!(about, keys);
    assert!(
        finding.events.iter().all(|n| (1..=trial.last()).contains(n)),
        "{finding:?}"
    );
}
