//! A run in the forms that machines read: which, where to, and what all of them are made from.
//!
//! A form is written whole, once the run is over. It is made from the trials that have ended and the scenarios that
//! should have been run and were not, so nothing is green that has not been seen. Trials of one scenario are one case;
//! the worst of them decides, because nothing is tried twice to make it pass.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::verdict::Kind;
use jiff::Timestamp;

use super::{Finished, annotations, ctrf, junit, scene, summary};
use crate::exit::Exit;
use crate::scenario::Scenario;
use crate::store::{self, StoreError};

/// The most bytes of a step's summary; GitHub drops it whole above 1 MiB.
const SUMMARY_BYTES: usize = 1_000_000;

/// A kind of form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormKind {
    /// JUnit's XML.
    Junit,
    /// Common Test Report Format, JSON.
    Ctrf,
    /// Markdown for the summary of a step of GitHub Actions.
    Summary,
    /// Annotations for GitHub Actions, as workflow commands.
    Annotations,
    /// Summary and annotations, where GitHub Actions looks for them.
    Github,
}

/// A form that is asked for: `KIND=FILE`, or `github`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Which.
    pub kind: FormKind,
    /// Where to; nowhere for [`FormKind::Github`] only.
    pub file: Utf8PathBuf,
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, file) = text.split_once('=').unwrap_or((text, ""));
        let kind = match word {
            "junit" => FormKind::Junit,
            "ctrf" => FormKind::Ctrf,
            "summary" => FormKind::Summary,
            "annotations" => FormKind::Annotations,
            "github" => FormKind::Github,
            _ => return Err(EXPECTED.to_owned()),
        };
        if file.is_empty() == (kind == FormKind::Github) && text.contains('=') != (kind == FormKind::Github) {
            Ok(Self {
                kind,
                file: file.into(),
            })
        } else {
            Err(EXPECTED.to_owned())
        }
    }
}

const EXPECTED: &str = "`junit=FILE`, `ctrf=FILE`, `summary=FILE`, `annotations=FILE` or `github`";

/// Where a scenario is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, below the root of the checkout.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Where each scenario of a catalogue is declared.
pub fn places<C>(catalogue: &[Scenario<C>]) -> BTreeMap<String, Place> {
    let place = |scenario: &Scenario<C>| Place {
        file: scenario.location.file().to_owned(),
        line: scenario.location.line(),
    };
    let known = catalogue.iter();
    known
        .map(|scenario| (scenario.name.to_owned(), place(scenario)))
        .collect()
}

/// What the forms are made from.
#[derive(Debug, Clone)]
pub struct Told {
    /// The run, or the runs that are told together.
    pub run: String,
    /// When it began.
    pub start: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The trials that have ended.
    pub finished: Vec<Finished>,
    /// The scenarios that should have been run and were not.
    pub missing: Vec<String>,
    /// Where scenarios are declared.
    pub places: BTreeMap<String, Place>,
}

/// All trials of one scenario in one part of a run.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// The scenario, after the name of the part if the run has parts.
    pub(crate) name: String,
    /// Its trials, in the order in which they ended; at least one.
    pub(crate) trials: Vec<&'a Finished>,
    /// Where it is declared.
    pub(crate) place: Option<&'a Place>,
}

impl Case<'_> {
    /// The trial that decides.
    pub(crate) fn worst(&self) -> &Finished {
        // The last of equals, so the newest.
        let worst = self.trials.iter().max_by_key(|trial| rank(trial));
        worst.expect("a case has a trial")
    }

    /// Some of its trials passed and some did not.
    pub(crate) fn is_mixed(&self) -> bool {
        let passed = self
            .trials
            .iter()
            .filter(|trial| trial.verdict.kind == Kind::Pass)
            .count();
        passed > 0 && passed < self.trials.len()
    }

    pub(crate) fn took(&self) -> Duration {
        self.trials
            .iter()
            .map(|trial| trial.verdict.timings.total())
            .sum()
    }
}

/// The larger, the worse: what counts first, then what is held, then what passed.
pub(crate) fn rank(trial: &Finished) -> (Kind, Kind) {
    (trial.counts_as(), trial.verdict.kind)
}

impl Told {
    /// The trials by case, in the order of their names.
    pub(crate) fn cases(&self) -> Vec<Case<'_>> {
        let mut cases: BTreeMap<String, Case<'_>> = BTreeMap::new();
        for trial in &self.finished {
            let name = match trial.part() {
                Some(part) => format!("{part}/{}", trial.scenario),
                None => trial.scenario.clone(),
            };
            let new = || Case {
                name: name.clone(),
                trials: Vec::new(),
                place: self.places.get(&trial.scenario),
            };
            cases.entry(name.clone()).or_insert_with(new).trials.push(trial);
        }
        cases.into_values().collect()
    }

    /// How it ended: as its trials did; a scenario that was not run leaves something unknown.
    pub fn exit(&self) -> Exit {
        let missing = self.missing.iter().map(|_| Kind::Infra);
        Exit::of(self.finished.iter().map(Finished::counts_as).chain(missing))
    }

    /// Writes the forms. What GitHub Actions reads from the output of a step goes to `out`; `step_summary` is the
    /// file that it has for the step's summary.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(
        &self,
        forms: &[Form],
        step_summary: Option<&Utf8Path>,
        out: &mut dyn Write,
    ) -> Result<(), StoreError> {
        for form in forms {
            let file = form.file.as_path();
            match form.kind {
                FormKind::Junit => save(file, junit::text(self).as_bytes())?,
                FormKind::Ctrf => save(file, ctrf::text(self).as_bytes())?,
                FormKind::Summary => save(file, summary::text(self, SUMMARY_BYTES).as_bytes())?,
                FormKind::Annotations => save(file, annotations::text(self).as_bytes())?,
                FormKind::Github => {
                    if let Some(file) = step_summary {
                        append(file, self)?;
                    }
                    // A reader that has gone away is no reason to fail.
                    drop(out.write_all(annotations::text(self).as_bytes()));
                }
            }
        }
        Ok(())
    }
}

/// Writes a file whole or not at all, with the folders on the way to it.
fn save(file: &Utf8Path, bytes: &[u8]) -> Result<(), StoreError> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(store::write_error(folder))?;
    }
    store::write(file, bytes)
}

/// Adds the summary to a file that other commands of the same step may have written to.
fn append(file: &Utf8Path, told: &Told) -> Result<(), StoreError> {
    let there = std::fs::metadata(file).map_or(0, |data| data.len());
    let room = SUMMARY_BYTES.saturating_sub(usize::try_from(there).unwrap_or(usize::MAX));
    let text = summary::text(told, room);
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(store::write_error(file))
}

/// The whole scene of a trial, as text.
pub(crate) fn scene_of(trial: &Finished) -> String {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    drop(scene::write(trial, &mut text));
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Form, FormKind};

    #[test]
    fn forms_have_a_file_but_for_github() {
        let read = |text: &str| text.parse::<Form>();
        assert_eq!(read("junit=a/b.xml").unwrap().file, "a/b.xml");
        assert_eq!(read("github").unwrap().kind, FormKind::Github);
        for text in ["junit", "junit=", "github=x", "github=", "xml=a", "", "=a"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
