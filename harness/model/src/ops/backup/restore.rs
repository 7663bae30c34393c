//! Whether what was restored is what was dumped.
//!
//! Rule `restore-equal`. [`archive`]: the object can be unpacked to its end. [`equal`]: rows and checksums of every table,
//! triggers, routines and events are those of the source's snapshot, so one row that is missing or changed is found however
//! large the table is. [`counts`] is the weaker comparison for backups that have no checksums: rows against the metadata,
//! within a tolerance.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ops::fail;
use crate::verdict::Finding;

/// What was restored is what was dumped.
pub const EQUAL: &str = "restore-equal";

/// By how much counts may differ, in percent (`ROW_COUNT_TOLERANCE_PCT`).
pub const TOLERANCE_PCT: f64 = 0.2;

/// What databases hold, as far as it is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Tables, as `database.table` or as the caller names them.
    #[serde(default)]
    pub tables: BTreeMap<String, Table>,
    /// Names of triggers.
    #[serde(default)]
    pub triggers: BTreeSet<String>,
    /// Names of procedures and functions.
    #[serde(default)]
    pub routines: BTreeSet<String>,
    /// Names of events.
    #[serde(default)]
    pub events: BTreeSet<String>,
}

/// A table, as far as it is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its rows.
    pub rows: u64,
    /// A checksum over all of them.
    pub checksum: String,
}

/// What came of unpacking a backup's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unpacked {
    /// It was unpacked to its end, to so many bytes, of which this is the last line that is not empty.
    Whole {
        /// Bytes of the dump.
        bytes: u64,
        /// Its last line.
        last_line: String,
    },
    /// The stream ended in the middle of the archive.
    Truncated {
        /// Bytes of the dump until there.
        after: u64,
    },
    /// The archive is damaged.
    Corrupted {
        /// Bytes of the dump until there.
        after: u64,
        /// What the unpacker says.
        cause: String,
    },
}

/// Rule `restore-equal`, for the object itself. A dump ends with a line that says so.
pub fn archive(object: &str, unpacked: &Unpacked) -> Vec<Finding> {
    let what = match unpacked {
        Unpacked::Truncated { after } => format!(
            "{object}: the stream is truncated: the archive ends in the middle, after {after} bytes of the dump"
        ),
        Unpacked::Corrupted { after, cause } => {
            format!("{object}: the archive is corrupted after {after} bytes of the dump: {cause}")
        }
        Unpacked::Whole { bytes: 0, .. } => format!("{object}: the archive holds nothing; expected a dump"),
        Unpacked::Whole { last_line, .. } if last_line.starts_with("-- Dump completed") => return Vec::new(),
        Unpacked::Whole { bytes, .. } => format!(
            "{object}: the dump of {bytes} bytes does not end with `-- Dump completed`: whoever wrote it died before its end"
        ),
    };
    vec![fail(EQUAL, what)]
}

/// Rule `restore-equal`, by checksum.
pub fn equal(source: &Contents, restored: &Contents) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |what: String| findings.push(fail(EQUAL, what));
    for (name, was) in &source.tables {
        match restored.tables.get(name) {
            None => say(format!(
                "table {name} is missing; expected its {}",
                rows(was.rows)
            )),
            Some(is) if is.rows < was.rows => {
                let missing = rows(was.rows - is.rows);
                say(format!(
                    "table {name}: {missing} missing: {} restored, {} in the dump",
                    is.rows, was.rows
                ));
            }
            Some(is) if is.rows > was.rows => {
                let more = rows(is.rows - was.rows);
                say(format!(
                    "table {name}: {more} too many: {} restored, {} in the dump",
                    is.rows, was.rows
                ));
            }
            Some(is) if is.checksum != was.checksum => say(format!(
                "table {name}: it has its {}, but at least one is changed: checksum {}, expected {}",
                rows(was.rows),
                is.checksum,
                was.checksum
            )),
            Some(_) => {}
        }
    }
    for name in restored
        .tables
        .keys()
        .filter(|name| !source.tables.contains_key(*name))
    {
        say(format!(
            "table {name} was restored and is not in the dump's source"
        ));
    }
    let kinds = [
        ("trigger", &source.triggers, &restored.triggers),
        ("routine", &source.routines, &restored.routines),
        ("event", &source.events, &restored.events),
    ];
    for (kind, was, is) in kinds {
        for name in was.difference(is) {
            say(format!("{kind} {name} is missing"));
        }
        for name in is.difference(was) {
            say(format!(
                "{kind} {name} was restored and is not in the dump's source"
            ));
        }
    }
    findings
}

/// Rule `restore-equal`, by count: `expected` is what the metadata says. An expected zero demands zero.
pub fn counts(
    expected: &BTreeMap<String, u64>,
    restored: &BTreeMap<String, u64>,
    tolerance_pct: f64,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (table, wanted) in expected {
        let Some(found) = restored.get(table) else {
            let wanted = rows(*wanted);
            findings.push(fail(
                EQUAL,
                format!("table {table} is missing; expected its {wanted}"),
            ));
            continue;
        };
        let off = wanted.abs_diff(*found);
        if off as f64 > *wanted as f64 * tolerance_pct / 100.0 {
            let percent = off as f64 * 100.0 / (*wanted).max(1) as f64;
            let how = if *wanted == 0 {
                "an expected zero demands zero".to_owned()
            } else {
                format!("{off} off, {percent:.3} %, expected at most {tolerance_pct} %")
            };
            let what = format!("table {table}: {found} rows restored, the metadata says {wanted}: {how}");
            findings.push(fail(EQUAL, what));
        }
    }
    findings
}

fn rows(count: u64) -> String {
    if count == 1 {
        "1 row".to_owned()
    } else {
        format!("{count} rows")
    }
}
