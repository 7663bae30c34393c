//! The run store: one folder for each run, one below it for each trial.
//!
//! ```text
//! OUT/latest -> 20260102T030405.678Z-1a2b
//! OUT/20260102T030405.678Z-1a2b/harness-run        marks the folder as ours
//!                               family.name/       a second trial of the same scenario is family.name.2
//!                                 env.json         written first: what ran, with which seed
//!                                 ledger.jsonl     written by the environment, line by line
//!                                 trial.log        the harness' own log of this trial
//!                                 plan.json  end_state.json  schedule.json  logs/NAME.log
//!                                 verdict.json     written last
//! ```
//!
//! A run may have parts, each in a folder of its own between the run's and its trials'.
//!
//! Files are written whole or not at all (temporary name, then rename), except ledger and log, which grow. The last
//! [`KEPT`] runs are kept; older ones are removed, but only folders that carry the marker. Names contain no `:`,
//! because stores of artifacts refuse it.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Write};
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::evidence::{EndState, Evidence, Plan};
use harness_model::fault::Schedule;
use harness_model::ledger::{Ledger, LedgerError};
use harness_model::seed::Seed;
use harness_model::verdict::{Finding, Verdict};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::UnderTest;
use crate::environment::Collected;

/// How many runs are kept.
pub const KEPT: usize = 20;

pub(crate) const MARKER: &str = "harness-run";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// What.
        path: Utf8PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Something cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What.
        path: Utf8PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: line {line}: {why}")]
    Corrupt {
        /// Which.
        path: Utf8PathBuf,
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        why: String,
    },
    /// A ledger is damaged.
    #[error("{path}: {source}")]
    Ledger {
        /// Which.
        path: Utf8PathBuf,
        /// Line and cause.
        source: LedgerError,
    },
}

pub(crate) fn write_error(path: &Utf8Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Write { path, source }
}

/// What ran, and what was seen of it that no judge can find again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Id of the run.
    pub run: String,
    /// The scenario.
    pub scenario: String,
    /// The trial's seed.
    pub seed: Seed,
    /// What was tested.
    pub under_test: UnderTest,
    /// Version of the harness.
    pub harness: String,
    /// What the environment says of itself; null until evidence was collected.
    pub facts: serde_json::Value,
    /// Findings of the trial's own course: body, deadlines, engine.
    pub course: Vec<Finding>,
}

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id: UTC time and process, so that names sort by age.
    pub id: String,
    /// The folder that trials are put into, absolute.
    pub dir: Utf8PathBuf,
    /// What the ids of its trials begin with: nothing, or the name of a part and a slash.
    pub prefix: String,
}

impl Run {
    /// Creates a run below `out`, makes `latest` lead to it and removes runs beyond `kept`. With a `key`, processes
    /// that pass the same one share the run.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(out: &Utf8Path, key: Option<&str>, kept: usize) -> Result<Self, StoreError> {
        let out = camino::absolute_utf8(out).map_err(write_error(out))?;
        fs::create_dir_all(&out).map_err(write_error(&out))?;
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ");
        let mut id = format!("{now}-{:04x}", std::process::id());
        if let Some(key) = key {
            // Making a link is atomic and carries its text, so the first process wins and all others read its id.
            let link = out.join(format!(".key-{}", file_name(key)));
            match symlink(&id, &link) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    let target = fs::read_link(&link).map_err(write_error(&link))?;
                    id = target.to_string_lossy().into_owned();
                }
                other => other.map_err(write_error(&link))?,
            }
        }
        let run = Self {
            dir: out.join(&id),
            id,
            prefix: String::new(),
        };
        fs::create_dir_all(&run.dir).map_err(write_error(&run.dir))?;
        write(&run.dir.join(MARKER), b"")?;
        let (fresh, latest) = (
            out.join(format!(".latest-{}", std::process::id())),
            out.join("latest"),
        );
        drop(fs::remove_file(&fresh));
        symlink(&run.id, &fresh)
            .and_then(|()| fs::rename(&fresh, &latest))
            .map_err(write_error(&latest))?;
        prune(&out, &run.id, kept);
        Ok(run)
    }

    /// A part of this run: trials in a folder of their own, whose ids begin with `NAME/`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn part(&self, name: &str) -> Result<Self, StoreError> {
        let dir = self.dir.join(file_name(name));
        fs::create_dir_all(&dir).map_err(write_error(&dir))?;
        Ok(Self {
            id: self.id.clone(),
            dir,
            prefix: format!("{}{name}/", self.prefix),
        })
    }

    /// The id within the run of the trial that is called `name` in this part of it.
    pub(crate) fn trial_id(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Creates the folder of a trial, with `env.json` in it.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn trial(&self, about: &About) -> Result<Utf8PathBuf, StoreError> {
        let name = about.scenario.replace("::", ".");
        let mut dir = self.dir.join(file_name(&name));
        for n in 2_u32.. {
            match fs::create_dir(&dir) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    dir = self.dir.join(file_name(&format!("{name}.{n}")));
                }
                other => {
                    other.map_err(write_error(&dir))?;
                    break;
                }
            }
        }
        write_json(&dir, "env.json", about)?;
        Ok(dir)
    }
}

