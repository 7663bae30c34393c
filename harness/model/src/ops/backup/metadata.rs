//! What a backup says of itself: `current/cleanapp_all.metadata.json`.
//!
//! Rule `backup-metadata`: [`Metadata::parse`] finds what is missing or of the wrong type, all of it at once;
//! [`Metadata::is_true`] finds what is not so, as far as the caller knows better.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ops::fail;
use crate::verdict::Finding;

/// The metadata is complete and true.
pub const TRUE: &str = "backup-metadata";

/// How far the duration may be off: both times are written in whole seconds.
const ROUNDING_S: i64 = 1;

/// The metadata of one backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The environment, such as `prod`.
    pub env: String,
    /// Name of the object that it is about.
    pub object: String,
    /// When the dump began.
    pub started_utc: Timestamp,
    /// When it had ended.
    pub finished_utc: Timestamp,
    /// How long it took.
    pub duration_seconds: u64,
    /// Size of the object.
    pub size_bytes: u64,
    /// Rows by table, inside the dump's snapshot.
    pub row_counts: BTreeMap<String, u64>,
    /// Checksums by table, inside the dump's snapshot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checksums: BTreeMap<String, String>,
}

/// What the caller knows of a backup. What is absent is not compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The environment.
    pub env: Option<&'a str>,
    /// Name of the object, or the end of it after a slash.
    pub object: Option<&'a str>,
    /// Size of the object.
    pub size_bytes: Option<u64>,
    /// Rows by table in the source, at about that time.
    pub source: Option<&'a BTreeMap<String, u64>>,
    /// The time at which it is looked at.
    pub now: Option<Timestamp>,
    /// When the script that wrote it was started, and when it had ended.
    pub ran: Option<(Timestamp, Timestamp)>,
}

impl Metadata {
    /// Reads the file.
    ///
    /// # Errors
    /// A finding for each field that is missing or of the wrong type.
    pub fn parse(file: &str, json: &str) -> Result<Self, Vec<Finding>> {
        let say = |what: String| fail(TRUE, format!("{file}: {what}"));
        let fields: Map<String, Value> = serde_json::from_str(json)
            .map_err(|error| vec![say(format!("it is no JSON object: {error}"))])?;
        let mut findings = Vec::new();
        for (key, expected, is) in FIELDS {
            match fields.get(*key) {
                None | Some(Value::Null) => {
                    findings.push(say(format!("it has no {key}; expected {expected}")));
                }
                Some(value) if !is(value) => {
                    findings.push(say(format!("{key} is {value}; expected {expected}")));
                }
                Some(_) => {}
            }
        }
        if let Some(Value::Object(counts)) = fields.get("row_counts") {
            for (table, count) in counts.iter().filter(|(_, count)| !count.is_u64()) {
                findings.push(say(format!(
                    "row_counts.{table} is {count}; expected a whole number of rows"
                )));
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        serde_json::from_value(Value::Object(fields)).map_err(|error| vec![say(error.to_string())])
    }

    /// Rule `backup-metadata`: what is not so.
    pub fn is_true(&self, file: &str, known: &Known<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut say = |what: String| findings.push(fail(TRUE, format!("{file}: {what}")));
        if let Some(env) = known.env.filter(|env| *env != self.env) {
            say(format!("env is {}; expected {env}", self.env));
        }
        if let Some(object) = known.object
            && self.object != object
            && !self.object.ends_with(&format!("/{object}"))
        {
            say(format!("object is {}; expected {object}", self.object));
        }
        if let Some(size) = known.size_bytes.filter(|size| *size != self.size_bytes) {
            say(format!(
                "size_bytes is {}; the object has {size} bytes",
                self.size_bytes
            ));
        }
        let took = self.finished_utc.duration_since(self.started_utc);
        let said = i64::try_from(self.duration_seconds).unwrap_or(i64::MAX);
        if took < SignedDuration::ZERO {
            let (started, finished) = (self.started_utc, self.finished_utc);
            say(format!(
                "finished_utc is {finished}, before started_utc, {started}"
            ));
        } else if took.as_secs().abs_diff(said) > ROUNDING_S.unsigned_abs() {
            let seconds = took.as_secs();
            say(format!(
                "duration_seconds is {said}; from started_utc to finished_utc it is {seconds}"
            ));
        }
        if let Some(now) = known.now.filter(|now| self.finished_utc > *now) {
            say(format!(
                "finished_utc is {}, which is in the future; it is {now}",
                self.finished_utc
            ));
        }
        if let Some((begin, end)) = known.ran {
            let slack = SignedDuration::from_secs(ROUNDING_S);
            for (key, at) in [
                ("started_utc", self.started_utc),
                ("finished_utc", self.finished_utc),
            ] {
                if begin.duration_since(at) > slack || at.duration_since(end) > slack {
                    say(format!("{key} is {at}; the backup ran from {begin} to {end}"));
                }
            }
        }
        if self.row_counts.is_empty() {
            say("row_counts names no table".to_owned());
        }
        for (table, rows) in known.source.into_iter().flatten() {
            match self.row_counts.get(table) {
                None => say(format!(
                    "row_counts has no {table}; the source has {rows} rows of it"
                )),
                Some(0) if *rows > 0 => say(format!("row_counts.{table} is 0; the source has {rows} rows")),
                Some(_) => {}
            }
        }
        findings
    }
}

/// A field: its name, what is expected, and whether a value is that.
type Field = (&'static str, &'static str, fn(&Value) -> bool);

const FIELDS: &[Field] = &[
    ("env", "the name of the environment", is_text),
    ("object", "the name of the object", is_text),
    ("started_utc", "a time such as 2026-11-24T03:00:00Z", is_time),
    ("finished_utc", "a time such as 2026-11-24T03:00:00Z", is_time),
    ("duration_seconds", "a whole number of seconds", Value::is_u64),
    ("size_bytes", "a whole number of bytes", Value::is_u64),
    ("row_counts", "rows by table", Value::is_object),
];

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn is_time(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.parse::<Timestamp>().is_ok())
}
