//! The page of a run: how many trials ended how, a table of all of them, worst first, and a section for each.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::verdict::{Kind, Verdict};
use maud::{Markup, PreEscaped, html};

use super::frame;
use super::read::Source;
use super::trial::{self, Place};
use crate::report::scene::{clean, plain};
use crate::store::{self, StoreError};

/// A page of so many bytes opens slowly: trials that passed are then no longer drawn, and it says so.
const LARGE: usize = 4_000_000;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// The run cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to show.
    #[error("no trial is stored in {0}")]
    Empty(Utf8PathBuf),
    /// It cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Where to.
        path: Utf8PathBuf,
        /// Cause.
        source: io::Error,
    },
}

/// A page that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// Trials on it.
    pub trials: usize,
    /// Its length in bytes.
    pub bytes: usize,
}

/// One trial in the table.
struct Entry {
    dir: Utf8PathBuf,
    id: String,
    scenario: String,
    part: Option<String>,
    verdict: Option<Verdict>,
    anchor: String,
}

/// Writes the page about the run or the trial in `run` to `out`, or into the folder. What a scenario shows is asked of
/// `doc`.
///
/// # Errors
/// There is no trial, or the page cannot be written. What is damaged in a trial is said on the page.
pub fn write(
    run: &Utf8Path,
    doc: &dyn Fn(&str) -> Option<String>,
    out: Option<&Utf8Path>,
) -> Result<Page, Why> {
    let run = run.canonicalize_utf8().map_err(|source| StoreError::Read {
        path: run.to_owned(),
        source,
    })?;
    let dirs = if run.join("env.json").is_file() {
        vec![run.clone()]
    } else {
        store::trials(&run)?
    };
    if dirs.is_empty() {
        return Err(Why::Empty(run));
    }
    let path = out.map_or_else(|| run.join("report.html"), Utf8Path::to_owned);
    let cannot = |source| Why::Write {
        path: path.clone(),
        source,
    };
    let base = camino::absolute_utf8(&path).map_err(cannot)?;
    let base = base.parent().unwrap_or(&run).to_owned();
    let mut entries: Vec<_> = dirs.into_iter().map(|dir| entry(&run, dir)).collect();
    entries.sort_by_cached_key(|entry| (std::cmp::Reverse(rank(entry.verdict.as_ref())), entry.id.clone()));
    let (title, head) = head(&run, &entries);
    let mut text = head.into_string();
    for entry in &entries {
        let place = Place {
            anchor: entry.anchor.clone(),
            doc: doc(&entry.scenario),
            again: entry.dir.to_string(),
            alone: entries.len() == 1,
            folder: entry.dir.strip_prefix(&base).map_or_else(
                |_| format!("file://{}", entry.dir),
                |below| {
                    if below.as_str().is_empty() {
                        ".".to_owned()
                    } else {
                        below.to_string()
                    }
                },
            ),
        };
        if text.len() > LARGE && rank(entry.verdict.as_ref()).0 == 0 {
            text.push_str(&undrawn(entry, &place).into_string());
            continue;
        }
        // One at a time: a ledger may be large.
        text.push_str(&trial::section(&Source::read(&run, &entry.dir), &place).into_string());
    }
    let text = frame::page(&title, "trials", &PreEscaped(text));
    fs::write(&path, &text).map_err(cannot)?;
    Ok(Page {
        path,
        trials: entries.len(),
        bytes: text.len(),
    })
}

/// The section of a trial that passed and for which there is no room.
fn undrawn(entry: &Entry, place: &Place) -> Markup {
    html! {
        section.trial id=(entry.anchor) aria-labelledby={ (entry.anchor) "-h" } {
            h2 id={ (entry.anchor) "-h" } {
                span class={ "badge " (trial::look(entry.verdict.as_ref())) } { "pass" } " " (plain(&entry.scenario))
            }
            p {
                "Not drawn: it passed, and this page has " (LARGE / 1_000_000) " MB by now. Its evidence is in "
                a href=(place.folder) { (place.folder) } ", and "
                code { "harness report " (place.again) } " draws it."
            }
        }
    }
}

fn entry(run: &Utf8Path, dir: Utf8PathBuf) -> Entry {
    let id = dir
        .strip_prefix(run)
        .map_or_else(|_| dir.to_string(), ToString::to_string);
    let name = dir.file_name().unwrap_or_default();
    let scenario =
        store::read_about(&dir).map_or_else(|_| name.replacen('.', "::", 1), |about| about.scenario);
    let anchor = id.chars().map(|c| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    });
    Entry {
        anchor: format!("trial-{}", anchor.collect::<String>()),
        part: id.rsplit_once('/').map(|(part, _)| part.to_owned()),
        verdict: store::read_verdict(&dir).ok(),
        scenario,
        id,
        dir,
    }
}

/// Worst first; a trial without a verdict is nearly as bad as one that failed.
fn rank(verdict: Option<&Verdict>) -> (u8, usize) {
    let findings = verdict.map_or(0, |verdict| verdict.findings.len());
    let kind = match verdict.map(|verdict| verdict.kind) {
        Some(Kind::Fail) => 5,
        Some(Kind::Hang) => 4,
        None => 3,
        Some(Kind::Infra) => 2,
        Some(Kind::Invalid) => 1,
        Some(Kind::Pass) => 0,
    };
    (kind, findings)
}

/// The title, and what comes before the trials.
fn head(run: &Utf8Path, entries: &[Entry]) -> (String, Markup) {
    let name = plain(run.file_name().unwrap_or("run"));
    let mut counts: BTreeMap<_, (usize, &str, &str)> = BTreeMap::new();
    for entry in entries {
        let verdict = entry.verdict.as_ref();
        let place = std::cmp::Reverse(rank(verdict).0);
        let count = counts
            .entry(place)
            .or_insert((0, trial::word(verdict), trial::look(verdict)));
        count.0 += 1;
    }
    let said: Vec<_> = counts
        .values()
        .map(|(n, word, _)| format!("{n} {word}"))
        .collect();
    let head = html! {
        header #top {
            h1 { "Run " (name) }
            (frame::counts(counts.values().copied()))
        }
        (table(entries))
    };
    (format!("{} · {name}", said.join(", ")), head)
}

fn table(entries: &[Entry]) -> Markup {
    let parts = entries.iter().any(|entry| entry.part.is_some());
    html! {
        nav #trials aria-label="Trials" {
            div.scroll tabindex="0" role="region" aria-label="All trials, worst first" {
                table.stack {
                    thead { tr {
                        th scope="col" { "verdict" }
                        th scope="col" { "trial" }
                        @if parts { th scope="col" { "part" } }
                        th.num scope="col" { "took" }
                        th scope="col" { "worst finding" }
                    } }
                    tbody { @for entry in entries {
                        @let verdict = entry.verdict.as_ref();
                        tr {
                            td { span class={ "badge " (trial::look(verdict)) } { (trial::word(verdict)) } }
                            th scope="row" { a href={ "#" (entry.anchor) } { (plain(&entry.scenario)) } }
                            @if parts { td data-is="part" { (plain(entry.part.as_deref().unwrap_or("-"))) } }
                            td.num data-is="took" { @if let Some(verdict) = verdict { (format!("{:.1} s", verdict.timings.total().as_secs_f64())) } }
                            td data-is="worst" { @if let Some(worst) = verdict.and_then(|verdict| verdict.findings.first()) {
                                b { (plain(&worst.rule)) } " " (clean(worst.what.lines().next().unwrap_or_default()))
                            } }
                        }
                    } }
                }
            }
        }
    }
}
