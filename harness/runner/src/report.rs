//! What happens in a run, as events, and the reporters that show them.
//!
//! Reporters run on one thread, see events in the order in which they came in, and decide nothing. Together with
//! [`crate::cli`] and [`crate::libtest`] they are the only code that prints.

pub mod annotations;
pub mod ctrf;
pub mod forms;
pub(crate) mod guard;
pub mod json;
pub mod junit;
pub mod pretty;
pub mod scene;
pub mod summary;
pub(crate) mod table;

use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;
use harness_model::quarantine::Standing;
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
    /// What quarantine makes of it, if its scenario is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Standing>,
    /// What a reader needs to see of it.
    #[serde(skip)]
    pub scene: Scene,
}

impl Finished {
    /// The part of the run that it belongs to, if the run has parts.
    pub fn part(&self) -> Option<&str> {
        self.trial.split_once('/').map(|(part, _)| part)
    }

    /// Somebody ended it before it was judged: what it shows so far says nothing of what it would have shown.
    pub fn was_interrupted(&self) -> bool {
        let mut findings = self.verdict.findings.iter();
        findings.any(|found| found.rule == "interrupted")
    }

    /// It did not pass, and does not count, because its failure is known and waited for.
    pub fn is_held(&self) -> bool {
        self.quarantine == Some(Standing::Held) && self.verdict.kind != Kind::Pass
    }

    /// What it counts as: its verdict, unless it is in quarantine. An entry that has expired is a failure by itself.
    pub fn counts_as(&self) -> Kind {
        match &self.quarantine {
            Some(Standing::Held) => Kind::Pass,
            Some(Standing::Expired) => self.verdict.kind.max(Kind::Fail),
            _ => self.verdict.kind,
        }
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
    /// Trials that did not pass and do not count, because of a quarantine.
    #[serde(skip_serializing_if = "is_none")]
    pub quarantined: usize,
    /// Selected trials that never began.
    pub not_run: usize,
    /// How long the run took.
    pub took: Duration,
    /// The exit code.
    pub exit: u8,
}

impl Totals {
    /// Adds a trial that is over.
    pub fn add(&mut self, ended: &Finished) {
        if ended.is_held() {
            self.quarantined += 1;
        } else {
            self.count(ended.counts_as());
        }
    }

    /// Adds a trial of this kind.
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what serde passes")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// Shows the events of a run.
pub trait Reporter {
    /// Shows one event.
    ///
    /// # Errors
    /// The output cannot be written. The run goes on without a reader.
    fn show(&mut self, event: &Event) -> io::Result<()>;
}
