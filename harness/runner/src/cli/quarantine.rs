//! `harness quarantine`: what is held, whether it may still be, and what an entry would look like.

use std::fmt::Write as _;
use std::io::Write;

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

/// How many trials of a scenario have passed since the last one that did not, newest first. A run that cannot be read
/// ends the streak: nobody knows what it was.
fn clean_streak(runs: &Utf8Path, scenario: &str) -> u64 {
    let runs = runs.read_dir_utf8().into_iter().flatten().flatten();
    let mut runs: Vec<_> = runs
        .map(camino::Utf8DirEntry::into_path)
        .filter(|path| !path.is_symlink() && path.join(store::MARKER).is_file())
        .collect();
    runs.sort();
    let mut streak = 0;
    for run in runs.iter().rev() {
        for dir in store::trials(run).unwrap_or_default() {
            // A trial in a part of a run had a planted bug, or was a point of the grid.
            let ours = dir.parent() == Some(run.as_path())
                && store::read_about(&dir).is_ok_and(|about| about.scenario == scenario);
            if !ours {
                continue;
            }
            match store::read_verdict(&dir).map(|verdict| verdict.kind) {
                Ok(Kind::Pass) => streak += 1,
                Ok(Kind::Infra | Kind::Invalid) => {}
                _ => return streak,
            }
        }
    }
    streak
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
    let fingerprints: std::collections::BTreeSet<_> = Fingerprint::all(&verdict).into_iter().collect();
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