/// Keeps the newest runs. Another process may prune at the same time, and a run that cannot be removed does no harm:
/// failures are logged only.
fn prune(out: &Utf8Path, current: &str, kept: usize) {
    let entries = || out.read_dir_utf8().into_iter().flatten().flatten();
    let ours = |dir: &Utf8Path| !dir.is_symlink() && dir.join(MARKER).is_file();
    let mut runs: Vec<_> = entries()
        .filter(|entry| entry.file_name() != current && ours(entry.path()))
        .collect();
    runs.sort_by(|a, b| a.file_name().cmp(b.file_name()));
    runs.truncate(runs.len().saturating_sub(kept.saturating_sub(1)));
    for run in &runs {
        if let Err(error) = fs::remove_dir_all(run.path()) {
            tracing::warn!(run = run.file_name(), %error, "cannot remove an old run");
        }
    }
    for link in entries().filter(|entry| entry.file_name().starts_with(".key-")) {
        let gone = |target: &std::path::Path| runs.iter().any(|run| target == run.file_name());
        if fs::read_link(link.path()).is_ok_and(|target| gone(&target)) {
            drop(fs::remove_file(link.path()));
        }
    }
}

/// `text` as a file name: what is not a letter, digit, `.`, `_` or `-` becomes `_`.
fn file_name(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    text.chars().map(plain).collect()
}

/// Writes what a trial left, except its verdict.
///
/// # Errors
/// A file cannot be written.
pub fn write_collected(dir: &Utf8Path, collected: &Collected) -> Result<(), StoreError> {
    write_json(dir, "plan.json", &collected.evidence.plan)?;
    write_json(dir, "end_state.json", &collected.evidence.end)?;
    write_json(dir, "schedule.json", &collected.schedule)?;
    let logs = dir.join("logs");
    fs::create_dir_all(&logs).map_err(write_error(&logs))?;
    for (name, text) in &collected.logs {
        write(&logs.join(format!("{}.log", file_name(name))), text.as_bytes())?;
    }
    Ok(())
}

/// Writes a trial's verdict, and `env.json` with all that is now known.
///
/// # Errors
/// A file cannot be written.
pub fn write_verdict(dir: &Utf8Path, about: &About, verdict: &Verdict) -> Result<(), StoreError> {
    write_json(dir, "env.json", about)?;
    write_json(dir, "verdict.json", verdict)
}

/// Writes a value as a file of that name.
///
/// # Errors
/// The file cannot be written.
pub fn write_json<T: Serialize>(dir: &Utf8Path, name: &str, value: &T) -> Result<(), StoreError> {
    let path = dir.join(name);
    let mut text =
        serde_json::to_vec_pretty(value).map_err(|error| write_error(&path)(io::Error::from(error)))?;
    text.push(b'\n');
    write(&path, &text)
}

pub(crate) fn write(path: &Utf8Path, bytes: &[u8]) -> Result<(), StoreError> {
    let fresh = Utf8PathBuf::from(format!("{path}.tmp-{}", std::process::id()));
    let written = File::create(&fresh).and_then(|mut file| file.write_all(bytes));
    let renamed = written.and_then(|()| fs::rename(&fresh, path));
    renamed.map_err(|source| {
        drop(fs::remove_file(&fresh));
        write_error(path)(source)
    })
}

/// A whole trial, read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// What ran.
    pub about: About,
    /// What was decided.
    pub schedule: Schedule,
    /// What the judges looked at.
    pub evidence: Evidence,
    /// What they said.
    pub verdict: Verdict,
}

/// Reads a whole trial.
///
/// # Errors
/// A file is missing or damaged; the error names it and the line. A trial that ended before its evidence was collected
/// cannot be read.
pub fn read(dir: &Utf8Path) -> Result<Stored, StoreError> {
    let path = dir.join("ledger.jsonl");
    let file = File::open(&path).map_err(|source| StoreError::Read {
        path: path.clone(),
        source,
    })?;
    let ledger = Ledger::read(BufReader::new(file)).map_err(|source| StoreError::Ledger { path, source })?;
    let plan: Plan = read_json(dir, "plan.json")?;
    let end: EndState = read_json(dir, "end_state.json")?;
    Ok(Stored {
        about: read_about(dir)?,
        schedule: read_schedule(dir)?,
        evidence: Evidence { plan, ledger, end },
        verdict: read_verdict(dir)?,
    })
}

/// Reads what ran; present in every trial's folder.
pub fn read_about(dir: &Utf8Path) -> Result<About, StoreError> {
    read_json(dir, "env.json")
}

/// Reads the verdict.
pub fn read_verdict(dir: &Utf8Path) -> Result<Verdict, StoreError> {
    read_json(dir, "verdict.json")
}

/// Reads the schedule.
pub fn read_schedule(dir: &Utf8Path) -> Result<Schedule, StoreError> {
    read_json(dir, "schedule.json")
}

/// The stored logs by name; those that cannot be read are left out, because only people look at them.
pub fn read_logs(dir: &Utf8Path) -> std::collections::BTreeMap<String, String> {
    let entries = dir.join("logs").read_dir_utf8().into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name().strip_suffix(".log")?.to_owned();
            Some((
                name,
                String::from_utf8_lossy(&fs::read(entry.path()).ok()?).into_owned(),
            ))
        })
        .collect()
}

fn read_json<T: DeserializeOwned>(dir: &Utf8Path, name: &str) -> Result<T, StoreError> {
    read_value(&dir.join(name))
}

/// The folders of all trials of a run and its parts, in the order of their names.
///
/// # Errors
/// The run's folder cannot be read.
pub fn trials(run: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StoreError> {
    let mut found = Vec::new();
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |source| StoreError::Read {
            path: folder.clone(),
            source,
        };
        for entry in folder.read_dir_utf8().map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.into_path();
            if path.join("env.json").is_file() {
                found.push(path);
            } else if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a file that holds one value.
///
/// # Errors
/// It is missing or damaged; the error names it and the line.
pub fn read_value<T: DeserializeOwned>(path: &Utf8Path) -> Result<T, StoreError> {
    let text = fs::read(path).map_err(|source| StoreError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|error| StoreError::Corrupt {
        path: path.to_owned(),
        line: error.line(),
        why: error.to_string(),
    })
}
