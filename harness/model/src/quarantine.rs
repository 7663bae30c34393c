//! Scenarios whose known failures do not fail a gate, for a while.
//!
//! Each entry has an owner, an issue, a reason and a last day. A scenario in quarantine still runs, and what becomes of it
//! is shown. Its failure counts all the same if one of its fingerprints is not among those that were recorded, if it fails
//! more often than the entry allows, or after the last day. An entry never covers infra or invalid trials: they say nothing
//! about the pipeline, so there is nothing known that could be waited for.
//!
//! [`Quarantine::parse`] reads the TOML form, with the same care as a topology file. Today's date is an argument.

use std::collections::BTreeSet;

use jiff::civil::Date;
use miette::{Diagnostic, NamedSource};
use serde::{Deserialize, Deserializer, Serialize};
use toml::de::DeTable;

use crate::fingerprint::Fingerprint;
use crate::statistics::{trials_to_see, wilson};
use crate::topology::parse::{Mistake, count, render, shape, spans_of, suggest, syntax};
use crate::verdict::{Kind, Verdict};

/// The most days from an entry's first to its last.
const DAYS: i32 = 90;

/// One scenario in quarantine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The scenario.
    pub scenario: String,
    /// Who mends it.
    pub owner: String,
    /// Where that is followed.
    pub issue: String,
    /// Why it is here.
    pub reason: String,
    /// The first day.
    #[serde(deserialize_with = "date")]
    pub added: Date,
    /// The last day.
    #[serde(deserialize_with = "date")]
    pub expires: Date,
    /// The part of trials that may fail.
    pub max_rate: f64,
    /// The failures that are known.
    pub fingerprints: BTreeSet<Fingerprint>,
}

/// What an entry makes of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "lowercase")]
pub enum Standing {
    /// It passed, or failed in a way that is known: it does not fail the gate.
    Held,
    /// It failed in a way that is not known.
    New {
        /// The fingerprints that the entry does not have.
        fingerprints: Vec<Fingerprint>,
    },
    /// It failed in a way that is known, but with the others of its run more often than the entry allows.
    Exceeded {
        /// How many trials of the scenario have failed.
        failures: u64,
        /// Of how many that say something.
        trials: u64,
    },
    /// The entry's last day is over: nothing is held any more, and the entry itself is an error.
    Expired,
    /// The trial is infra or invalid, which no entry covers.
    Unknown,
}

impl Entry {
    /// Its last day is over.
    pub fn is_expired(&self, today: Date) -> bool {
        today > self.expires
    }

    /// What it makes of a trial that ended with this verdict, by itself.
    pub fn standing(&self, today: Date, verdict: &Verdict) -> Standing {
        if self.is_expired(today) {
            return Standing::Expired;
        }
        match verdict.kind {
            Kind::Pass => Standing::Held,
            Kind::Infra | Kind::Invalid => Standing::Unknown,
            Kind::Hang | Kind::Fail => {
                let mut fingerprints = Fingerprint::all(verdict);
                fingerprints.retain(|fingerprint| !self.fingerprints.contains(fingerprint));
                if fingerprints.is_empty() {
                    Standing::Held
                } else {
                    Standing::New { fingerprints }
                }
            }
        }
    }

    /// The scenario fails more often than it may. The lower end of the interval for its rate has to be above the rate that
    /// is allowed, so that few trials prove nothing.
    pub fn is_exceeded(&self, failures: u64, trials: u64) -> bool {
        wilson(failures, trials).0 > self.max_rate
    }

    /// After so many clean trials in a row the entry should go: had its rate still been the one it allows, a failure would
    /// have been seen with 95 %.
    pub fn clean_enough(&self) -> u64 {
        trials_to_see(self.max_rate)
    }
}

