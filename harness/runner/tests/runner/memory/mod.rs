//! A kit whose environment lives in memory: no engine, no network, no waiting but on purpose.
//!
//! What its steps do is told by a script such as `heal=fails,close=hangs`, which takes the place of the topology
//! file's name. What its bodies do is told by the scenarios' names. Words without `=` are bugs of the pipeline that is
//! not there: `forgetful` publishes nothing, `lazy` does nothing for the naive check. What services are given is more of
//! the script.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::io::{self, Write};
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camino::Utf8PathBuf;
use harness_model::event::{Covered, Event, Message, Step};
use harness_model::evidence::{EndState, Evidence, Expect, Injected, Plan};
use harness_model::fault::{Schedule, Workload};
use harness_model::grid::{Course, Point};
use harness_model::ledger::{self, Ledger};
use harness_model::name::Key;
use harness_model::perturbation::Axis;
use harness_model::topology::Topology;
use harness_model::verdict::{Finding, Kind};
use harness_runner::check::{Check, Checked};
use harness_runner::config::{Settings, UnderTest};
use harness_runner::environment::{Collected, Environment, Failure};
use harness_runner::exit::{Exit, Refusal};
use harness_runner::kit::{ADDRESSES, Commands, Kit, UP};
use harness_runner::scenario::{BodyFuture, Needs, Outcome, Scenario};
use harness_runner::trial::{Judge, Trial};
use jiff::Timestamp;
use tokio::sync::Notify;

/// The environment: what was called, and how each step behaves.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    script: BTreeMap<String, String>,
    bugs: BTreeSet<String>,
    /// The calls so far, in order.
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
    /// Told when a body begins to wait for ever.
    pub(crate) waiting: Arc<Notify>,
}

/// What a body works with.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) trial: Trial,
    bugs: BTreeSet<String>,
    events: Vec<Event>,
    seen: String,
    calls: Arc<Mutex<Vec<String>>>,
    waiting: Arc<Notify>,
}

