//! What the runner drives: something that can be opened for a trial, disturbed by its body, healed, looked at and
//! given back.

use std::collections::BTreeMap;

use harness_model::evidence::Evidence;
use harness_model::fault::Schedule;
use harness_model::name::Key;
use harness_model::verdict::{Finding, Kind};

use crate::scenario::Outcome;
use crate::trial::Trial;

/// Why a step did not come to its end. Its text is a lower-case fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .finding.what)]
pub struct Failure {
    /// What is wrong, and which verdict it makes.
    pub finding: Box<Finding>,
    /// What a person can do about it.
    pub hint: Option<String>,
}

impl Failure {
    fn new(kind: Kind, rule: &str, what: impl Into<String>) -> Self {
        Self {
            finding: Box::new(Finding::new(kind, rule, what)),
            hint: None,
        }
    }

    /// The engine, an image or a backend did not do its part (rule `engine`).
    pub fn infra(what: impl Into<String>) -> Self {
        Self::new(Kind::Infra, "engine", what)
    }

    /// A deadline passed (rule `deadline`); `what` names what was awaited and what was last seen of it.
    pub fn hang(what: impl Into<String>) -> Self {
        Self::new(Kind::Hang, "deadline", what)
    }

    /// The pipeline broke a promise (rule `body`).
    pub fn fail(what: impl Into<String>) -> Self {
        Self::new(Kind::Fail, "body", what)
    }

    /// The trial did not exercise what it is for (rule `body`).
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, "body", what)
    }

    /// The same, under another rule, for example `golden`.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<String>) -> Self {
        self.finding.rule = rule.into();
        self
    }

    /// The same, with what a person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, about these reports.
    #[must_use]
    pub fn about(mut self, keys: impl IntoIterator<Item = Key>) -> Self {
        self.finding.keys.extend(keys);
        self
    }

    /// The same, shown by these ledger events.
    #[must_use]
    pub fn shown_by(mut self, events: impl IntoIterator<Item = u64>) -> Self {
        self.finding.events.extend(events);
        self
    }
}

impl From<Failure> for Finding {
    /// The finding; a hint becomes its last line.
    fn from(failure: Failure) -> Self {
        let mut finding = *failure.finding;
        if let Some(hint) = failure.hint {
            finding.what.push_str("\nhint: ");
            finding.what.push_str(&hint);
        }
        finding
    }
}

/// What is left of a trial for the judges and for the reader.
#[derive(Debug, Clone)]
pub struct Collected {
    /// For the judges. Its ledger equals the file at [`Trial::ledger_path`].
    pub evidence: Evidence,
    /// Everything that was decided before or during the trial.
    pub schedule: Schedule,
    /// Logs by the name of what wrote them, as they came: nobody has checked the text.
    pub logs: BTreeMap<String, String>,
    /// What ran: versions, image digests, engine.
    pub facts: serde_json::Value,
}

/// Steps of a trial that need the world.
///
/// For each trial the runner calls, on one thread and in this order: `lease`, `open`, the scenario's body, `heal`,
/// `quiesce`, `canary`, `collect`, `close`. Different trials run at the same time on different threads. Every future may be
/// dropped at any of its await points, because a deadline passed or the run was interrupted.
///
/// An implementation must not
/// - retry anything that could turn a failed trial into a passed one;
/// - judge: what it sees goes into the evidence, and an `Err` says only that the step itself did not come to its end;
/// - print: it reports phases through [`Trial::phase`], logs through `tracing`, and returns the rest;
/// - leave anything behind outside the trial's folder once `close` has returned, or once a future of `lease` or `open`
///   has been dropped.
pub trait Environment: Send + Sync + 'static {
    /// What a body works with.
    type Cx: 'static;

    /// The right to use backends, given back by `Drop`.
    type Lease;

    /// Waits for backends that the trial may use. It may have to stand in line for as long as other trials take.
    ///
    /// # Errors
    /// No backend can be had; the trial is infra.
    fn lease(&self, trial: &Trial) -> impl Future<Output = Result<Self::Lease, Failure>>;

    /// Provisions what the trial needs, waits until it is ready, and begins the ledger at [`Trial::ledger_path`].
    ///
    /// It reports where it is with [`Trial::phase`]: `provision`, `ready`. When it fails, panics or is dropped there is no
    /// context and hence no `close`: whatever it had taken by then must be given back by `Drop`.
    fn open(&self, trial: &Trial, lease: Self::Lease) -> impl Future<Output = Result<Self::Cx, Failure>>;

    /// What was last seen of what is being waited for, in a few words, for the message of a deadline. It must not do
    /// I/O, and must not fail when a step was dropped half way.
    fn last_seen(&self, cx: &Self::Cx) -> String;

    /// Undoes every fault that is still there, and proves it. An error is an infra verdict whatever its kind: an
    /// environment that cannot be healed says nothing of the pipeline.
    fn heal(&self, cx: &mut Self::Cx) -> impl Future<Output = Outcome>;

    /// Waits until nothing moves any more. It must not disturb what it watches.
    fn quiesce(&self, cx: &mut Self::Cx) -> impl Future<Output = Outcome>;

    /// Sends one message through the whole pipeline to show that it works again.
    fn canary(&self, cx: &mut Self::Cx) -> impl Future<Output = Outcome>;

    /// Takes down what is left. It is called after every body, however it ended, and must take what it can get: after
    /// a failed `heal` the logs are all that a reader has.
    fn collect(&self, cx: &mut Self::Cx) -> impl Future<Output = Result<Collected, Failure>>;

    /// Gives everything back. Called for every context that `open` returned: after a panic, a deadline and Ctrl-C
    /// too. `so_far` is the verdict before judging; a backend that was part of a bad trial may be discarded rather
    /// than given to the next one.
    fn close(&self, cx: Self::Cx, so_far: Kind) -> impl Future<Output = Outcome>;
}
