//! Declaring a scenario.

use std::panic::Location;
use std::time::Duration;

use harness_model::event::StepKind;
use harness_model::topology::Setup;
use harness_runner::scenario::{BodyFuture, Needs};

use crate::Scenario;
use crate::cx::Cx;

/// The budget of a scenario that names none.
const BUDGET: Duration = Duration::from_secs(90);

/// A scenario in the making. Ended with [`Builder::done`].
#[derive(Debug, Clone, Copy)]
#[must_use = "a scenario is made by `done`"]
pub struct Builder(Scenario);

/// Seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Builder {
    /// A scenario that leaves the backends alone, with a budget of 90 s. Its place is the caller's.
    #[track_caller]
    pub const fn new(
        name: &'static str,
        doc: &'static str,
        body: for<'a> fn(&'a mut Cx) -> BodyFuture<'a>,
    ) -> Self {
        Self(Scenario {
            name,
            doc,
            location: Location::caller(),
            needs: Needs::Shared,
            budget: BUDGET,
            setup: &[],
            must_see: &[],
            waive: &[],
            body,
        })
    }

    /// It may hurt the broker or the database itself.
    pub const fn exclusive(mut self) -> Self {
        self.0.needs = Needs::Exclusive;
        self
    }

    /// What it asks of the pipeline besides what the topology says: instances, quorum queues, an upstream.
    pub const fn setup(mut self, setup: &'static [Setup]) -> Self {
        self.0.setup = setup;
        self
    }

    /// How long its body may take.
    pub const fn budget(mut self, budget: Duration) -> Self {
        self.0.budget = budget;
        self
    }

    /// Kinds of step that must occur, or the trial is invalid.
    pub const fn must_see(mut self, kinds: &'static [StepKind]) -> Self {
        self.0.must_see = kinds;
        self
    }

    /// Invariants that do not apply, by id, each with the reason, which stands in the trial's report.
    pub const fn waive(mut self, waived: &'static [(&'static str, &'static str)]) -> Self {
        self.0.waive = waived;
        self
    }

    /// The scenario.
    pub const fn done(self) -> Scenario {
        self.0
    }
}

/// `scenario!("family::name", "one sentence: what is shown", run)`, where `run` is an
/// `async fn(&mut Cx) -> Outcome`; then [`Builder`]'s methods.
#[macro_export]
macro_rules! scenario {
    ($name:literal, $doc:literal, $run:path) => {
        $crate::scenario::Builder::new($name, $doc, |cx| ::std::boxed::Box::pin($run(cx)))
    };
}