impl Memory {
    pub(crate) fn scripted(script: &str) -> Self {
        let (steps, bugs): (Vec<_>, Vec<_>) = script.split(',').partition(|word| word.contains('='));
        let steps = steps.into_iter().filter_map(|step| step.split_once('='));
        Self {
            script: steps
                .map(|(step, does)| (step.to_owned(), does.to_owned()))
                .collect(),
            bugs: bugs.into_iter().map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    /// As the script says that takes the topology's place, and what services are given.
    fn with(under_test: &UnderTest) -> Self {
        let script = under_test.topology.iter().map(|path| path.as_str());
        let given = under_test.env.values().flat_map(BTreeMap::values);
        let script = script.chain(given.map(String::as_str));
        Self::scripted(&script.collect::<Vec<_>>().join(","))
    }

    async fn perform(&self, step: &str) -> Outcome {
        self.calls.lock().unwrap().push(step.to_owned());
        match self.script.get(step).map(String::as_str) {
            None => Ok(()),
            Some("infra") => Err(Failure::infra(format!("{step} has no engine")).hint("start one")),
            Some("fails") => Err(Failure::fail(format!("{step} says no"))),
            Some("hangs") => pending().await,
            Some(other) => panic!("{step} {other}"),
        }
    }
}

impl World {
    fn record(&mut self, step: Step) {
        let n = self.events.len() as u64 + 1;
        let svc = Some("analyzer".into());
        self.events.push(Event {
            n,
            at: n * 1_500_000,
            svc,
            conn: Some(1),
            chan: Some(1),
            step,
        });
    }

    pub(crate) fn inject(&mut self, key: &str) {
        self.record(Step::Inject {
            key: key.into(),
            report: "litter".to_owned(),
        });
    }

    pub(crate) fn acknowledge(&mut self, key: &str) {
        if self.bugs.contains("forgetful") {
            return;
        }
        let message = Message {
            key: Some(key.into()),
            routing_key: "done".to_owned(),
            ..Message::default()
        };
        self.record(Step::Publish {
            tag: 1,
            mandatory: true,
            message,
        });
    }
}

impl Environment for Memory {
    type Cx = World;
    type Lease = ();

    async fn lease(&self, _: &Trial) -> Result<(), Failure> {
        self.perform("lease").await
    }

    async fn open(&self, trial: &Trial, (): ()) -> Result<World, Failure> {
        trial.phase("provision");
        self.perform("open").await?;
        trial.phase("ready");
        std::fs::write(trial.ledger_path(), "").unwrap();
        Ok(World {
            trial: trial.clone(),
            bugs: self.bugs.clone(),
            events: Vec::new(),
            seen: "nothing yet".to_owned(),
            calls: Arc::clone(&self.calls),
            waiting: Arc::clone(&self.waiting),
        })
    }

    fn last_seen(&self, cx: &World) -> String {
        cx.seen.clone()
    }

    async fn heal(&self, _: &mut World) -> Outcome {
        self.perform("heal").await
    }

    async fn quiesce(&self, _: &mut World) -> Outcome {
        self.perform("quiesce").await
    }

    async fn canary(&self, cx: &mut World) -> Outcome {
        self.perform("canary").await?;
        cx.record(Step::Recovered {
            key: "canary".into(),
            ms: 7,
        });
        Ok(())
    }

    async fn collect(&self, cx: &mut World) -> Result<Collected, Failure> {
        self.perform("collect").await?;
        let mut lines = Vec::new();
        cx.events
            .iter()
            .for_each(|event| ledger::write_line(event, &mut lines));
        std::fs::write(cx.trial.ledger_path(), lines).unwrap();
        let scenario = cx.trial.scenario.to_owned();
        let workload = Workload {
            messages: cx.events.len() as u64,
            sha256: "00".to_owned(),
        };
        let plan = Plan {
            scenario: scenario.clone(),
            topology: topology(),
            must_see: cx.trial.must_see.iter().copied().collect(),
            faults: Vec::new(),
            injected: cx.events.iter().filter_map(injected).collect(),
            waived: cx
                .trial
                .waive
                .iter()
                .map(|(id, reason)| ((*id).into(), (*reason).into()))
                .collect(),
            recovery_budget_ms: 1000,
        };
        let ledger = Ledger::from_events(cx.events.clone());
        Ok(Collected {
            evidence: Evidence {
                plan,
                ledger,
                end: EndState::default(),
            },
            schedule: Schedule {
                scenario,
                seed: cx.trial.seed,
                faults: Vec::new(),
                workload,
            },
            logs: BTreeMap::from([(
                "analyzer".to_owned(),
                "up\n\u{1b}[31mlost the broker\u{1b}[0m\n".to_owned(),
            )]),
            facts: serde_json::json!({ "broker": "in memory" }),
        })
    }

    async fn close(&self, _: World, so_far: Kind) -> Outcome {
        self.calls
            .lock()
            .unwrap()
            .push(format!("closing a trial that is {} so far", so_far.word()));
        self.perform("close").await
    }
}

/// What was injected with this event.
fn injected(event: &Event) -> Option<Injected> {
    let Step::Inject { key, report } = &event.step else {
        return None;
    };
    Some(Injected {
        key: key.clone(),
        seq: key.seq(),
        name: report.clone(),
        times: 1,
        expect: Expect::Effect {
            tags: BTreeSet::new(),
            public: true,
            rendered: true,
        },
        canary: false,
    })
}

fn topology() -> Topology {
    let text = r#"{
        "name": "memory", "broker": { "image": "-" }, "database": { "image": "-" },
        "messages": { "key": ["seq"], "retry_header": "retries" },
        "exchanges": { "main": { "name": "main", "kind": "direct" } },
        "routes": { "raw": { "exchange": "main", "key": "raw" } },
        "queues": {
            "analysis": { "name": "analyze", "bind": ["raw"] },
            "archive": { "name": "archive", "bind": ["raw"], "sink": true },
            "tags": { "name": "tag", "bind": ["raw"] }
        },
        "services": {
            "analyzer": {
                "image": "-", "port": 80, "consumes": "analysis", "prefetch": 1, "concurrency": 1, "max_retries": 1,
                "health": { "path": "/" }
            },
            "tags": {
                "image": "-", "port": 80, "consumes": "tags", "prefetch": 1, "concurrency": 1, "max_retries": 1,
                "health": { "path": "/" }
            }
        },
        "effects": {
            "source": { "table": "reports", "key": "seq" },
            "analysis": { "table": "analysis", "key": "seq", "language": "language", "languages": ["en"] }
        }
    }"#;
    serde_json::from_str(text).unwrap()
}

/// Every injected report must be published; the report `13` makes this judge fall over.
pub(crate) fn judge(evidence: &Evidence) -> Vec<Finding> {
    let mut open: BTreeMap<&Key, u64> = BTreeMap::new();
    for event in evidence.ledger.events() {
        match &event.step {
            Step::Inject { key, .. } => drop(open.insert(key, event.n)),
            Step::Publish { message, .. } => drop(message.key.as_ref().and_then(|key| open.remove(key))),
            _ => {}
        }
    }
    assert!(!open.contains_key(&Key::from("13")), "13 is too much");
    if open.is_empty() {
        return Vec::new();
    }
    let what = format!("{} of the injected reports went nowhere", open.len());
    vec![
        Finding::new(Kind::Fail, "no-loss", what)
            .about(open.keys().map(|&key| key.clone()))
            .shown_by(open.values().copied()),
    ]
}

type Body = for<'a> fn(&'a mut World) -> BodyFuture<'a>;

