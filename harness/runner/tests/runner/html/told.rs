//! A small language in which tests tell a trial, and put it into a run store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::event::StepKind;
use harness_model::event::{Backend, Covered, Ending, Event, FaultChange, Message, Side, Step, Verb};
use harness_model::evidence::{EndState, Evidence, Expect, Injected, Plan, QueueState, ServiceState};
use harness_model::fault::{FaultKind, FaultPlan, Pattern, Schedule, Target, Trigger, Workload};
use harness_model::ledger::{self, Ledger};
use harness_model::name::Key;
use harness_model::seed::Seed;
use harness_model::topology::Topology;
use harness_model::verdict::{Finding, Timings, Verdict};
use harness_runner::config::UnderTest;
use harness_runner::environment::Collected;
use harness_runner::store::{self, About, Run};

/// A millisecond.
pub(crate) const MS: u64 = 1_000_000;

/// Work queues of the CI topology: role, name, consumer, its connection.
const QUEUES: [(&str, &str, &str, u32); 3] = [
    ("analysis", "report-analyze", "analyzer", 11),
    ("renderer", "report-renderer", "renderer", 12),
    ("tags", "report-tags", "tags", 13),
];

/// One message of a confirm or a settlement.
fn covered(tag: u64, key: &Key, queue: Option<&str>) -> Vec<Covered> {
    vec![Covered {
        tag,
        key: Some(key.clone()),
        queue: queue.map(Into::into),
    }]
}

/// A trial that is being told, one millisecond a step unless time is let pass.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) plan: Plan,
    pub(crate) end: EndState,
    pub(crate) events: Vec<Event>,
    pub(crate) step: u64,
    now: u64,
    tags: u64,
}

impl Told {
    pub(crate) fn new(scenario: &str) -> Self {
        let text = include_str!("../../../../../fixtures/topologies/ci.toml");
        let topology = Topology::parse("ci.toml", text).unwrap();
        let plan = Plan {
            scenario: scenario.to_owned(),
            topology,
            must_see: BTreeSet::new(),
            faults: Vec::new(),
            injected: Vec::new(),
            waived: BTreeMap::new(),
            recovery_budget_ms: 30_000,
        };
        let mut told = Self {
            plan,
            end: EndState::default(),
            events: Vec::new(),
            step: MS,
            now: 0,
            tags: 0,
        };
        for (role, name, svc, conn) in QUEUES {
            let queue = told.plan.topology.queues[role].clone();
            let state = |consumers| QueueState {
                ready: 0,
                consumers,
                stable: true,
            };
            told.end.queues.insert(name.into(), state(1));
            told.end.queues.insert(queue.retry.unwrap().queue, state(0));
            told.end.queues.insert(queue.dead_letter.unwrap().queue, state(0));
            let state = ServiceState {
                running: true,
                exit: None,
                health: 200,
            };
            told.end.services.insert(svc.into(), state);
            told.container(svc, "started", None);
            told.connect(svc, conn);
        }
        told.connect("harness", 10);
        told.phase("body");
        told
    }

    pub(crate) fn push(&mut self, svc: Option<&str>, conn: Option<u32>, step: Step) -> u64 {
        self.now += self.step;
        let n = self.events.len() as u64 + 1;
        self.events.push(Event {
            n,
            at: self.now,
            svc: svc.map(Into::into),
            conn,
            chan: conn.map(|_| 1),
            step,
        });
        n
    }

