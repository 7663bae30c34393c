//! A trial's folder, read as far as it can be read.
//!
//! Where [`crate::store::read`] refuses what is damaged, this takes what is there and says what is not: the page about a
//! trial that died is the one that is needed most.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::event::{Event, Step};
use harness_model::evidence::{EndState, Evidence, Plan};
use harness_model::ledger::{Ledger, Reader};
use harness_model::verdict::Verdict;
use jiff::Timestamp;

use crate::store::{self, About, StoreError};

/// What could be read of a trial.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its folder.
    pub dir: Utf8PathBuf,
    /// Its folder as a path below the run's.
    pub id: String,
    /// What ran.
    pub about: Option<About>,
    /// What it ended with.
    pub verdict: Option<Verdict>,
    /// What was asked for, what happened and what is left. Absent without a plan.
    pub evidence: Option<Evidence>,
    /// What happened, if there is no evidence.
    pub events: Vec<Event>,
    /// The logs of the services, as they came.
    pub logs: BTreeMap<String, String>,
    /// When the ledger was opened, by the clock of the host.
    pub opened: Option<Timestamp>,
    /// What is missing or damaged.
    pub problems: Vec<String>,
}

impl Source {
    /// Reads the trial in `dir`, which is below `run`.
    pub fn read(run: &Utf8Path, dir: &Utf8Path) -> Self {
        let mut problems = Vec::new();
        let about = told(store::read_about(dir), &mut problems);
        let verdict = told(store::read_verdict(dir), &mut problems);
        let plan: Option<Plan> = told(store::read_value(&dir.join("plan.json")), &mut problems);
        let end = told(
            store::read_value::<EndState>(&dir.join("end_state.json")),
            &mut problems,
        );
        let mut events = events(&dir.join("ledger.jsonl"), &mut problems);
        let opened = about
            .as_ref()
            .and_then(|about| opened(dir, about, verdict.as_ref(), &events));
        let evidence = plan.map(|plan| Evidence {
            plan,
            ledger: Ledger::from_events(std::mem::take(&mut events)),
            end: end.unwrap_or_default(),
        });
        let id = dir.strip_prefix(run).unwrap_or(dir).to_string();
        Self {
            id: if id.is_empty() { ".".to_owned() } else { id },
            dir: dir.to_owned(),
            about,
            verdict,
            evidence,
            events,
            logs: store::read_logs(dir),
            opened,
            problems,
        }
    }

    /// What happened.
    pub fn events(&self) -> &[Event] {
        match &self.evidence {
            Some(evidence) => evidence.ledger.events(),
            None => &self.events,
        }
    }
}

fn told<T>(read: Result<T, StoreError>, problems: &mut Vec<String>) -> Option<T> {
    let error = match read {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let name = |path: &Utf8Path| path.file_name().unwrap_or_default().to_owned();
    problems.push(match error {
        StoreError::Read { path, source } if source.kind() == io::ErrorKind::NotFound => {
            format!("there is no {}", name(&path))
        }
        StoreError::Read { path, source } => format!("{} cannot be read: {source}", name(&path)),
        StoreError::Corrupt { path, line, why } => {
            format!("{} is damaged in line {line}: {why}", name(&path))
        }
        other => other.to_string(),
    });
    None
}

/// Every whole line of a ledger, up to the first one that is damaged.
fn events(path: &Utf8Path, problems: &mut Vec<String>) -> Vec<Event> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(source) => {
            let path = path.to_owned();
            told::<()>(Err(StoreError::Read { path, source }), problems);
            return Vec::new();
        }
    };
    let mut events = Vec::new();
    for event in Reader::new(BufReader::new(file)) {
        match event {
            Ok(event) => events.push(event),
            Err(error) => {
                let whole = events.len();
                problems.push(format!(
                    "ledger.jsonl is damaged: {error}; the {whole} events before it are shown"
                ));
            }
        }
    }
    events
}

/// When the ledger was opened. A ledger has a clock of its own; the trial's log and the lengths of its phases say where
/// that one began, to some milliseconds.
fn opened(dir: &Utf8Path, about: &About, verdict: Option<&Verdict>, events: &[Event]) -> Option<Timestamp> {
    let body = events
        .iter()
        .find(|event| matches!(&event.step, Step::Phase { name } if name == "body"))?;
    let before = &verdict?.timings.phases;
    let before: std::time::Duration = before
        .iter()
        .take_while(|(name, _)| name != "body")
        .map(|(_, took)| *took)
        .sum();
    let log = fs::read_to_string(dir.join("trial.log")).ok()?;
    let began = began(&about.run, log.lines().next()?)?;
    began
        .checked_add(before)
        .ok()?
        .checked_sub(std::time::Duration::from_nanos(body.at))
        .ok()
}

/// When a trial began: the day is that of its run, the time stands before the first line of its log. A run goes on over
/// midnight.
fn began(run: &str, line: &str) -> Option<Timestamp> {
    let day = run.get(..8)?;
    let (started, time) = (run.get(9..15)?, line.get(..12)?);
    let (year, month) = (day.get(..4)?, day.get(4..6)?);
    let at: Timestamp = format!("{year}-{month}-{}T{time}Z", day.get(6..8)?)
        .parse()
        .ok()?;
    let next = time.get(..8)?.replace(':', "").as_str() < started;
    let day = std::time::Duration::from_hours(if next { 24 } else { 0 });
    at.checked_add(day).ok()
}

#[cfg(test)]
mod tests {
    use super::began;

    #[test]
    fn a_trial_has_a_day_and_a_time() {
        let line = "15:45:58.388Z INFO  harness_runner::trial: trial begins";
        let of = |run: &str, line: &str| began(run, line).map(|at| at.to_string());
        assert_eq!(
            of("20261124T154558.339Z-2d17", line).as_deref(),
            Some("2026-11-24T15:45:58.388Z")
        );
        assert_eq!(
            of("20261231T235900.000Z-2d17", "00:00:01.000Z INFO x").as_deref(),
            Some("2027-01-01T00:00:01Z")
        );
        for (run, line) in [
            ("a run", line),
            ("20261124T154558.339Z-2d17", "no time"),
            ("", ""),
        ] {
            assert_eq!(of(run, line), None, "{run} {line}");
        }
    }
}
