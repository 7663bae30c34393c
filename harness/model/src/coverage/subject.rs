//! What each rule needs to see before it has anything to judge.
//!
//! A rule passes evidence that holds nothing of what it is about, and it has to: a trial without a retry breaks no rule
//! about retries. But then it has said nothing. Here stands, rule by rule, what it is about, in the plainest terms that
//! the ledger and the end state allow.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, FaultChange, Step};
use crate::evidence::{Evidence, Expect};
use crate::fault::{Matcher, On, Trigger};
use crate::name::{Key, Name};
use crate::topology::Topology;

/// The name of the harness' own link.
const HARNESS: &str = "harness";

/// A rule, and what there has to be in a ledger for it.
type InLedger = (&'static str, fn(&Story<'_>) -> bool);
/// A rule, and what else there has to be for it.
type InTheEnd = (&'static str, fn(&Evidence) -> bool);

/// Rules whose subject is in the ledger.
const IN_LEDGER: [InLedger; 14] = [
    ("no-loss", |story| story.promised),
    ("explained-duplicates", |story| story.delivered_again),
    ("ack-after-effect", |story| story.acknowledged),
    ("publisher-honest", |story| story.acknowledged_behind_publish),
    ("event-fidelity", |story| story.bodies),
    ("retries-bounded", |story| story.retried),
    ("sibling-isolation", |story| story.came_back),
    ("progress", |story| story.acknowledged_in_outage),
    ("prefetch-bounded", |story| story.full),
    ("durable-topology", |story| story.declared || story.published),
    ("graceful-stop", |story| story.stopped),
    ("reconnects-bounded", |story| story.dialled_again),
    ("recovered", |story| story.bitten),
    ("health-truth", |story| story.bitten && story.asked_for_health),
];

/// Rules whose subject is what is left, or what was planned.
const IN_THE_END: [InTheEnd; 8] = [
    ("dlq-exact", |evidence| {
        let dead = |expect: &Expect| matches!(expect, Expect::DeadLetter { .. });
        evidence
            .plan
            .injected
            .iter()
            .any(|injected| dead(&injected.expect))
            || evidence.end.dead.values().any(|letters| !letters.is_empty())
    }),
    ("effects-once", |evidence| !evidence.end.analysis.is_empty()),
    ("atomic", |evidence| {
        !evidence.end.analysis.is_empty() && evidence.plan.topology.event.is_some()
    }),
    ("no-phantoms", |evidence| !evidence.end.analysis.is_empty()),
    ("source-unchanged", |evidence| {
        !evidence.end.source_after.is_empty()
    }),
    ("process-alive", |evidence| !evidence.end.services.is_empty()),
    ("at-rest", |evidence| !evidence.end.queues.is_empty()),
    ("not-vacuous", |evidence| {
        !evidence.plan.faults.is_empty() || !evidence.plan.must_see.is_empty()
    }),
];

/// Whether it is written down here what this rule needs.
pub fn is_known(rule: &str) -> bool {
    IN_LEDGER.iter().any(|(id, _)| *id == rule) || IN_THE_END.iter().any(|(id, _)| *id == rule)
}

/// The rules for which there is something to judge.
pub fn of(evidence: &Evidence) -> BTreeSet<&'static str> {
    let story = Story::of(evidence);
    let in_ledger = IN_LEDGER
        .iter()
        .filter(|(_, seen)| seen(&story))
        .map(|(id, _)| *id);
    let in_the_end = IN_THE_END
        .iter()
        .filter(|(_, seen)| seen(evidence))
        .map(|(id, _)| *id);
    in_ledger.chain(in_the_end).collect()
}

/// What a ledger shows, seen once from its beginning to its end.
#[derive(Default)]
struct Story<'a> {
    /// The broker has confirmed something to the harness.
    promised: bool,
    /// A service was given a message of a queue twice.
    delivered_again: bool,
    /// A service has acknowledged something.
    acknowledged: bool,
    /// And something that it had published about.
    acknowledged_behind_publish: bool,
    /// And while a fault was in force.
    acknowledged_in_outage: bool,
    /// A service has published something, and there is a body of such a publish.
    published: bool,
    bodies: bool,
    /// A service has published a retry, and one has come back.
    retried: bool,
    came_back: bool,
    /// A service has held as many deliveries as are declared.
    full: bool,
    /// A service has declared something.
    declared: bool,
    /// A service was told to stop.
    stopped: bool,
    /// A service has dialled again, or in vain.
    dialled_again: bool,
    /// A fault has taken effect.
    bitten: bool,
    /// A service has said how it is.
    asked_for_health: bool,

    given: BTreeSet<(&'a Name, Option<&'a Name>, &'a Key)>,
    about: BTreeSet<(&'a Name, &'a Key)>,
    lost: BTreeSet<&'a Name>,
    outages: BTreeSet<&'a Name>,
}

