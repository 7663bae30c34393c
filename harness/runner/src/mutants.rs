//! Whether planted bugs are noticed: what each trial says of its bug, and the matrix of all of them.
//!
//! A trial notices a bug when a rule that has to fails on it ([`Bug::is_noticed_by`]). That something else went red, or
//! that a deadline passed, is no detection, however red it is: it is shown, so that nobody takes it for one. A trial that
//! is invalid or infra says nothing at all.
//!
//! Beside it stands the naive check, run once for each bug, with no rule that judges and nobody who waits for rest
//! ([`Watched`]): a harness that notices no more than that one is worth nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use harness_model::bugs::{Bug, UNMODIFIED};
use harness_model::seed::Seed;
use harness_model::verdict::{Finding, Kind};
use serde::{Deserialize, Serialize};

use crate::environment::{Collected, Environment, Failure};
use crate::exit::Exit;
use crate::report::table::{Column, Table};
use crate::report::{Finished, scene};
use crate::scenario::Outcome;
use crate::trial::Trial;

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
            kind: finished.verdict.kind,
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

    /// How many trials have noticed it, of those that say anything, and how many say nothing.
    fn score(&self) -> String {
        let attempts = || self.cells.iter().flat_map(|cell| &cell.attempts);
        let noticed = attempts().filter(|attempt| !attempt.noticed.is_empty()).count();
        let fit = attempts().filter(|attempt| attempt.fit()).count();
        let unfit = [Kind::Invalid, Kind::Infra].into_iter().filter_map(|kind| {
            let count = attempts().filter(|attempt| attempt.kind == kind).count();
            (count > 0).then(|| format!(", {count} {}", kind.word()))
        });
        [format!("{noticed} of {fit}")].into_iter().chain(unfit).collect()
    }
}

impl Cell {
    /// The rules that have noticed the bug, each with how often.
    fn noticed(&self) -> String {
        let fit = self.attempts.iter().filter(|attempt| attempt.fit()).count();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for rule in self.attempts.iter().flat_map(|attempt| &attempt.noticed) {
            *times.entry(rule).or_default() += 1;
        }
        let each: Vec<_> = times
            .iter()
            .map(|(rule, times)| format!("{rule} {times}/{fit}"))
            .collect();
        each.join(", ")
    }

