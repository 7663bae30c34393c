//! Freshness and the week of a backup.

use harness_model::ops::backup::log::{FRESH, fresh};
use harness_model::ops::backup::week::{is_due, key};
use jiff::civil::date;
use jiff::{Span, Timestamp, ToSpan as _};
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use crate::Cases;

const AT: &str = "2026-11-23T03:00:10Z";

fn after(span: Span) -> Timestamp {
    AT.parse::<Timestamp>().unwrap() + span
}

#[test]
fn the_last_complete_backup_is_fresh() {
    let mut cases = Cases::of(FRESH);
    let log = format!("{AT} INFO backup started env=prod\n{AT} INFO backup complete env=prod\n");
    let at = |log: &str, now: Timestamp| fresh("backup.log", Some(log), "prod", now);
    cases.accept("at once", &at(&log, after(0.seconds())));
    cases.accept("29 h 59 min", &at(&log, after(29.hours().minutes(59))));
    cases.accept("30 h", &at(&log, after(30.hours())));
    let failed = format!("{log}2026-11-24T03:00:00Z ERROR backup failed env=prod\n");
    cases.accept(
        "a failure since, and still in time",
        &at(&failed, after(29.hours())),
    );
    let spaced = log.replace("T03", " 03");
    cases.accept("a space for a T", &at(&spaced, after(1.hour())));

    let now = after(1.hour());
    cases.reject("30 h 01 min", &at(&log, after(30.hours().minutes(1))), 1);
    cases.reject("no file", &fresh("backup.log", None, "prod", now), 1);
    cases.reject(
        "no line",
        &at("2026-11-23T03:00:10Z INFO backup started env=prod\n", now),
        1,
    );
    cases.reject(
        "another environment",
        &at(&log.replace("prod", "production"), now),
        1,
    );
    let unreadable = format!("{log}yesterday INFO backup complete env=prod\n");
    cases.reject("an unreadable time after a good one", &at(&unreadable, now), 1);
    cases.reject("a time of no zone", &at(&log.replace("10Z", "10"), now), 1);
    cases.reject("a time in the future", &at(&log, after((-1).second())), 1);
    cases.review();
}

#[test]
fn the_weekly_copy_belongs_to_the_iso_week() {
    let table = [
        (date(2026, 11, 22), "weekly/2026-W47", true),
        (date(2026, 12, 31), "weekly/2026-W53", false),
        (date(2027, 1, 3), "weekly/2026-W53", true),
        (date(2027, 1, 4), "weekly/2027-W01", false),
        (date(2024, 12, 30), "weekly/2025-W01", false),
    ];
    for (day, wanted, due) in table {
        assert_eq!((key(day), is_due(day)), (wanted.to_owned(), due), "{day}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_fresh_for_thirty_hours_and_not_a_second_longer(age in -200_000_i64..200_000) {
        let log = format!("{AT} INFO backup complete env=prod\n");
        let found = fresh("backup.log", Some(&log), "prod", after(age.seconds()));
        prop_assert_eq!(found.is_empty(), (0..=30 * 3600).contains(&age));
    }
}
