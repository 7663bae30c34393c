//! The life of one trial, from its folder to its verdict.
//!
//! 1. make the folder; the seed is known by then;
//! 2. `lease`, then `open`: provision, ready, as the environment reports them;
//! 3. the scenario's body, on this thread, panics caught;
//! 4. `heal`; then, unless the environment itself let the trial down, `quiesce` and `canary`: the judges look at a
//!    pipeline at rest, also after a body that failed or hung;
//! 5. `collect`, and what was collected is stored before anything is taken down;
//! 6. `close`: for every context there ever was, however its trial went;
//! 7. judge: the invariants, if there is evidence and no infra finding; the worst finding decides.
//!
//! Every step has a deadline. Where the step waits for the pipeline (body, quiesce, canary), passing it is a hang; where
//! the harness works on its own (open, heal, collect, close), nothing is known of the pipeline, and it is infra.
//! An interruption drops open, body, quiesce and canary at once, and leaves [`Limits::interrupted`] to each other step.
//! Nothing is tried twice.

mod course;

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use camino::Utf8PathBuf;
use harness_model::event::StepKind;
use harness_model::evidence::Evidence;
use harness_model::invariant;
use harness_model::perturbation::Perturbation;
use harness_model::seed::Seed;
use harness_model::topology::Setup;
use harness_model::verdict::{Finding, Kind, Timings, Verdict};
use tokio::time::Instant;
use tracing::Instrument;

use crate::busy::Busy;
use crate::cancel::Cancel;
use crate::config::UnderTest;
use crate::environment::{Collected, Environment};
use crate::panics::caught_in;
use crate::quarantine::Ward;
use crate::report::scene::Scene;
use crate::report::{Event, Finished};
use crate::scenario::{Needs, Scenario};
use crate::store::{self, About};
use course::{Course, Leg};

/// Says what is wrong with a trial, from its evidence alone.
pub type Judge = fn(&Evidence) -> Vec<Finding>;

/// How long each step may take; the body has the scenario's budget.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Waiting in line for backends that other trials use, of which each may take minutes.
    pub lease: Duration,
    /// Provision and ready together.
    pub open: Duration,
    /// Healing.
    pub heal: Duration,
    /// Coming to rest.
    pub quiesce: Duration,
    /// The canary.
    pub canary: Duration,
    /// Collecting evidence.
    pub collect: Duration,
    /// Giving back.
    pub close: Duration,
    /// Each of heal, collect and close after an interruption: together less than the 10 s that nextest grants.
    pub interrupted: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(30),
            open: Duration::from_mins(3),
            heal: Duration::from_mins(1),
            quiesce: Duration::from_mins(1),
            canary: Duration::from_mins(1),
            collect: Duration::from_secs(30),
            close: Duration::from_secs(30),
            interrupted: Duration::from_millis(2500),
        }
    }
}

/// What all trials of a run share.
#[derive(Debug)]
pub struct Shared<'a, E> {
    /// The environment.
    pub environment: &'a E,
    /// The judge.
    pub judge: Judge,
    /// Deadlines.
    pub limits: Limits,
    /// The run's folder.
    pub run: &'a store::Run,
    /// What is tested.
    pub under_test: &'a UnderTest,
    /// What is in quarantine.
    pub ward: &'a Ward,
    /// The interruption.
    pub cancel: &'a Cancel,
}

/// A trial, as its environment sees it.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Its id within the run; its folder's path below the run's.
    pub id: String,
    /// Id of the run.
    pub run: String,
    /// The scenario: `family::name`.
    pub scenario: &'static str,
    /// What it may do to the backends.
    pub needs: Needs,
    /// How long the whole body may take.
    pub budget: Duration,
    /// What it asks of the pipeline besides what the topology says.
    pub setup: &'static [Setup],
    /// Kinds of step that must occur.
    pub must_see: &'static [StepKind],
    /// Invariants that do not apply, with reasons.
    pub waive: &'static [(&'static str, &'static str)],
    /// Its seed: the only source of randomness.
    pub seed: Seed,
    /// The conditions that it runs under.
    pub perturbation: Perturbation,
    /// Its folder.
    pub dir: Utf8PathBuf,
    clock: Arc<Clock>,
}

#[derive(Debug)]
struct Clock {
    events: Sender<Event>,
    phases: Mutex<Phases>,
}

#[derive(Debug, Default)]
struct Phases {
    done: Vec<(String, Duration)>,
    current: Option<(String, Instant)>,
}

impl Phases {
    fn end(&mut self) {
        if let Some((name, since)) = self.current.take() {
            self.done.push((name, since.elapsed()));
        }
    }
}

