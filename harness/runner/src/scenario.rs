//! What a scenario is to the runner: a name, what it asks for, and a body.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::time::Duration;

use harness_model::event::StepKind;
use harness_model::topology::Setup;
use serde::Serialize;

use crate::environment::Failure;

/// How a body, or a step of the environment, ends.
pub type Outcome = Result<(), Failure>;

/// A running body. Not `Send`: it is polled on the trial's own thread only.
pub type BodyFuture<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// What a scenario may do to the backends it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Needs {
    /// It leaves them alone, so other trials may use them at the same time.
    Shared,
    /// It may hurt the broker or the database itself.
    Exclusive,
}

/// A named body with what it asks for. `C` is the context that the environment hands to it.
pub struct Scenario<C: 'static> {
    /// `family::name`, unique in the catalogue.
    pub name: &'static str,
    /// One sentence: what is shown.
    pub doc: &'static str,
    /// Where it is declared.
    pub location: &'static Location<'static>,
    /// What it may do to the backends.
    pub needs: Needs,
    /// How long the whole body may take.
    pub budget: Duration,
    /// What it asks of the pipeline besides what the topology says.
    pub setup: &'static [Setup],
    /// Kinds of step that must occur, or the trial is invalid.
    pub must_see: &'static [StepKind],
    /// Invariants that do not apply, by id, each with the reason.
    pub waive: &'static [(&'static str, &'static str)],
    /// What is done. It must not block its thread: a body that never yields cannot be stopped by a deadline.
    pub body: for<'a> fn(&'a mut C) -> BodyFuture<'a>,
}

impl<C> Clone for Scenario<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Scenario<C> {}

impl<C> fmt::Debug for Scenario<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}
