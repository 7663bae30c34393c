//! What is left by a backup that fails, by a week, and by a drill.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::week;
use crate::verdict::{Finding, Kind};

/// A backup that fails leaves the last good one as it was.
pub const ATOMIC: &str = "backup-atomic";
/// Weekly copies are where they belong.
pub const WEEKLY: &str = "backup-weekly";
/// A restore drill leaves nothing behind.
pub const CLEAN: &str = "drill-clean";

/// The last good backup, as the store lists it with its generations, is the same before and after one that has failed.
pub fn unchanged(before: &str, after: &str) -> Vec<Finding> {
    if before == after {
        return Vec::new();
    }
    let what = if after.trim().is_empty() {
        format!(
            "a backup that failed has removed the last good one:\n{}",
            before.trim_end()
        )
    } else {
        format!(
            "a backup that failed has changed the last good one:\n{}\nbecame\n{}",
            before.trim_end(),
            after.trim_end()
        )
    };
    vec![Finding::new(Kind::Fail, ATOMIC, what)]
}

/// The weekly copies that a backup of this day (UTC) makes of these objects, whose folder is `current/`.
pub fn copies(day: Date, current: &[String]) -> Vec<String> {
    if !week::is_due(day) {
        return Vec::new();
    }
    let folder = format!("/{}/", week::key(day));
    let mut copies: Vec<_> = current
        .iter()
        .map(|name| name.replace("/current/", &folder))
        .collect();
    copies.sort();
    copies
}

/// After a backup of this day there are its copies, and no others.
pub fn weekly(day: Date, current: &[String], found: &[String]) -> Vec<Finding> {
    let expected = copies(day, current);
    let (found, wanted): (BTreeSet<_>, BTreeSet<_>) = (found.iter().collect(), expected.iter().collect());
    let mut findings = Vec::new();
    for name in wanted.difference(&found) {
        let what = format!("after a backup of {day}, a Sunday, there is no copy {name}");
        findings.push(Finding::new(Kind::Fail, WEEKLY, what));
    }
    for name in found.difference(&wanted) {
        let what = format!("after a backup of {day} there is a copy {name}, which does not belong there");
        findings.push(Finding::new(Kind::Fail, WEEKLY, what));
    }
    findings
}

/// Nothing that a drill has made on the engine is there any more: `container NAME`, `volume NAME`, `network NAME`.
pub fn clean(left: &BTreeSet<String>) -> Vec<Finding> {
    if left.is_empty() {
        return Vec::new();
    }
    let left: Vec<_> = left.iter().map(String::as_str).collect();
    let what = format!("a drill has left {}", left.join(", "));
    vec![Finding::new(Kind::Fail, CLEAN, what)]
}