    fn other(&self) -> String {
        let rules: BTreeSet<_> = self.attempts.iter().flat_map(|attempt| &attempt.other).collect();
        rules
            .into_iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The median time of the trials that have noticed the bug, in seconds; of an even number, the lower of the two.
    fn seconds(&self) -> Option<f64> {
        let noticed = self.attempts.iter().filter(|attempt| !attempt.noticed.is_empty());
        let mut times: Vec<_> = noticed.map(|attempt| attempt.seconds).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len().saturating_sub(1) / 2).copied()
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

    /// Writes the matrix and what it comes to.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new([
            Column::left("bug"),
            Column::left("fate"),
            Column::left("detected"),
            Column::left("baseline"),
            Column::left("scenario"),
            Column::right("seconds"),
            Column::left("by"),
            Column::left("also red"),
        ]);
        for row in &self.bugs {
            let mut head = [
                row.bug.clone(),
                row.fate.word().to_owned(),
                row.score(),
                row.baseline.map_or("-", Seen::word).to_owned(),
            ];
            for cell in &row.cells {
                let seconds = cell
                    .seconds()
                    .map_or_else(|| "-".to_owned(), |time| format!("{time:.1}"));
                let noticed = Some(cell.noticed()).filter(|text| !text.is_empty());
                let noticed = noticed.unwrap_or_else(|| "-".to_owned());
                table.row(
                    head.into_iter()
                        .chain([cell.scenario.clone(), seconds, noticed, cell.other()]),
                );
                head = Default::default();
            }
        }
        table.write(out)?;
        writeln!(out)?;
        self.write_summary(out)
    }

    fn write_summary(&self, out: &mut dyn Write) -> io::Result<()> {
        let all = self.bugs.len();
        let share = |found: usize, of: usize| {
            let percent = (found * 100).checked_div(of).unwrap_or(0);
            format!("{found} of {of} bugs ({percent} %)")
        };
        let of_fate = |fate| self.bugs.iter().filter(move |row| row.fate == fate);
        writeln!(
            out,
            "harness:         {}",
            share(of_fate(Fate::Detected).count(), all)
        )?;
        let listed = |listed| {
            let rows = || self.bugs.iter().filter(move |row| row.listed == listed);
            share(
                rows().filter(|row| row.fate == Fate::Detected).count(),
                rows().count(),
            )
        };
        if self.bugs.iter().any(|row| !row.listed) {
            writeln!(out, "  listed:        {}", listed(true))?;
            writeln!(out, "  not listed:    {}", listed(false))?;
        }
        let checked: Vec<_> = self.bugs.iter().filter_map(|row| row.baseline).collect();
        let saw = checked.iter().filter(|seen| **seen == Seen::Yes).count();
        match self.unmodified {
            None => writeln!(out, "naive baseline:  not run")?,
            Some(_) => writeln!(out, "naive baseline:  {}", share(saw, checked.len()))?,
        }
        let notes = [
            (Fate::Survived, "survived"),
            (Fate::Otherwise, "caught by something else only"),
            (Fate::Unknown, "nothing is known of"),
        ];
        for (fate, note) in notes {
            let names: Vec<_> = of_fate(fate).map(|row| row.bug.as_str()).collect();
            if !names.is_empty() {
                writeln!(out, "{note}: {}", names.join(", "))?;
            }
        }
        match self.unmodified {
            Some(Seen::Yes) => {
                writeln!(
                    out,
                    "the baseline fails without any bug, so what it says of bugs means nothing"
                )?;
            }
            Some(Seen::Unknown) => {
                writeln!(out, "whether the baseline passes without any bug is not known")?;
            }
            Some(Seen::No) | None => {}
        }
        let unlike = |seen, expected| {
            let rows = self.bugs.iter();
            let rows =
                rows.filter(move |row| row.baseline == Some(seen) && row.baseline_expected == expected);
            rows.map(|row| row.bug.as_str()).collect::<Vec<_>>()
        };
        let easy = unlike(Seen::Yes, false);
        if !easy.is_empty() {
            writeln!(out, "too easy, the baseline sees them: {}", easy.join(", "))?;
        }
        let hard = unlike(Seen::No, true);
        if !hard.is_empty() {
            writeln!(
                out,
                "the baseline does not see them, though the catalogue says so: {}",
                hard.join(", ")
            )?;
        }
        Ok(())
    }
}

/// An environment in which nobody may wait for rest or send a canary: what is left is what the body says.
#[derive(Debug)]
pub(crate) struct Watched<E> {
    pub(crate) inner: Arc<E>,
    pub(crate) bare: bool,
}

impl<E: Environment> Environment for Watched<E> {
    type Cx = E::Cx;

    async fn open(&self, trial: &Trial) -> Result<Self::Cx, Failure> {
        self.inner.open(trial).await
    }

    fn last_seen(&self, cx: &Self::Cx) -> String {
        self.inner.last_seen(cx)
    }

    async fn heal(&self, cx: &mut Self::Cx) -> Outcome {
        self.inner.heal(cx).await
    }

    async fn quiesce(&self, cx: &mut Self::Cx) -> Outcome {
        if self.bare {
            return Ok(());
        }
        self.inner.quiesce(cx).await
    }

    async fn canary(&self, cx: &mut Self::Cx) -> Outcome {
        if self.bare {
            return Ok(());
        }
        self.inner.canary(cx).await
    }

    async fn collect(&self, cx: &mut Self::Cx) -> Result<Collected, Failure> {
        self.inner.collect(cx).await
    }

    async fn close(&self, cx: Self::Cx, so_far: Kind) -> Outcome {
        self.inner.close(cx, so_far).await
    }
}