impl Trial {
    /// Where the ledger is written, line by line.
    pub fn ledger_path(&self) -> Utf8PathBuf {
        self.dir.join("ledger.jsonl")
    }

    /// Ends the phase before and begins the phase `name`. The runner does this for its own steps; an environment
    /// does it inside `open`.
    pub fn phase(&self, name: &str) {
        tracing::debug!(phase = name, "begins");
        let mut phases = self.clock.phases.lock().unwrap_or_else(PoisonError::into_inner);
        phases.end();
        phases.current = Some((name.to_owned(), Instant::now()));
        drop(phases);
        // A run without a reporter is still a run.
        drop(self.clock.events.send(Event::Phase {
            trial: self.id.clone(),
            phase: name.to_owned(),
        }));
    }

    fn current_phase(&self) -> String {
        let phases = self.clock.phases.lock().unwrap_or_else(PoisonError::into_inner);
        phases
            .current
            .as_ref()
            .map(|(name, _)| name.clone())
            .unwrap_or_default()
    }

    fn timings(&self) -> Timings {
        let mut phases = self.clock.phases.lock().unwrap_or_else(PoisonError::into_inner);
        phases.end();
        Timings {
            phases: std::mem::take(&mut phases.done),
        }
    }
}

/// Runs one trial. Never panics because of the scenario or the environment, and always says something.
pub async fn run<E: Environment>(
    shared: &Shared<'_, E>,
    scenario: &Scenario<E::Cx>,
    seed: Seed,
    events: &Sender<Event>,
) -> Finished {
    let mut about = About {
        run: shared.run.id.clone(),
        scenario: scenario.name.to_owned(),
        seed,
        under_test: shared.under_test.clone(),
        harness: env!("CARGO_PKG_VERSION").to_owned(),
        facts: serde_json::Value::Null,
        course: Vec::new(),
    };
    let dir = match shared.run.trial(&about) {
        Ok(dir) => dir,
        Err(error) => {
            let finding = Finding::new(Kind::Infra, "store", error.to_string());
            let ended = without_trial(scenario.name, seed, shared.run, finding);
            return Finished {
                quarantine: shared.ward.standing(scenario.name, &ended.verdict),
                ..ended
            };
        }
    };
    let id = shared.run.trial_id(dir.file_name().unwrap_or(scenario.name));
    let trial = Trial {
        id: id.clone(),
        run: shared.run.id.clone(),
        scenario: scenario.name,
        needs: scenario.needs,
        budget: scenario.budget,
        setup: scenario.setup,
        must_see: scenario.must_see,
        waive: scenario.waive,
        seed,
        perturbation: shared.under_test.perturbation.clone(),
        dir: dir.clone(),
        clock: Arc::new(Clock {
            events: events.clone(),
            phases: Mutex::default(),
        }),
    };
    drop(events.send(Event::TrialStarted {
        trial: id.clone(),
        scenario: about.scenario.clone(),
        seed,
    }));

    // The log of this trial is found by this field. The level lets the span pass every filter, so that `warn` still
    // makes a file.
    let span = tracing::error_span!("trial", trial = %dir);
    let (verdict, scene) = live(shared, scenario, &trial, &mut about).instrument(span).await;
    Finished {
        trial: id,
        scenario: about.scenario,
        seed,
        dir,
        quarantine: shared.ward.standing(scenario.name, &verdict),
        verdict,
        scene,
    }
}

/// The end of a trial that could not be begun, or of which nothing is left.
pub(crate) fn without_trial(scenario: &str, seed: Seed, run: &store::Run, finding: Finding) -> Finished {
    Finished {
        trial: run.trial_id(scenario),
        scenario: scenario.to_owned(),
        seed,
        dir: run.dir.clone(),
        verdict: Verdict::of(vec![finding]),
        quarantine: None,
        scene: Scene::default(),
    }
}

