//! What happens in a run, as events, and the reporters that show them.
//!
//! Reporters run on one thread, see events in the order in which they came in, and decide nothing. Together with
//! [`crate::cli`] and [`crate::libtest`] they are the only code that prints.

pub mod json;
pub mod pretty;
pub mod scene;
pub(crate) mod table;

use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;
use harness_model::seed::Seed;
use harness_model::verdict::{Kind, Verdict};
use serde::Serialize;

use crate::exit::Exit;
use scene::Scene;

/// One step of a run. In JSON the field `event` names the variant.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run begins.
    RunStarted {
        /// Its id.
        run: String,
        /// Its seed.
        seed: Seed,
        /// Trials selected.
        trials: usize,
        /// Its folder.
        dir: Utf8PathBuf,
    },
    /// A trial begins.
    TrialStarted {
        /// Its id within the run.
        trial: String,
        /// Its scenario.
        scenario: String,
        /// Its seed.
        seed: Seed,
    },
    /// A trial enters a phase.
    Phase {
        /// The trial.
        trial: String,
        /// The phase.
        phase: String,
    },
    /// A trial is over.
    TrialFinished(Box<Finished>),
    /// The run is over.
    RunFinished(Totals),
}

/// A trial that is over.
#[derive(Debug, Clone, Serialize)]
pub struct Finished {
    /// Its id within the run; that of a trial in a part of the run begins with the part's name and a slash.
    pub trial: String,
    /// Its scenario.
    pub scenario: String,
    /// Its seed.
    pub seed: Seed,
    /// Its folder.
    pub dir: Utf8PathBuf,
    /// What it ends with.
    pub verdict: Verdict,
    /// What a reader needs to see of it.
    #[serde(skip)]
    pub scene: Scene,
}

impl Finished {
    /// The part of the run that it belongs to, if the run has parts.
    pub fn part(&self) -> Option<&str> {
        self.trial.split_once('/').map(|(part, _)| part)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Trials that passed.
    pub pass: usize,
    /// Trials that failed.
    pub fail: usize,
    /// Trials that hung.
    pub hang: usize,
    /// Trials that did not exercise what they are for.
    pub invalid: usize,
    /// Trials whose environment did not do its part.
    pub infra: usize,
    /// Selected trials that never began.
    pub not_run: usize,
    /// How long the run took.
    pub took: Duration,
    /// The exit code.
    pub exit: u8,
}

impl Totals {
    /// Adds a trial.
    pub fn count(&mut self, kind: Kind) {
        *match kind {
            Kind::Pass => &mut self.pass,
            Kind::Invalid => &mut self.invalid,
            Kind::Infra => &mut self.infra,
            Kind::Hang => &mut self.hang,
            Kind::Fail => &mut self.fail,
        } += 1;
    }

    /// The same, with this exit code.
    pub(crate) fn ending(self, exit: Exit) -> Self {
        Self {
            exit: exit.code(),
            ..self
        }
    }
}

/// Shows the events of a run.
pub trait Reporter {
    /// Shows one event.
    ///
    /// # Errors
    /// The output cannot be written. The run goes on without a reader.
    fn show(&mut self, event: &Event) -> io::Result<()>;
}
