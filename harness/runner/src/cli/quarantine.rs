//! `harness quarantine`: what is held, whether it may still be, and what an entry would look like.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::iter::repeat_n;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::fingerprint::Fingerprint;
use harness_model::quarantine::Entry;
use harness_model::verdict::Kind;
use jiff::ToSpan;

use super::args::QuarantineCommand;
use super::{unwritable, ward};
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::kit::Kit;
use crate::quarantine::Ward;
use crate::store;
use crate::sweep::{STORED, history, merge};

pub(super) fn run<K: Kit>(
    kit: &K,
    settings: &Settings,
    command: QuarantineCommand,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    match command {
        QuarantineCommand::List => list(&ward(kit, settings)?, &settings.out_dir(), out),
        QuarantineCommand::Check => check(&ward(kit, settings)?, out),
        QuarantineCommand::Propose { dir, owner, issue } => {
            let today = crate::quarantine::today();
            propose(&dir, owner, issue, today, out)
        }
    }
}

/// Each entry with its last day and the clean trials that are stored of it since its last failure.
fn list(ward: &Ward, runs: &Utf8Path, out: &mut dyn Write) -> Result<Exit, Refusal> {
    let mut text = String::new();
    for entry in ward.list.entries() {
        let (clean, enough) = (clean_streak(runs, &entry.scenario), entry.clean_enough());
        let state = if entry.is_expired(ward.today) {
            "expired on"
        } else {
            "until"
        };
        _ = write!(
            text,
            "{}  {state} {}, {}, {}\n    {}\n    {clean} clean trials in a row are stored; {}\n",
            entry.scenario,
            entry.expires,
            entry.owner,
            entry.issue,
            entry.reason,
            if clean >= enough {
                format!("{enough} are enough: remove the entry")
            } else {
                format!("after {enough} the entry should go")
            }
        );
    }
    if text.is_empty() {
        text.push_str("nothing is in quarantine\n");
    }
    out.write_all(text.as_bytes()).map_err(unwritable)?;
    Ok(Exit::Passed)
}

/// How many trials of a scenario have passed since the last one that did not, by what is stored and by the history of
/// sweeps. What cannot be read ends the streak: nobody knows what it was.
fn clean_streak(runs: &Utf8Path, scenario: &str) -> u64 {
    let mut streak = 0;
    for ended in newest_first(runs, scenario) {
        match ended {
            Some(Kind::Pass) => streak += 1,
            Some(Kind::Infra | Kind::Invalid) => {}
            Some(Kind::Fail | Kind::Hang) | None => break,
        }
    }
    streak
}

/// How the trials of a scenario have ended, the newest first; nothing for one of which that is not known. The history
/// tells of sweeps that are not stored any more.
fn newest_first(runs: &Utf8Path, scenario: &str) -> Vec<Option<Kind>> {
    let stored = runs.read_dir_utf8().into_iter().flatten().flatten();
    let mut stored: Vec<_> = stored
        .map(camino::Utf8DirEntry::into_path)
        .filter(|path| !path.is_symlink() && path.join(store::MARKER).is_file())
        .collect();
    stored.sort();
    let mut seen = BTreeSet::new();
    let mut past: Vec<(String, Vec<Option<Kind>>)> = Vec::new();
    // Shards come after the sweep that they were merged into, which has all of their trials.
    for run in stored.iter().rev() {
        let id = run.file_name().unwrap_or_default().to_owned();
        if seen.insert(id.clone()) {
            let ended = if run.join(STORED).is_file() {
                of_sweep(run, scenario, &mut seen)
            } else {
                of_run(run, scenario)
            };
            past.push((id, ended));
        }
    }
    let (history, _) = history::read(&runs.join(history::FILE)).unwrap_or_default();
    for line in history {
        let newest = line.runs.iter().max().cloned().unwrap_or_default();
        if let Some(counts) = line.scenarios.get(scenario)
            && !line.runs.iter().any(|run| seen.contains(run))
        {
            // When it has failed among those that passed is not known.
            let failed = (counts.failed > 0).then_some(Some(Kind::Fail));
            let passed = repeat_n(Some(Kind::Pass), counts.passed as usize);
            past.push((newest, failed.into_iter().chain(passed).collect()));
        }
    }
    past.sort_by(|(a, _), (b, _)| b.cmp(a));
    past.into_iter().flat_map(|(_, ended)| ended).collect()
}

