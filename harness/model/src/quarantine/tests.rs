//! Entries that are read, entries that are refused, and what they make of trials.

use jiff::civil::{Date, date};

use super::{Quarantine, Standing};
use crate::fingerprint::Fingerprint;
use crate::verdict::{Finding, Kind, Verdict};

fn lost() -> Finding {
    Finding::new(Kind::Fail, "no-loss", "report 17 is nowhere")
}

fn text() -> String {
    format!(
        "[[entry]]\nscenario = \"a::b\"\nowner = \"@team\"\nissue = \"#12\"\nreason = \"it races\"\n\
         added = 2026-11-01\nexpires = 2026-12-01\nmax_rate = 0.05\nfingerprints = [\"{}\"]\n",
        Fingerprint::of(&lost())
    )
}

fn read() -> Quarantine {
    Quarantine::parse("q.toml", &text()).unwrap()
}

const TODAY: Date = date(2026, 11, 24);

#[test]
fn entries_are_read() {
    let quarantine = read().check(&["a::b", "a::c"], TODAY).unwrap();
    let entry = quarantine.of("a::b").unwrap();
    assert_eq!((&*entry.owner, entry.expires), ("@team", date(2026, 12, 1)));
    assert!(quarantine.of("a::c").is_none());
    assert!(
        Quarantine::parse("q.toml", "# nobody\n")
            .unwrap()
            .entries()
            .is_empty()
    );
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let print = Fingerprint::of(&lost()).to_string();
    let table = [
        ("owner", "ownr", "unknown field `ownr`"),
        ("\"#12\"", "\" \"", "`issue` is empty"),
        ("reason = \"it races\"\n", "", "missing field `reason`"),
        ("2026-12-01", "\"soon\"", "invalid type: string \"soon\""),
        (
            "2026-12-01",
            "2026-12-01T10:00:00",
            "`2026-12-01T10:00:00` is no day",
        ),
        ("2026-12-01", "2026-10-01", "it ends before it begins"),
        ("2026-12-01", "2027-02-01", "it lasts 92 days"),
        ("0.05", "1.0", "`1` is no part of trials that may fail"),
        ("0.05", "nan", "`NaN` is no part of trials that may fail"),
        (&print, "fail/no-loss", "`fail/no-loss` is no fingerprint"),
        ("[\"fail/no-loss", "[] # [\"", "no failure is known"),
        ("[[entry]]", "[[entry]", "unclosed array table"),
    ];
    for (from, to, message) in table {
        assert!(text().contains(from), "{from}");
        let error = Quarantine::parse("q.toml", &text().replacen(from, to, 1)).unwrap_err();
        let found: Vec<_> = error.mistakes().iter().map(|one| one.message.as_str()).collect();
        assert!(
            found.len() == 1 && found[0].starts_with(message),
            "{to}: {found:?}"
        );
    }
    let twice = Quarantine::parse("q.toml", &format!("{}{}", text(), text())).unwrap_err();
    assert!(
        twice.render(100, false).contains("q.toml:11:12"),
        "{}",
        twice.render(100, false)
    );
}

#[test]
fn an_entry_of_a_scenario_that_is_gone_is_refused() {
    let said = |catalogue: &[&str]| {
        let error = read().check(catalogue, TODAY).unwrap_err();
        (
            error.mistakes()[0].message.clone(),
            error.mistakes()[0].help.clone(),
        )
    };
    let (message, help) = said(&["a::bb"]);
    assert_eq!(
        (&*message, &*help),
        ("unknown scenario `a::b`", "did you mean `a::bb`?")
    );
    assert!(said(&["other::one"]).1.starts_with("`harness list`"));
}

#[test]
fn an_entry_that_has_not_begun_is_refused() {
    let on = |today| read().check(&["a::b"], today);
    assert!(on(date(2026, 11, 1)).is_ok());
    let said = on(date(2026, 10, 31)).unwrap_err().render(100, false);
    for part in [
        "it begins on 2026-11-01, and today is 2026-10-31",
        "q.toml:6:9",
        "the one on which the entry is written",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_is_known_is_held_until_the_last_day() {
    let quarantine = read();
    let entry = &quarantine.entries()[0];
    let on = |today, findings| entry.standing(today, &Verdict::of(findings));
    let other = Finding::new(Kind::Fail, "atomic", "half of report 17");
    let idle = Finding::new(Kind::Invalid, "not-vacuous", "nothing bit");
    let broken = Finding::new(Kind::Infra, "engine", "gone");
    assert_eq!(on(TODAY, vec![]), Standing::Held);
    assert_eq!(on(TODAY, vec![lost()]), Standing::Held);
    assert_eq!(on(TODAY, vec![lost(), idle.clone()]), Standing::Held);
    let fingerprints = vec![Fingerprint::of(&other)];
    assert_eq!(on(TODAY, vec![lost(), other]), Standing::New { fingerprints });
    assert_eq!(on(TODAY, vec![idle]), Standing::Unknown);
    assert_eq!(on(TODAY, vec![broken]), Standing::Unknown);
    assert_eq!(on(date(2026, 12, 1), vec![lost()]), Standing::Held);
    assert_eq!(on(date(2026, 12, 2), vec![lost()]), Standing::Expired);
    assert_eq!(on(date(2026, 12, 2), vec![]), Standing::Expired);
}

#[test]
fn expired_entries_are_found_with_their_line() {
    assert!(read().expired(TODAY).is_empty());
    let quarantine = read();
    let expired = quarantine.expired(date(2027, 1, 1));
    assert_eq!((&*expired[0].0.scenario, expired[0].1), ("a::b", 7));
}

#[test]
fn rates_and_clean_streaks() {
    let quarantine = read();
    let entry = &quarantine.entries()[0];
    // Of 20 trials the interval begins above 5 % only when three have failed.
    for (failures, trials, exceeded) in [
        (0, 0, false),
        (1, 1, true),
        (2, 20, false),
        (3, 20, true),
        (5, 100, false),
    ] {
        assert_eq!(
            entry.is_exceeded(failures, trials),
            exceeded,
            "{failures} of {trials}"
        );
    }
    // Of the table of clean runs that show a flake with 95 %: 5 % 59, 1 % 299, 0.1 % 2995.
    for (max_rate, expected) in [(0.05, 59), (0.01, 299), (0.001, 2995)] {
        let mut entry = entry.clone();
        entry.max_rate = max_rate;
        assert_eq!(entry.clean_enough(), expected);
    }
}