    pub(crate) fn say(&mut self, step: Step) -> u64 {
        self.push(None, None, step)
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        self.now += ms * MS;
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn phase(&mut self, name: &str) -> u64 {
        self.say(Step::Phase { name: name.into() })
    }

    pub(crate) fn container(&mut self, name: &str, change: &str, exit: Option<i64>) -> u64 {
        self.say(Step::Container {
            name: name.into(),
            change: change.to_owned(),
            exit,
        })
    }

    /// A service dials the broker and consumes its queue.
    pub(crate) fn connect(&mut self, svc: &str, conn: u32) {
        self.push(Some(svc), Some(conn), Step::Connect { to: Backend::Broker });
        self.push(Some(svc), Some(conn), Step::ChannelOpened);
        if let Some((_, queue, ..)) = QUEUES.iter().find(|(_, _, of, _)| *of == svc) {
            let consume = Step::Consume {
                queue: (*queue).into(),
                consumer: "c".into(),
                no_ack: false,
            };
            self.push(Some(svc), Some(conn), consume);
        }
    }

    pub(crate) fn disconnect(&mut self, svc: &str, conn: u32) -> u64 {
        let step = Step::Disconnect {
            to: Backend::Broker,
            by: Side::Server,
            how: Ending::Rst,
        };
        self.push(Some(svc), Some(conn), step)
    }

    fn publish_as(&mut self, svc: &str, conn: u32, routing_key: &str, key: &Key) {
        self.tags += 1;
        let tag = self.tags;
        let message = Message {
            exchange: "cleanapp".to_owned(),
            routing_key: routing_key.to_owned(),
            key: Some(key.clone()),
            size: 9,
            hash: "00".to_owned(),
            persistent: true,
            ..Message::default()
        };
        let publish = Step::Publish {
            tag,
            mandatory: true,
            message,
        };
        self.push(Some(svc), Some(conn), publish);
        let covers = covered(tag, key, None);
        self.push(Some(svc), Some(conn), Step::Confirm { ok: true, covers });
    }

    /// The harness injects a report.
    pub(crate) fn inject(&mut self, key: impl Into<Key>) -> Key {
        let key = key.into();
        self.plan.injected.push(Injected {
            key: key.clone(),
            seq: key.seq(),
            name: "bin".to_owned(),
            times: 1,
            expect: Expect::Effect {
                tags: BTreeSet::new(),
                public: true,
                rendered: true,
            },
            canary: false,
        });
        self.publish_as("harness", 10, "report.raw", &key);
        key
    }

    /// A delivery from the queue with this role; its tag.
    pub(crate) fn deliver(&mut self, role: &str, key: &Key) -> u64 {
        let (_, queue, svc, conn) = QUEUES.into_iter().find(|(of, ..)| *of == role).unwrap();
        self.tags += 1;
        let message = Message {
            exchange: "cleanapp".to_owned(),
            key: Some(key.clone()),
            ..Message::default()
        };
        let deliver = Step::Deliver {
            tag: self.tags,
            consumer: "c".into(),
            queue: Some(queue.into()),
            redelivered: false,
            message,
        };
        self.push(Some(svc), Some(conn), deliver);
        self.tags
    }

    pub(crate) fn work(&mut self, svc: &str, key: &Key) {
        let statement = |verb, keys| Step::Statement {
            verb,
            sql: "INSERT INTO <script>alert(1)</script>".to_owned(),
            prepared: true,
            keys,
        };
        let answer = |verb, in_tx| Step::DbOk { verb, rows: 1, in_tx };
        self.push(Some(svc), Some(21), statement(Verb::Insert, vec![key.clone()]));
        self.push(Some(svc), Some(21), answer(Verb::Insert, false));
    }

    pub(crate) fn ack(&mut self, role: &str, key: &Key, tag: u64) -> u64 {
        let (_, queue, svc, conn) = QUEUES.into_iter().find(|(of, ..)| *of == role).unwrap();
        let covers = covered(tag, key, Some(queue));
        self.push(Some(svc), Some(conn), Step::Ack { covers })
    }

    pub(crate) fn put_back(&mut self, role: &str, key: &Key, tag: u64) -> u64 {
        let (_, queue, svc, conn) = QUEUES.into_iter().find(|(of, ..)| *of == role).unwrap();
        let covers = covered(tag, key, Some(queue));
        self.push(
            Some(svc),
            Some(conn),
            Step::Nack {
                requeue: true,
                covers,
            },
        )
    }

    /// The whole life of a report.
    pub(crate) fn report(&mut self, key: impl Into<Key>) {
        let key = self.inject(key);
        for role in ["analysis", "tags", "renderer"] {
            if role == "renderer" {
                self.publish_as("analyzer", 11, "report.analysed", &key);
            }
            let tag = self.deliver(role, &key);
            if role != "renderer" {
                self.work(if role == "analysis" { "analyzer" } else { "tags" }, &key);
            }
            self.ack(role, &key, tag);
        }
    }

    pub(crate) fn plan_kill(&mut self, id: &str, nth: u64) {
        let on = Pattern {
            by: Some("tags".into()),
            ..Pattern::new(StepKind::Ack)
        };
        self.plan.faults.push(FaultPlan {
            id: id.into(),
            what: FaultKind::Kill {
                target: Target::Service("tags".into()),
            },
            when: Some(Trigger::nth(nth, on)),
        });
        self.fault(id, FaultChange::Armed);
    }

    pub(crate) fn fault(&mut self, id: &str, change: FaultChange) -> u64 {
        self.say(Step::Fault {
            id: id.into(),
            change,
        })
    }

    /// The tags service is killed while a report is in its hands, and started again; what it held is lost.
    pub(crate) fn killed_holding(&mut self, key: impl Into<Key>) -> Finding {
        let key = self.inject(key);
        let tag = self.deliver("tags", &key);
        self.work("tags", &key);
        let ack = self.ack("tags", &key, tag);
        self.say(Step::Held {
            fault: "kill-tags".into(),
            event: ack,
        });
        self.fault("kill-tags", FaultChange::Fired { by: ack });
        self.container("tags", "killed", Some(137));
        self.disconnect("tags", 13);
        let proof = "exit code 137".to_owned();
        self.fault("kill-tags", FaultChange::Bitten { proof });
        self.say(Step::Released {
            fault: "kill-tags".into(),
            event: ack,
            fate: harness_model::event::Fate::Cut,
        });
        self.wait(400);
        self.container("tags", "started", None);
        let proof = "healthy".to_owned();
        self.fault("kill-tags", FaultChange::Healed { proof });
        let what = format!("report {key} was confirmed and is nowhere; last seen at #{ack}");
        Finding::new(harness_model::verdict::Kind::Fail, "no-loss", what)
            .about([key])
            .shown_by([ack])
    }

    pub(crate) fn evidence(&self) -> Evidence {
        Evidence {
            plan: self.plan.clone(),
            ledger: Ledger::from_events(self.events.clone()),
            end: self.end.clone(),
        }
    }

    /// Puts the trial into a run below `out`, with these findings; its folder.
    pub(crate) fn store(&self, run: &Run, findings: Vec<Finding>) -> Utf8PathBuf {
        let seed = Seed(7);
        let about = About {
            run: run.id.clone(),
            scenario: self.plan.scenario.clone(),
            seed,
            under_test: UnderTest::default(),
            harness: "0.1.0".to_owned(),
            facts: serde_json::Value::Null,
            course: Vec::new(),
        };
        let dir = run.trial(&about).unwrap();
        let log = "2026-01-02T03:04:05.000Z up\n\u{1b}[31m<b>::error::forged</b>\u{1b}[0m\n";
        let collected = Collected {
            evidence: self.evidence(),
            schedule: Schedule {
                scenario: self.plan.scenario.clone(),
                seed,
                faults: self.plan.faults.clone(),
                workload: Workload {
                    messages: 0,
                    sha256: String::new(),
                },
            },
            logs: BTreeMap::from([("tags".to_owned(), log.to_owned())]),
            facts: serde_json::Value::Null,
        };
        store::write_collected(&dir, &collected).unwrap();
        let mut lines = Vec::new();
        for event in &self.events {
            ledger::write_line(event, &mut lines);
        }
        fs::write(dir.join("ledger.jsonl"), lines).unwrap();
        fs::write(dir.join("trial.log"), "03:04:04.900Z INFO  trial begins\n").unwrap();
        let mut verdict = Verdict::of(findings);
        let phase = |name: &str, ms| (name.to_owned(), Duration::from_millis(ms));
        verdict.timings = Timings {
            phases: vec![phase("ready", 50), phase("body", 900)],
        };
        store::write_verdict(&dir, &about, &verdict).unwrap();
        dir
    }
}

/// A run with a fixed name below `out`.
pub(crate) fn run(out: &Utf8Path) -> Run {
    let id = "20260102T030404.000Z-1a2b";
    let dir = out.join(id);
    fs::create_dir_all(&dir).unwrap();
    Run {
        id: id.to_owned(),
        dir,
        prefix: String::new(),
    }
}

/// A trial in which a report is lost, and its finding.
pub(crate) fn lost() -> (Told, Finding) {
    let mut told = Told::new("service::killed");
    told.plan_kill("kill-tags", 2);
    told.report(1);
    let finding = told.killed_holding(2);
    told.connect("tags", 14);
    told.phase("canary");
    told.wait(30);
    told.say(Step::Recovered {
        key: "3".into(),
        ms: 31,
    });
    told.phase("collect");
    told.end.queues.get_mut("report-tags").unwrap().consumers = 0;
    (told, finding)
}