/// The trials of a sweep, of which not all are kept; the runs that it is made of are `seen` with it.
fn of_sweep(run: &Utf8Path, scenario: &str, seen: &mut BTreeSet<String>) -> Vec<Option<Kind>> {
    let Ok(sweep) = merge::read(run) else {
        return vec![None];
    };
    seen.extend(sweep.runs);
    let of = sweep.records.iter().filter(|record| record.scenario == scenario);
    let mut of: Vec<_> = of.collect();
    of.sort_by_key(|record| Reverse(record.n));
    of.iter().map(|record| Some(record.verdict)).collect()
}

/// The trials of a run, but for those in its parts: they had a planted bug, or were points of the grid.
fn of_run(run: &Utf8Path, scenario: &str) -> Vec<Option<Kind>> {
    let dirs = store::trials(run).unwrap_or_default();
    let ours = |dir: &&Utf8PathBuf| {
        dir.parent() == Some(run) && store::read_about(dir).is_ok_and(|about| about.scenario == scenario)
    };
    let mut dirs: Vec<_> = dirs.iter().filter(ours).collect();
    dirs.sort_by_key(|dir| Reverse(number(dir)));
    let ended = |dir: &&Utf8PathBuf| store::read_verdict(dir).ok().map(|verdict| verdict.kind);
    dirs.iter().map(ended).collect()
}

/// Which trial of its scenario it was, in the order in which they began: `family.name`, `family.name.2` and so on.
fn number(dir: &Utf8Path) -> u32 {
    let last = dir.file_name().and_then(|name| name.rsplit_once('.'));
    last.and_then(|(_, number)| number.parse().ok()).unwrap_or(1)
}

/// Red if an entry's last day is over.
fn check(ward: &Ward, out: &mut dyn Write) -> Result<Exit, Refusal> {
    let expired = ward.list.expired(ward.today);
    for (entry, line) in &expired {
        writeln!(
            out,
            "{}:{line}: the quarantine of {} has expired on {}; {} has to mend it, renew the entry or remove it ({})",
            ward.file, entry.scenario, entry.expires, entry.owner, entry.issue
        )
        .map_err(unwritable)?;
    }
    let count = ward.list.entries().len();
    writeln!(out, "{count} in quarantine, {} expired", expired.len()).map_err(unwritable)?;
    Ok(if expired.is_empty() {
        Exit::Passed
    } else {
        Exit::Failed
    })
}

/// An entry for what a stored trial shows, to be completed by a person.
fn propose(
    dir: &Utf8PathBuf,
    owner: String,
    issue: String,
    today: jiff::civil::Date,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    let (about, verdict) = (store::read_about(dir)?, store::read_verdict(dir)?);
    let fingerprints: BTreeSet<_> = Fingerprint::all(&verdict).into_iter().collect();
    if fingerprints.is_empty() {
        return Err(Refusal::config(format!(
            "{dir} is {}: there is no failure to wait for",
            verdict.kind.word()
        )));
    }
    let entry = Entry {
        scenario: about.scenario,
        owner,
        issue,
        reason: verdict.findings[0]
            .what
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
        added: today,
        expires: today.saturating_add(30.days()),
        max_rate: 0.05,
        fingerprints,
    };
    write!(out, "{}", written(&entry)).map_err(unwritable)?;
    Ok(Exit::Passed)
}

/// An entry as TOML. The strings are written as JSON has them, which TOML reads alike.
fn written(entry: &Entry) -> String {
    let text = |text: &str| serde_json::Value::from(crate::report::scene::plain(text)).to_string();
    let prints = entry.fingerprints.iter().map(|print| text(&print.to_string()));
    let prints: Vec<_> = prints.collect();
    format!(
        "[[entry]]\nscenario = {}\nowner = {}\nissue = {}\nreason = {}\nadded = {}\nexpires = {}\nmax_rate = {}\n\
         fingerprints = [\n    {},\n]\n",
        text(&entry.scenario),
        text(&entry.owner),
        text(&entry.issue),
        text(&entry.reason),
        entry.added,
        entry.expires,
        entry.max_rate,
        prints.join(",\n    ")
    )
}