#[track_caller]
const fn scenario(name: &'static str, doc: &'static str, body: Body) -> Scenario<World> {
    let budget = Duration::from_millis(50);
    Scenario {
        name,
        doc,
        location: Location::caller(),
        needs: Needs::Shared,
        budget,
        setup: &[],
        must_see: &[],
        waive: &[],
        body,
    }
}

static CATALOGUE: [Scenario<World>; 8] = [
    scenario("body::fails", "The body finds something.", |_| {
        Box::pin(async {
            Err(Failure::fail("two rows where one should be")
                .about(["4".into()])
                .hint("count again"))
        })
    }),
    scenario("body::hangs", "The body waits for what never comes.", |cx| {
        Box::pin(async {
            cx.seen.replace_range(.., "3 of 4 reports");
            cx.waiting.notify_one();
            pending().await
        })
    }),
    scenario("body::invalid", "Nothing bites, and a report is lost.", |cx| {
        Box::pin(async {
            cx.inject("5");
            Err(Failure::invalid("the kill did not bite"))
        })
    }),
    scenario("body::panics", "The body falls over.", |_| {
        Box::pin(async { panic!("at the disco") })
    }),
    Scenario {
        budget: Duration::from_secs(30),
        ..scenario("body::waits", "Says so and waits for a signal.", |_| {
            Box::pin(async {
                io::stderr().write_all(b"waiting\n").unwrap();
                pending().await
            })
        })
    },
    scenario("judge::loses", "One of two reports is lost.", |cx| {
        Box::pin(async {
            cx.inject("1");
            cx.inject("2");
            cx.acknowledge("1");
            Ok(())
        })
    }),
    scenario("judge::panics", "The judge falls over.", |cx| {
        Box::pin(async {
            cx.inject("13");
            Ok(())
        })
    }),
    scenario("judge::passes", "Everything is well.", |cx| {
        Box::pin(async {
            tracing::info!(reports = 1, "injecting");
            cx.calls.lock().unwrap().push("body".to_owned());
            cx.inject("1");
            cx.acknowledge("1");
            Ok(())
        })
    }),
];

/// The kit around [`Memory`].
#[derive(Debug)]
pub(crate) struct MemoryKit;

impl Kit for MemoryKit {
    type Environment = Memory;

    fn catalogue(&self) -> &'static [Scenario<World>] {
        &CATALOGUE
    }

    fn judge(&self) -> Judge {
        judge
    }

    fn available(&self, settings: &Settings) -> Result<(), String> {
        match settings.docker_host.as_deref() {
            Some(host) if host.starts_with("none") => Err(format!("no engine at `{host}`")),
            _ => Ok(()),
        }
    }

    async fn environment(&self, settings: &Settings) -> Result<Memory, Refusal> {
        match settings.under_test.topology.as_deref() {
            Some(path) if path == "absent.toml" => {
                Err(Refusal::config("cannot read absent.toml: no such file").hint("see --topology"))
            }
            Some(script) if script.as_str().starts_with("first:") => {
                // What is said of the first attempt of nextest is not so in the others.
                let first = settings.nextest_attempt.is_none_or(|attempt| attempt == 1);
                let script = script.as_str().trim_start_matches("first:");
                Ok(Memory::scripted(if first { script } else { "" }))
            }
            _ => Ok(Memory::with(&settings.under_test)),
        }
    }
}

const fn naive() -> Scenario<World> {
    scenario("baseline::naive", "There is something.", |cx| {
        Box::pin(async {
            if cx.bugs.contains("lazy") {
                return Err(Failure::fail("there is nothing"));
            }
            cx.inject("1");
            Ok(())
        })
    })
}

/// The report is delivered, and acknowledged or rejected.
fn settle(cx: &mut World, ack: bool) {
    let key = Key::from("1");
    cx.inject("1");
    cx.acknowledge("1");
    let message = Message {
        key: Some(key.clone()),
        ..Message::default()
    };
    cx.record(Step::Deliver {
        tag: 1,
        consumer: "c".into(),
        queue: Some("analyze".into()),
        redelivered: false,
        message,
    });
    let covers = vec![Covered {
        tag: 1,
        key: Some(key),
        queue: None,
    }];
    cx.record(if ack {
        Step::Ack { covers }
    } else {
        Step::Nack {
            requeue: false,
            covers,
        }
    });
}