impl<'a> Story<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let topology = &evidence.plan.topology;
        let mut story = Self::default();
        let mut levels = levels(topology);
        for event in evidence.ledger.events() {
            story.take(topology, event);
            story.full |= levels.values_mut().any(|level| level.see(event).fires);
        }
        story
    }

    fn take(&mut self, topology: &Topology, event: &'a Event) {
        match &event.step {
            Step::Fault { id, change } => match change {
                FaultChange::Bitten { .. } => {
                    self.bitten = true;
                    self.outages.insert(id);
                }
                FaultChange::Healed { .. } => drop(self.outages.remove(id)),
                FaultChange::Armed | FaultChange::Fired { .. } => {}
            },
            Step::Container { name, change, .. } => {
                let role = name.rsplit_once('-').map_or(name.as_str(), |(role, _)| role);
                let service = topology.service(name).or_else(|| topology.service(role));
                self.stopped |= change == "stopped" && service.is_some();
            }
            Step::Confirm { ok: true, covers } if event.svc.as_deref() == Some(HARNESS) => {
                self.promised |= !covers.is_empty();
            }
            _ => {}
        }
        if let Some(service) = event.svc.as_ref().filter(|svc| topology.service(svc).is_some()) {
            self.take_from(service, &event.step);
        }
    }

    fn take_from(&mut self, service: &'a Name, step: &'a Step) {
        match step {
            Step::Deliver { queue, message, .. } => {
                self.came_back |= message.retry.is_some_and(|retry| retry > 0);
                if let Some(key) = &message.key {
                    self.delivered_again |= !self.given.insert((service, queue.as_ref(), key));
                }
            }
            Step::Publish { message, .. } => {
                self.published = true;
                self.bodies |= message.body.is_some();
                self.retried |= message.retry.is_some();
                self.about.extend(message.key.as_ref().map(|key| (service, key)));
            }
            Step::Ack { covers } if !covers.is_empty() => {
                self.acknowledged = true;
                self.acknowledged_in_outage |= !self.outages.is_empty();
                self.acknowledged_behind_publish |= covers
                    .iter()
                    .filter_map(|covered| covered.key.as_ref())
                    .any(|key| self.about.contains(&(service, key)));
            }
            Step::Declare { passive: false, .. } => self.declared = true,
            Step::Disconnect { .. } => drop(self.lost.insert(service)),
            Step::Connect { .. } => self.dialled_again |= self.lost.contains(service),
            Step::DialFailed { .. } => self.dialled_again = true,
            Step::Health { .. } => self.asked_for_health = true,
            _ => {}
        }
    }
}

