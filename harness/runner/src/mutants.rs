//! Whether planted bugs are noticed: what each trial says of its bug, and the matrix of all of them.
//!
//! A trial notices a bug when a rule that has to fails on it ([`Bug::is_noticed_by`]). That something else went red, or
//! that a deadline passed, is no detection, however red it is: it is shown, so that nobody takes it for one. A trial
//! that is invalid or infra says nothing at all.
//!
//! Beside it stands the naive check, run once for each bug, with no rule that judges and nobody who waits for rest
//! (`watched`): a harness that notices no more than that one is worth nothing.

mod show;
mod watched;

use std::collections::BTreeSet;

use harness_model::bugs::{Bug, UNMODIFIED};
use harness_model::seed::Seed;
use harness_model::verdict::{Finding, Kind};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::report::{Finished, scene};

pub(crate) use self::watched::Watched;

/// What one trial says of its bug.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The trial's id within the run.
    pub trial: String,
    /// Its seed.
    pub seed: Seed,
    /// Its verdict.
    pub kind: Kind,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The rules that have noticed the bug.
    pub noticed: BTreeSet<String>,
    /// What else went red.
    pub other: BTreeSet<String>,
}

/// What one scenario says of a bug.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The scenario.
    pub scenario: String,
    /// Its trials.
    pub attempts: Vec<Attempt>,
}

/// What became of a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// A rule that has to has noticed it, in at least one trial.
    Detected,
    /// Only something else went red.
    Otherwise,
    /// Everything was green.
    Survived,
    /// No trial says anything.
    Unknown,
}

/// What the naive check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// It failed.
    Yes,
    /// It passed.
    No,
    /// It did not come to its end for want of an engine or a backend.
    Unknown,
}

/// A bug's line of the matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The bug.
    pub bug: String,
    /// It is on the list that the harness was built against.
    pub listed: bool,
    /// The rules that have to notice it.
    pub caught_by: Vec<String>,
    /// What became of it.
    pub fate: Fate,
    /// By scenario, in the catalogue's order.
    pub cells: Vec<Cell>,
    /// The naive check; absent if it was not run.
    pub baseline: Option<Seen>,
    /// What the catalogue says that it says.
    pub baseline_expected: bool,
}

/// All that a run has found out about planted bugs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Id of the run.
    pub run: String,
    /// Its seed.
    pub seed: Seed,
    /// The naive check without any bug; absent if it was not run.
    pub unmodified: Option<Seen>,
    /// The bugs, in the catalogue's order.
    pub bugs: Vec<Row>,
}

impl Attempt {
    /// What a trial with this bug says of it.
    pub fn of(bug: &Bug, finished: &Finished) -> Self {
        let red = |finding: &&Finding| matches!(finding.kind, Kind::Fail | Kind::Hang);
        let findings = finished.verdict.findings.iter().filter(red);
        let noticed: BTreeSet<_> = findings
            .clone()
            .filter(|finding| bug.is_noticed_by(finding))
            .map(|finding| finding.rule.clone())
            .collect();
        let other = findings.map(|finding| finding.rule.clone());
        Self {
            trial: finished.trial.clone(),
            seed: finished.seed,
            kind: if finished.was_interrupted() {
                Kind::Infra
            } else {
                finished.verdict.kind
            },
            seconds: finished.verdict.timings.total().as_secs_f64(),
            other: other.filter(|rule| !noticed.contains(rule)).collect(),
            noticed,
        }
    }

    /// It says something of the pipeline.
    fn fit(&self) -> bool {
        !matches!(self.kind, Kind::Invalid | Kind::Infra)
    }

    /// What it shows of its bug, in a word.
    fn word(&self) -> &'static str {
        match (self.noticed.is_empty(), self.kind) {
            (false, _) => "detected",
            (true, Kind::Pass) => "survived",
            (true, Kind::Invalid) => "invalid",
            (true, Kind::Infra) => "infra",
            (true, Kind::Fail | Kind::Hang) => "otherwise",
        }
    }

    /// One line about it, for those who watch.
    pub(crate) fn line(&self, what: &str) -> String {
        let mut line = format!("{:<9}  {what}  {:.1} s", self.word(), self.seconds);
        let named: Vec<_> = self
            .noticed
            .iter()
            .chain(&self.other)
            .map(String::as_str)
            .collect();
        if !named.is_empty() {
            line.push_str("  ");
            line.push_str(&named.join(", "));
        }
        line
    }
}