/// A broker that is killed before an ack loses the report, and one link is not cut.
fn crash(cx: &mut World) -> Outcome {
    cx.inject("1");
    match cx.trial.scenario {
        "grid::analysis::A0::broker" => Ok(()),
        "grid::analysis::A1::link" => {
            cx.acknowledge("1");
            Err(Failure::invalid("the link was not cut"))
        }
        _ => {
            cx.acknowledge("1");
            Ok(())
        }
    }
}

impl Commands for MemoryKit {
    fn axes(&self) -> &'static [Axis] {
        &Axis::ALL
    }

    fn sources(&self) -> Utf8PathBuf {
        Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    }

    fn topology(&self, settings: &Settings) -> Result<Topology, Refusal> {
        match settings.under_test.topology.as_deref() {
            Some(path) if path == "absent.toml" => {
                Err(Refusal::config("cannot read absent.toml: no such file"))
            }
            _ => Ok(topology()),
        }
    }

    async fn environments(&self, _: &Settings, variants: &[UnderTest]) -> Result<Vec<Memory>, Refusal> {
        Ok(variants.iter().map(Memory::with).collect())
    }

    fn bug_catalogues(&self) -> Result<Vec<Utf8PathBuf>, Refusal> {
        Ok(vec!["absent-bugs.toml".into()])
    }

    fn baseline(&self) -> Scenario<World> {
        naive()
    }

    fn survey(&self, course: Course) -> Scenario<World> {
        let body: Body = match course {
            Course::Straight => |cx| {
                Box::pin(async {
                    settle(cx, true);
                    Ok(())
                })
            },
            Course::Retried => |_| Box::pin(async { Ok(()) }),
            Course::Rejected => |cx| {
                Box::pin(async {
                    settle(cx, false);
                    Ok(())
                })
            },
        };
        scenario(course.name().leak(), "Nothing is disturbed.", body)
    }

    fn point(&self, point: &Point) -> Scenario<World> {
        let name = point.to_string().leak();
        scenario(name, "Something crashes.", |cx| Box::pin(async { crash(cx) }))
    }

    fn stand(&self) -> Scenario<World> {
        scenario("stack::up", "It stands.", |cx| {
            Box::pin(async {
                if cx.bugs.contains("lazy") {
                    return Err(Failure::infra("nothing stands"));
                }
                std::fs::write(cx.trial.dir.join(ADDRESSES), "broker  nowhere\n").unwrap();
                cx.trial.phase(UP);
                Ok(())
            })
        })
    }

    async fn images(&self, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Refusal> {
        writeln!(out, "{:?}", settings.under_test.images).unwrap();
        Ok(Exit::Passed)
    }

    async fn doctor(&self, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Refusal> {
        self.available(settings).map_err(Refusal::engine)?;
        writeln!(out, "healthy").unwrap();
        Ok(Exit::Passed)
    }

    async fn check(&self, _: &Settings, asked: &Check, now: Timestamp) -> Result<Vec<Checked>, Refusal> {
        match asked {
            Check::Deploy(asked) if asked.compose.files[0] == "absent.yml" => {
                Err(Refusal::config("read absent.yml: no such file"))
            }
            Check::Deploy(asked) => Ok(vec![
                Checked::of(
                    "pins-complete",
                    "7 services",
                    vec![Finding::new(Kind::Fail, "pins-complete", "tags is not pinned")],
                ),
                Checked::of("port-mappings", asked.compose.files[0].as_str(), Vec::new()),
                Checked::skipped("versions-agree", "not asked; see --versions"),
            ]),
            Check::Backup(asked) => Ok(vec![Checked::of(
                "backup-fresh",
                format!("{} at {now}", asked.log),
                Vec::new(),
            )]),
            Check::Ports(asked) if asked.compose.files[0] == "unasked.yml" => Ok(vec![
                Checked::skipped("running-digest", "1 project").missing("permission denied"),
                Checked::of("port-policy", "1 socket", Vec::new()).missing("permission denied"),
            ]),
            Check::Ports(asked) => {
                let note = "nobody uses the exception of the mobile team any more".to_owned();
                Ok(vec![
                    Checked::of("port-policy", format!("{asked:?}"), Vec::new()).noting([note]),
                ])
            }
        }
    }

    async fn gc(&self, _: &Settings, out: &mut dyn Write) -> Result<Exit, Refusal> {
        writeln!(out, "nothing to remove").unwrap();
        Ok(Exit::Passed)
    }

    async fn bench(
        &self,
        _: &Settings,
        names: &[String],
        runs: u32,
        out: &mut dyn Write,
    ) -> Result<Exit, Refusal> {
        writeln!(out, "{names:?} {runs} times").unwrap();
        Ok(Exit::Passed)
    }

    async fn pool_server(&self, _: &Settings, args: &[String]) -> Result<Exit, Refusal> {
        Err(Refusal::config(format!("no pool for {args:?}")))
    }
}