/// For each service, what tells that it has as many deliveries in its hands as are declared.
fn levels(topology: &Topology) -> BTreeMap<&Name, Matcher> {
    let level = |(role, prefetch): (_, u16)| {
        let on = On::Unacked {
            unacked: u64::from(prefetch),
            by: Name::clone(role),
        };
        let trigger = Trigger {
            nth: 1,
            on,
            after: None,
        };
        (role, Matcher::new(trigger))
    };
    let services = topology.services.iter();
    services
        .filter(|(_, service)| service.prefetch > 0)
        .map(|(role, service)| level((role, service.prefetch)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::of;
    use crate::event::{Backend, Covered, Ending, Event, FaultChange, Message, Side, Step};
    use crate::evidence::{AnalysisRow, DeadLetter, EndState, Evidence, Plan, QueueState, ServiceState};
    use crate::ledger::Ledger;
    use crate::topology::Topology;

    fn nothing() -> Evidence {
        let topology = include_str!("../../../../fixtures/topologies/ci.toml");
        Evidence {
            plan: Plan {
                scenario: "a::b".into(),
                topology: Topology::parse("ci.toml", topology).unwrap(),
                must_see: BTreeSet::new(),
                faults: Vec::new(),
                injected: Vec::new(),
                waived: [].into(),
                recovery_budget_ms: 1,
            },
            ledger: Ledger::default(),
            end: EndState::default(),
        }
    }

    /// The rules that have something to judge when this is what happened.
    fn judged(steps: Vec<(&str, Step)>) -> Vec<&'static str> {
        let events = steps.into_iter().zip(1..).map(|((svc, step), n)| Event {
            n,
            at: n,
            svc: (!svc.is_empty()).then(|| svc.into()),
            conn: Some(1),
            chan: Some(1),
            step,
        });
        let evidence = Evidence {
            ledger: Ledger::from_events(events.collect()),
            ..nothing()
        };
        of(&evidence).into_iter().collect()
    }

    fn message(key: u64, retry: Option<i64>) -> Message {
        Message {
            key: Some(key.into()),
            retry,
            ..Message::default()
        }
    }

    fn deliver(tag: u64, key: u64, retry: Option<i64>) -> Step {
        Step::Deliver {
            tag,
            consumer: "c".into(),
            queue: Some("q".into()),
            redelivered: false,
            message: message(key, retry),
        }
    }

    fn publish(key: u64, retry: Option<i64>) -> Step {
        Step::Publish {
            tag: 1,
            mandatory: true,
            message: message(key, retry),
        }
    }

    fn ack(key: u64) -> Step {
        let covers = vec![Covered {
            tag: 1,
            key: Some(key.into()),
            queue: None,
        }];
        Step::Ack { covers }
    }

    fn fault(healed: bool) -> Step {
        let proof = "seen".to_owned();
        let change = if healed {
            FaultChange::Healed { proof }
        } else {
            FaultChange::Bitten { proof }
        };
        Step::Fault {
            id: "f".into(),
            change,
        }
    }

    #[test]
    fn without_evidence_no_rule_has_anything_to_judge() {
        assert_eq!(of(&nothing()), BTreeSet::new());
    }

    /// What happened on whose link, and the rules that are about it.
    type Row = (Vec<(&'static str, Step)>, &'static [&'static str]);

    #[test]
    fn a_step_gives_something_to_the_rules_that_are_about_it() {
        let covers = vec![Covered {
            tag: 1,
            key: None,
            queue: None,
        }];
        let confirm = Step::Confirm { ok: true, covers };
        let lost = Step::Disconnect {
            to: Backend::Broker,
            by: Side::Server,
            how: Ending::Rst,
        };
        let connect = Step::Connect { to: Backend::Broker };
        let health = Step::Health {
            status: 200,
            broker: None,
        };
        let stopped = |name: &str| Step::Container {
            name: name.into(),
            change: "stopped".into(),
            exit: Some(0),
        };
        let with_body = Step::Publish {
            tag: 1,
            mandatory: true,
            message: Message {
                body: Some("{}".into()),
                ..message(1, None)
            },
        };
        let table: Vec<Row> = vec![
            (vec![("harness", confirm.clone())], &["no-loss"]),
            (vec![("tags", confirm)], &[]),
            (vec![("tags", deliver(1, 7, None))], &[]),
            (
                vec![("tags", deliver(1, 7, None)), ("tags", deliver(2, 8, None))],
                &[],
            ),
            (
                vec![("tags", deliver(1, 7, None)), ("tags", deliver(2, 7, None))],
                &["explained-duplicates"],
            ),
            (vec![("tags", deliver(1, 7, Some(1)))], &["sibling-isolation"]),
            (vec![("tags", ack(7))], &["ack-after-effect"]),
            (vec![("harness", ack(7))], &[]),
            (
                vec![("tags", publish(7, Some(1)))],
                &["durable-topology", "retries-bounded"],
            ),
            (
                vec![("tags", publish(7, None)), ("tags", ack(7))],
                &["ack-after-effect", "durable-topology", "publisher-honest"],
            ),
            (
                vec![("tags", publish(7, None)), ("tags", ack(8))],
                &["ack-after-effect", "durable-topology"],
            ),
            (
                vec![("analyzer", with_body)],
                &["durable-topology", "event-fidelity"],
            ),
            (vec![("", fault(false))], &["recovered"]),
            (
                vec![("", fault(false)), ("tags", ack(7))],
                &["ack-after-effect", "progress", "recovered"],
            ),
            (
                vec![("", fault(false)), ("", fault(true)), ("tags", ack(7))],
                &["ack-after-effect", "recovered"],
            ),
            (vec![("tags", health.clone())], &[]),
            (
                vec![("tags", health), ("", fault(false))],
                &["health-truth", "recovered"],
            ),
            (vec![("tags", connect.clone())], &[]),
            (vec![("tags", lost), ("tags", connect)], &["reconnects-bounded"]),
            (vec![("", stopped("tags-2"))], &["graceful-stop"]),
            (vec![("", stopped("broker"))], &[]),
            (
                (1..=8).map(|tag| ("tags", deliver(tag, tag, None))).collect(),
                &["prefetch-bounded"],
            ),
        ];
        for (steps, expected) in table {
            let shown = format!("{steps:?}");
            assert_eq!(judged(steps), expected, "{shown}");
        }
    }

    #[test]
    fn what_is_left_gives_something_to_the_rules_that_are_about_it() {
        let mut evidence = nothing();
        let end = &mut evidence.end;
        end.analysis.push(AnalysisRow {
            seq: 1,
            language: "en".into(),
            fields: [].into(),
        });
        end.source_after.insert(1, "hash".into());
        let letter = DeadLetter {
            key: None,
            hash: "hash".into(),
            size: 1,
            reason: None,
        };
        end.dead.insert("tags".into(), vec![letter]);
        let queue = QueueState {
            ready: 0,
            consumers: 1,
            stable: true,
        };
        end.queues.insert("q".into(), queue);
        let service = ServiceState {
            running: true,
            exit: None,
            health: 200,
        };
        end.services.insert("tags".into(), service);
        evidence.plan.must_see.insert(crate::event::StepKind::Ack);
        let expected = [
            "at-rest",
            "atomic",
            "dlq-exact",
            "effects-once",
            "no-phantoms",
            "not-vacuous",
            "process-alive",
            "source-unchanged",
        ];
        assert_eq!(of(&evidence), expected.into());
    }
}