impl Seen {
    /// What the trial of a naive check says.
    pub fn of(finished: &Finished) -> Self {
        match finished.verdict.kind {
            Kind::Pass => Self::No,
            Kind::Fail | Kind::Hang => Self::Yes,
            Kind::Invalid | Kind::Infra => Self::Unknown,
        }
    }

    /// One line about it, for those who watch.
    pub(crate) fn line(self, what: &str, finished: &Finished) -> String {
        let word = match self {
            Self::Yes => "seen",
            Self::No => "not seen",
            Self::Unknown => finished.verdict.kind.word(),
        };
        let took = finished.verdict.timings.total().as_secs_f64();
        let why = finished
            .verdict
            .findings
            .first()
            .map_or(String::new(), |finding| {
                let what = finding.what.lines().next().unwrap_or_default();
                format!("  {}", scene::clean(what))
            });
        format!("{word:<9}  {what}  {took:.1} s{why}")
    }

    fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

impl Fate {
    fn of(cells: &[Cell]) -> Self {
        let attempts = || cells.iter().flat_map(|cell| &cell.attempts);
        if attempts().any(|attempt| !attempt.noticed.is_empty()) {
            Self::Detected
        } else if attempts().any(|attempt| attempt.fit() && attempt.kind != Kind::Pass) {
            Self::Otherwise
        } else if attempts().any(Attempt::fit) {
            Self::Survived
        } else {
            Self::Unknown
        }
    }

    /// The word for it; what is not as it should be stands out.
    fn word(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Otherwise => "OTHERWISE",
            Self::Survived => "SURVIVED",
            Self::Unknown => "unknown",
        }
    }
}

impl Row {
    /// What all trials in the bug's part of the run say. The one of the scenario `baseline` is the naive check.
    fn of(bug: &Bug, baseline: &str, finished: &[Finished]) -> Self {
        let ours = || finished.iter().filter(|ended| ended.part() == Some(&bug.id));
        let cells: Vec<_> = bug
            .scenarios
            .iter()
            .map(|scenario| {
                let mut attempts: Vec<_> = ours()
                    .filter(|ended| ended.scenario == *scenario)
                    .map(|ended| Attempt::of(bug, ended))
                    .collect();
                attempts.sort_by(|a, b| a.trial.cmp(&b.trial));
                Cell {
                    scenario: scenario.clone(),
                    attempts,
                }
            })
            .collect();
        Self {
            bug: bug.id.clone(),
            listed: bug.listed,
            caught_by: bug.caught_by.clone(),
            fate: Fate::of(&cells),
            cells,
            baseline: ours().find(|ended| ended.scenario == baseline).map(Seen::of),
            baseline_expected: bug.baseline,
        }
    }

    /// Every rule that was broken in a trial with this bug.
    pub fn broken(&self) -> BTreeSet<String> {
        let attempts = self.cells.iter().flat_map(|cell| &cell.attempts);
        attempts
            .flat_map(|attempt| attempt.noticed.iter().chain(&attempt.other))
            .cloned()
            .collect()
    }
}

impl Matrix {
    /// The matrix of these bugs over all trials of a run. Those of the scenario `baseline` are the naive check.
    pub fn of(run: &str, seed: Seed, bugs: &[Bug], baseline: &str, finished: &[Finished]) -> Self {
        let unmodified = finished
            .iter()
            .find(|ended| ended.part() == Some(UNMODIFIED) && ended.scenario == baseline);
        Self {
            run: run.to_owned(),
            seed,
            unmodified: unmodified.map(Seen::of),
            bugs: bugs.iter().map(|bug| Row::of(bug, baseline, finished)).collect(),
        }
    }

    /// Passed if every bug was detected, and the naive check, if it was run, finds nothing where there is nothing.
    pub fn exit(&self) -> Exit {
        let any = |fates: &[Fate]| self.bugs.iter().any(|row| fates.contains(&row.fate));
        if any(&[Fate::Survived, Fate::Otherwise]) {
            Exit::Failed
        } else if any(&[Fate::Unknown]) || self.unmodified.is_some_and(|seen| seen != Seen::No) {
            Exit::Unfit
        } else {
            Exit::Passed
        }
    }
}