async fn live<E: Environment>(
    shared: &Shared<'_, E>,
    scenario: &Scenario<E::Cx>,
    trial: &Trial,
    about: &mut About,
) -> (Verdict, Scene) {
    let Shared {
        environment, limits, ..
    } = *shared;
    let mut course = Course {
        cancel: shared.cancel,
        interrupted: limits.interrupted,
        findings: Vec::new(),
    };

    tracing::info!(
        scenario = scenario.name,
        seed = trial.seed.0,
        run = trial.run,
        "trial begins"
    );
    trial.phase("lease");
    let leg = Leg {
        name: "lease",
        limit: limits.lease,
        own: true,
        stops: true,
    };
    let end = course.run(&leg, async { environment.lease(trial).await }).await;
    let lease = course.note(&leg, end, || "all backends are in use".to_owned());
    let neighbours = Busy::start(trial.perturbation.neighbours.unwrap_or(0) as usize);
    let mut cx = None;
    if let Some(lease) = lease {
        let leg = Leg {
            name: "open",
            limit: limits.open,
            own: false,
            stops: true,
        };
        let end = course
            .run(&leg, async { environment.open(trial, lease).await })
            .await;
        cx = course.note(&leg, end, || format!("phase {}", trial.current_phase()));
    }

    let mut collected = None;
    let mut judged = false;
    if let Some(mut cx) = cx {
        collected = until_collected(&mut course, shared, scenario, trial, &mut cx).await;
        judged = collected.is_some() && !course.let_down();
        if let Some(collected) = &collected
            && let Err(error) = store::write_collected(&trial.dir, collected)
        {
            course
                .findings
                .push(Finding::new(Kind::Infra, "store", error.to_string()));
        }
        trial.phase("close");
        let leg = Leg {
            name: "close",
            limit: limits.close,
            own: true,
            stops: false,
        };
        let so_far = course.worst();
        let end = course
            .run(&leg, async { environment.close(cx, so_far).await })
            .await;
        course.note(&leg, end, || "nothing, its context is gone".to_owned());
    }

    drop(neighbours);
    about.course.clone_from(&course.findings);
    let mut findings = course.findings;
    if let Some(collected) = collected.as_ref().filter(|_| judged) {
        trial.phase("judge");
        findings.extend(judge(shared.judge, &collected.evidence));
    }
    let mut verdict = Verdict::of(findings);
    verdict.timings = trial.timings();
    if let Some(collected) = &collected {
        about.facts = collected.facts.clone();
        verdict.measures = invariant::measures(&invariant::Case::new(&collected.evidence));
    }
    if let Err(error) = store::write_verdict(&trial.dir, about, &verdict) {
        let (timings, measures) = (verdict.timings, verdict.measures);
        verdict
            .findings
            .push(Finding::new(Kind::Infra, "store", error.to_string()));
        verdict = Verdict {
            timings,
            measures,
            ..Verdict::of(verdict.findings)
        };
    }
    let scene =
        collected.map(|Collected { evidence, logs, .. }| Scene::cut(&verdict.findings, &evidence, &logs));
    tracing::info!(verdict = verdict.kind.word(), "trial ends");
    (verdict, scene.unwrap_or_default())
}

/// From the body to the evidence.
async fn until_collected<E: Environment>(
    course: &mut Course<'_>,
    shared: &Shared<'_, E>,
    scenario: &Scenario<E::Cx>,
    trial: &Trial,
    cx: &mut E::Cx,
) -> Option<Collected> {
    let Shared {
        environment, limits, ..
    } = *shared;

    trial.phase("body");
    let leg = Leg {
        name: "body",
        limit: scenario.budget,
        own: false,
        stops: true,
    };
    let end = course.run(&leg, async { (scenario.body)(cx).await }).await;
    course.note(&leg, end, || environment.last_seen(cx));

    trial.phase("heal");
    let leg = Leg {
        name: "heal",
        limit: limits.heal,
        own: true,
        stops: false,
    };
    let end = course.run(&leg, async { environment.heal(cx).await }).await;
    course.note(&leg, end, || environment.last_seen(cx));

    if !course.let_down() {
        trial.phase("quiesce");
        let leg = Leg {
            name: "quiesce",
            limit: limits.quiesce,
            own: false,
            stops: true,
        };
        let end = course.run(&leg, async { environment.quiesce(cx).await }).await;
        course.note(&leg, end, || environment.last_seen(cx));
    }
    if !course.let_down() {
        trial.phase("canary");
        let leg = Leg {
            name: "canary",
            limit: limits.canary,
            own: false,
            stops: true,
        };
        let end = course.run(&leg, async { environment.canary(cx).await }).await;
        course.note(&leg, end, || environment.last_seen(cx));
    }

    trial.phase("collect");
    let leg = Leg {
        name: "collect",
        limit: limits.collect,
        own: true,
        stops: false,
    };
    let end = course.run(&leg, async { environment.collect(cx).await }).await;
    course.note(&leg, end, || environment.last_seen(cx))
}

/// What the judge says. A judge that panics knows nothing, and that is never a pass.
pub(crate) fn judge(judge: Judge, evidence: &Evidence) -> Vec<Finding> {
    caught_in(|| judge(evidence)).unwrap_or_else(|message| {
        vec![Finding::new(
            Kind::Infra,
            "harness",
            format!("the judge panicked: {message}"),
        )]
    })
}
