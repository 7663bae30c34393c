//! What earlier sweeps have found: a file to which each adds a line.
//!
//! Files of several machines are merged by putting one after the other. A line that cannot be read is reported with its
//! number and skipped; the file is never written again, so nothing in it is lost.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};

use camino::Utf8Path;
use harness_model::perturbation::Axis;
use harness_model::seed::Seed;
use serde::{Deserialize, Serialize};

use super::Sweep;
use super::plan::Counts;
use crate::exit::Refusal;

/// The file's name in the run store.
pub(crate) const FILE: &str = "history.jsonl";

/// One sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Its runs, which tell when it was.
    pub(crate) runs: Vec<String>,
    /// The revision that was tested.
    pub(crate) revision: String,
    /// Its seed.
    pub(crate) seed: Seed,
    /// What it varied; empty in lines of old, of which it is not known.
    #[serde(default)]
    pub(crate) axes: Vec<Axis>,
    /// The counts of each scenario.
    pub(crate) scenarios: BTreeMap<String, Counts>,
}

/// The earlier sweeps, the oldest first, and what is wrong with the file.
///
/// # Errors
/// It is there and cannot be read at all.
pub(crate) fn read(path: &Utf8Path) -> Result<(Vec<Line>, Vec<String>), Refusal> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
        Err(error) => return Err(Refusal::config(format!("{path}: {error}"))),
    };
    let (mut lines, mut broken): (Vec<Line>, _) = (Vec::new(), Vec::new());
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(line) => lines.push(line),
            Err(error) => broken.push(format!("{path}: line {number} is skipped: {error}")),
        }
    }
    lines.sort_by(|a, b| a.runs.cmp(&b.runs));
    lines.dedup();
    Ok((lines, broken))
}

/// Adds a sweep.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn append(path: &Utf8Path, sweep: &Sweep) -> Result<(), Refusal> {
    let line = Line {
        runs: sweep.runs.clone(),
        revision: sweep.revision.clone(),
        seed: sweep.seed,
        axes: sweep.axes.clone(),
        scenarios: sweep
            .counts()
            .into_iter()
            .map(|(name, counts)| (name.to_owned(), counts))
            .collect(),
    };
    // A line that an earlier writer did not end must not take this one with it.
    let unended = fs::read(path).is_ok_and(|text| text.last().is_some_and(|last| *last != b'\n'));
    let mut text = String::from(if unended { "\n" } else { "" });
    text.push_str(&serde_json::to_string(&line).map_err(|error| Refusal::config(error.to_string()))?);
    text.push('\n');
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Refusal::config(format!("cannot write {path}: {error}")))
}