/// Reads a date of TOML, without a time.
fn date<'de, D: Deserializer<'de>>(from: D) -> Result<Date, D::Error> {
    let moment = toml::value::Datetime::deserialize(from)?;
    let plain = moment.time.is_none() && moment.offset.is_none();
    let date = moment.date.filter(|_| plain).and_then(|date| {
        let (year, month, day) = (
            i16::try_from(date.year).ok()?,
            i8::try_from(date.month).ok()?,
            i8::try_from(date.day).ok()?,
        );
        Date::new(year, month, day).ok()
    });
    date.ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{moment}` is no day, expected a date such as 2026-12-24, without a time"
        ))
    })
}

/// All entries, with the text that they were read from.
#[derive(Debug, Clone, Default)]
pub struct Quarantine {
    entries: Vec<Entry>,
    file: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    #[serde(default)]
    entry: Vec<Entry>,
}

/// A quarantine that is refused.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("quarantine `{}` has {}", file.name(), count(mistakes.len()))]
pub struct QuarantineError {
    #[source_code]
    file: NamedSource<String>,
    #[related]
    mistakes: Vec<Mistake>,
}

impl QuarantineError {
    /// The mistakes, in the order of the text.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// The error as text for people: each mistake with its line, at most `width` columns wide, with ANSI colours if
    /// `colours`.
    pub fn render(&self, width: usize, colours: bool) -> String {
        render(self, width, colours)
    }
}

impl Quarantine {
    /// Reads the TOML in `text`; `file` is only shown in errors.
    ///
    /// # Errors
    /// The text is no quarantine, or an entry breaks a rule.
    pub fn parse(file: &str, text: &str) -> Result<Self, QuarantineError> {
        let refused = |mistakes| QuarantineError {
            file: NamedSource::new(file, text.to_owned()),
            mistakes,
        };
        let tree = DeTable::parse(text).map_err(|error| refused(vec![syntax(&error)]))?;
        let entries = Entries::deserialize(toml::de::Deserializer::from(tree.clone()))
            .map_err(|error| refused(vec![shape(&error)]))?
            .entry;
        let mut mistakes = Vec::new();
        let mut seen = BTreeSet::new();
        for (i, entry) in entries.iter().enumerate() {
            mistakes.extend(wrong(tree.get_ref(), i, entry));
            if !seen.insert(&entry.scenario) {
                mistakes.push(mistake(
                    tree.get_ref(),
                    &format!("entry.{i}.scenario"),
                    format!("a second entry for {}", entry.scenario),
                    "each scenario once",
                    "put all fingerprints of a scenario into one entry",
                ));
            }
        }
        mistakes.sort();
        if !mistakes.is_empty() {
            return Err(refused(mistakes));
        }
        Ok(Self {
            entries,
            file: file.to_owned(),
            text: text.to_owned(),
        })
    }

    /// The same, if each entry is about a scenario of the catalogue and has begun: one that begins later would last longer
    /// than it may.
    ///
    /// # Errors
    /// One is not, or has not.
    pub fn check(self, catalogue: &[&str], today: Date) -> Result<Self, QuarantineError> {
        let Ok(tree) = DeTable::parse(&self.text) else {
            return Ok(self);
        };
        let mut mistakes = Vec::new();
        for (i, entry) in self.entries.iter().enumerate() {
            if entry.added > today {
                mistakes.push(mistake(
                    tree.get_ref(),
                    &format!("entry.{i}.added"),
                    format!("it begins on {}, and today is {today}", entry.added),
                    "a day that is not in the future",
                    "the first day is the one on which the entry is written; days are those of UTC",
                ));
            }
            if !catalogue.contains(&entry.scenario.as_str()) {
                mistakes.push(mistake(
                    tree.get_ref(),
                    &format!("entry.{i}.scenario"),
                    format!("unknown scenario `{}`", entry.scenario),
                    "a scenario of the catalogue",
                    // The whole catalogue would be no help.
                    match suggest(&entry.scenario, catalogue) {
                        near if near.starts_with("did you mean") => near,
                        _ => "`harness list` shows them all; remove the entry of one that is gone".to_owned(),
                    },
                ));
            }
        }
        mistakes.sort();
        if mistakes.is_empty() {
            return Ok(self);
        }
        Err(QuarantineError {
            file: NamedSource::new(self.file, self.text),
            mistakes,
        })
    }

    /// The entries, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of a scenario.
    pub fn of(&self, scenario: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.scenario == scenario)
    }

    /// The entries whose last day is over, with the lines that say so.
    pub fn expired(&self, today: Date) -> Vec<(&Entry, usize)> {
        let tree = DeTable::parse(&self.text).ok();
        let line = |i: usize| {
            let tree = tree.as_ref()?.get_ref();
            let (_, value) = spans_of(tree, &format!("entry.{i}.expires"));
            Some(1 + self.text.get(..value.start)?.matches('\n').count())
        };
        let expired = self.entries.iter().enumerate();
        expired
            .filter(|(_, entry)| entry.is_expired(today))
            .map(|(i, entry)| (entry, line(i).unwrap_or(1)))
            .collect()
    }
}

fn mistake(
    tree: &DeTable<'_>,
    path: &str,
    message: String,
    expected: &str,
    help: impl Into<String>,
) -> Mistake {
    Mistake {
        span: spans_of(tree, path).1.into(),
        message,
        expected: expected.to_owned(),
        help: help.into(),
    }
}

/// What is wrong with one entry by itself.
fn wrong(tree: &DeTable<'_>, i: usize, entry: &Entry) -> Vec<Mistake> {
    let mut found = Vec::new();
    let mut add = |key: &str, message: &str, expected: &str, help: &str| {
        let path = format!("entry.{i}.{key}");
        found.push(mistake(tree, &path, message.to_owned(), expected, help));
    };
    for (key, text) in [
        ("scenario", &entry.scenario),
        ("owner", &entry.owner),
        ("issue", &entry.issue),
        ("reason", &entry.reason),
    ] {
        if text.trim().is_empty() {
            add(
                key,
                &format!("`{key}` is empty"),
                "some text",
                "an entry that nobody owns is never mended",
            );
        }
    }
    let days = (entry.expires - entry.added).get_days();
    if days < 0 {
        add(
            "expires",
            "it ends before it begins",
            "a day after `added`",
            "exchange the two days",
        );
    } else if days > DAYS {
        add(
            "expires",
            &format!("it lasts {days} days"),
            "at most 90 days after `added`",
            "take a nearer day; the entry can be renewed when it is looked at again",
        );
    }
    if !(entry.max_rate > 0.0 && entry.max_rate < 1.0) {
        add(
            "max_rate",
            &format!("`{}` is no part of trials that may fail", entry.max_rate),
            "a number between 0 and 1",
            "0.05 means one trial in twenty; what fails always is no flake, and is not waited for",
        );
    }
    if entry.fingerprints.is_empty() {
        add(
            "fingerprints",
            "no failure is known",
            "at least one fingerprint",
            "`harness quarantine propose TRIAL_DIR` shows those of a stored trial",
        );
    }
    found
}

#[cfg(test)]
mod tests;
