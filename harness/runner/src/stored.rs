//! Stored runs, read back as what reporters show: for forms that are written after the run, by another process.
//!
//! Shards of one run, and processes of one nextest run, leave trials in folders; this puts them together again. A folder
//! whose trial was killed before its verdict is told as infra: it began, and nobody knows how it would have ended.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::verdict::{Finding, Kind, Verdict};
use jiff::Timestamp;

use crate::kit::Kit;
use crate::quarantine::Ward;
use crate::report::Finished;
use crate::report::forms::{Told, places};
use crate::report::scene::Scene;
use crate::run;
use crate::store::{self, StoreError};

/// Reads runs, or folders with runs in them, as one. Scenarios that `expected` selects and that left no trial are
/// missing.
///
/// # Errors
/// A folder cannot be read, or a file in it is damaged.
pub(crate) fn told<K: Kit>(
    kit: &K,
    ward: &Ward,
    runs: &[Utf8PathBuf],
    expected: Option<&[String]>,
) -> Result<Told, StoreError> {
    let mut finished = Vec::new();
    let mut names = BTreeSet::new();
    let (mut start, mut stop) = (None, None);
    for folder in runs {
        let folder = folder.canonicalize_utf8().unwrap_or_else(|_| folder.clone());
        for dir in store::trials(&folder)? {
            let run = run_of(&dir, &folder);
            names.insert(run.file_name().unwrap_or_default().to_owned());
            let began = modified(&run.join(store::MARKER)).or_else(|| modified(&dir.join("env.json")));
            start = start.into_iter().chain(began).min();
            stop = stop.into_iter().chain(modified(&dir.join("verdict.json"))).max();
            finished.push(trial(ward, &dir, run)?);
        }
    }
    finished.sort_by(|a, b| a.dir.cmp(&b.dir));
    ward.limit(&mut finished);
    let ran: BTreeSet<_> = finished.iter().map(|ended| ended.scenario.as_str()).collect();
    let catalogue = kit.catalogue();
    let missing = catalogue.iter().filter(|scenario| {
        expected.is_some_and(|filters| run::selects(filters, false, scenario.name))
            && !ran.contains(scenario.name)
    });
    let missing = missing.map(|scenario| scenario.name.to_owned()).collect();
    let took = start.zip(stop).map(|(start, stop)| stop.duration_since(start));
    Ok(Told {
        run: names.into_iter().collect::<Vec<_>>().join(", "),
        start: start
            .and_then(|time| Timestamp::try_from(time).ok())
            .unwrap_or(Timestamp::UNIX_EPOCH),
        took: took.and_then(Result::ok).unwrap_or(Duration::ZERO),
        finished,
        missing,
        places: places(catalogue),
    })
}

fn modified(path: &Utf8Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// The run that a trial belongs to, by its marker; without one it is the folder that was named.
fn run_of<'a>(dir: &'a Utf8Path, named: &'a Utf8Path) -> &'a Utf8Path {
    let marked = dir
        .ancestors()
        .find(|folder| folder.join(store::MARKER).is_file());
    marked.unwrap_or(named)
}

fn trial(ward: &Ward, dir: &Utf8Path, run: &Utf8Path) -> Result<Finished, StoreError> {
    let about = store::read_about(dir)?;
    let verdict = if dir.join("verdict.json").is_file() {
        store::read_verdict(dir)?
    } else {
        let what = "it was ended before it had a verdict".to_owned();
        let mut findings = about.course.clone();
        findings.push(Finding::new(Kind::Infra, "store", what));
        Verdict::of(findings)
    };
    let scene = if verdict.kind == Kind::Pass {
        Scene::default()
    } else {
        // What was collected of it, if anything was.
        let stored = store::read(dir).ok();
        stored.map_or_else(Scene::default, |stored| {
            Scene::cut(&verdict.findings, &stored.evidence, &store::read_logs(dir))
        })
    };
    Ok(Finished {
        trial: dir.strip_prefix(run).unwrap_or(dir).to_string(),
        quarantine: ward.standing(&about.scenario, &verdict),
        scenario: about.scenario,
        seed: about.seed,
        dir: dir.to_owned(),
        verdict,
        scene,
    })
}

/// Does `work` while no other process does the same for this run: each of them writes the same files.
///
/// # Errors
/// The lock cannot be taken, or what `work` says.
pub(crate) fn alone<T>(
    run: &Utf8Path,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let path = run.join(".forms");
    let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
    let lock = lock.map_err(store::write_error(&path))?;
    let done = work();
    // It is given back with the file.
    drop(lock);
    done
}
