//! What is left by a backup that fails, by a week, and by a drill.

use std::collections::BTreeSet;

use harness_model::ops::backup::kept::{ATOMIC, CLEAN, WEEKLY, clean, unchanged, weekly};
use jiff::civil::date;

use crate::Cases;

#[test]
fn the_last_good_backup_is_kept() {
    let mut cases = Cases::of(ATOMIC);
    let before = "gs://backups/current/all.metadata.json#3\ngs://backups/current/all.sql.gz#2\n";
    cases.accept("as it was", &unchanged(before, before));
    cases.reject(
        "another dump",
        &unchanged(before, &before.replace("gz#2", "gz#4")),
        1,
    );
    cases.reject("no backup any more", &unchanged(before, ""), 1);
    cases.review();
}

#[test]
fn weekly_copies_are_those_of_sundays() {
    let mut cases = Cases::of(WEEKLY);
    let current = ["all.sql.gz", "all.metadata.json"].map(|name| format!("gs://backups/current/{name}"));
    let copies = |week: &str| {
        ["all.metadata.json", "all.sql.gz"].map(|name| format!("gs://backups/weekly/{week}/{name}"))
    };
    let (saturday, sunday) = (date(2027, 1, 2), date(2027, 1, 3));
    cases.accept("a Sunday", &weekly(sunday, &current, &copies("2026-W53")));
    cases.accept("another day", &weekly(saturday, &current, &[]));
    cases.reject("a Sunday without a copy", &weekly(sunday, &current, &[]), 2);
    cases.reject(
        "one copy of two",
        &weekly(sunday, &current, &copies("2026-W53")[..1]),
        1,
    );
    cases.reject(
        "under the year of the day",
        &weekly(sunday, &current, &copies("2027-W53")),
        4,
    );
    cases.reject(
        "a copy of another day",
        &weekly(saturday, &current, &copies("2026-W53")),
        2,
    );
    cases.review();
}

#[test]
fn a_drill_leaves_nothing() {
    let mut cases = Cases::of(CLEAN);
    cases.accept("nothing", &clean(&BTreeSet::new()));
    let left = ["container t1-drill", "volume t1-drill"].map(String::from);
    cases.reject("its database and its volume", &clean(&left.into()), 1);
    cases.review();
}
