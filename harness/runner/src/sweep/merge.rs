//! Adds up the shards of a sweep.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::{STORED, Sweep};
use crate::exit::Refusal;
use crate::store;

/// Reads what a run's folder has stored.
///
/// # Errors
/// It is missing or damaged.
pub(crate) fn read(dir: &Utf8Path) -> Result<Sweep, Refusal> {
    Ok(store::read_value(&dir.join(STORED))?)
}

/// The folder itself, if a sweep is stored in it; else those of its runs in which one is.
fn runs(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Refusal> {
    if dir.join(STORED).is_file() {
        return Ok(vec![dir.to_owned()]);
    }
    let entries = dir.read_dir_utf8();
    let entries = entries.map_err(|error| Refusal::config(format!("{dir}: {error}")))?;
    let mut found: Vec<_> = entries
        .flatten()
        .filter(|entry| !entry.path().is_symlink() && entry.path().join(STORED).is_file())
        .map(camino::Utf8DirEntry::into_path)
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(Refusal::config(format!("no sweep is stored in {dir}")));
    }
    Ok(found)
}

/// The folders that runs are in, by their ids.
pub(crate) type Folders = BTreeMap<String, Utf8PathBuf>;

/// The sweep that the shards in these folders make, and where their runs are.
///
/// # Errors
/// One cannot be read, is of another sweep than the first, or is there twice.
pub(crate) fn merge(dirs: &[Utf8PathBuf]) -> Result<(Sweep, Folders), Refusal> {
    let mut merged: Option<(&Utf8Path, Sweep)> = None;
    let mut folders = Folders::new();
    let runs: Vec<_> = dirs.iter().map(|dir| runs(dir)).collect::<Result<_, _>>()?;
    for dir in runs.iter().flatten() {
        let shard = read(dir)?;
        for run in &shard.runs {
            folders.insert(run.clone(), folder(dir, &shard, run));
        }
        match &mut merged {
            None => merged = Some((dir, shard)),
            Some((first, merged)) => add(merged, shard).map_err(|why| {
                Refusal::config(format!("{dir} and {first} are not shards of one sweep: {why}"))
            })?,
        }
    }
    let (_, mut merged) = merged.ok_or_else(|| Refusal::config("there is nothing to merge"))?;
    merged.sort();
    Ok((merged, folders))
}

/// Where a run is of what is stored in `dir`: there, or beside it if that is a sweep which was merged before.
fn folder(dir: &Utf8Path, stored: &Sweep, run: &str) -> Utf8PathBuf {
    let beside = dir.parent().map(|parent| parent.join(run));
    match beside.filter(|_| stored.runs.len() > 1) {
        Some(beside) => beside,
        None => dir.to_owned(),
    }
}

fn add(merged: &mut Sweep, shard: Sweep) -> Result<(), String> {
    let differ = |what: &str, one: &dyn std::fmt::Display, other: &dyn std::fmt::Display| {
        Err(format!("{what} {one}, and {other}"))
    };
    if merged.revision != shard.revision {
        return differ("revision", &shard.revision, &merged.revision);
    }
    if merged.seed != shard.seed {
        return differ("seed", &shard.seed, &merged.seed);
    }
    if merged.trials != shard.trials {
        return differ("trials", &shard.trials, &merged.trials);
    }
    if merged.axes != shard.axes {
        return Err("they vary different things".to_owned());
    }
    if merged.asked != shard.asked {
        return Err("they were asked for different scenarios".to_owned());
    }
    let of = |sweep: &Sweep| sweep.shards.first().map(|shard| shard.of);
    if of(merged) != of(&shard) {
        return Err("they are cut into a different number of shards".to_owned());
    }
    if let Some(twice) = merged.shards.intersection(&shard.shards).next() {
        return Err(format!("shard {}/{} is there twice", twice.part, twice.of));
    }
    let tried: BTreeSet<_> = merged.counts().into_keys().map(str::to_owned).collect();
    let records = shard.records.iter().map(|record| &record.scenario);
    let has = |name: &&String| merged.dealt.contains(*name) || tried.contains(*name);
    if let Some(twice) = shard.dealt.iter().chain(records).find(has) {
        return Err(format!("both have {twice}"));
    }
    merged.dealt.extend(shard.dealt);
    merged.runs.extend(shard.runs);
    merged.shards.extend(shard.shards);
    merged.records.extend(shard.records);
    merged.suspects.extend(shard.suspects);
    Ok(())
}

/// Shards that are not there.
pub(crate) fn missing(sweep: &Sweep) -> Vec<u32> {
    let of = sweep.shards.first().map_or(1, |shard| shard.of);
    let there = |part: &u32| sweep.shards.iter().any(|shard| shard.part == *part);
    (1..=of).filter(|part| !there(part)).collect()
}
