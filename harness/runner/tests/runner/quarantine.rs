//! What is in quarantine runs, is shown, and does not count, as long as it fails as it is known to.

use std::fs;

use harness_model::fingerprint::Fingerprint;
use harness_runner::exit::Exit;
use harness_runner::store;
use quick_junit::Report;
use tempfile::TempDir;

use crate::cli::{Said, harness_with};
use crate::mutants::{catalogue, entry as bug};
use crate::store::trial;
use crate::{path, settings};

/// `harness ARGS` with this quarantine.
fn with(out: &TempDir, quarantine: &str, args: &str) -> Said {
    let file = path(out).join("quarantine.toml");
    fs::write(&file, quarantine).unwrap();
    let mut settings = settings(out);
    settings.quarantine = Some(file);
    harness_with(settings, args)
}

fn entry(scenario: &str, days: (&str, &str), fingerprint: &str) -> String {
    format!(
        "[[entry]]\nscenario = \"{scenario}\"\nowner = \"@team\"\nissue = \"#12\"\nreason = \"it races\"\n\
         added = {}\nexpires = {}\nmax_rate = 0.05\nfingerprints = [\"{fingerprint}\"]\n",
        days.0, days.1
    )
}

/// Days around any day on which this is run.
fn now() -> (String, String) {
    let today = harness_runner::quarantine::today();
    let week = jiff::Span::new().days(7);
    (
        today.saturating_sub(week).to_string(),
        today.saturating_add(week).to_string(),
    )
}

fn print_of(out: &TempDir) -> String {
    let verdict = store::read_verdict(&trial(out)).unwrap();
    Fingerprint::all(&verdict)[0].to_string()
}

#[test]
fn a_known_failure_is_shown_and_does_not_count() {
    let out = TempDir::new().unwrap();
    let (added, expires) = now();
    let known = entry("judge::loses", (&added, &expires), &print_of(&out));
    let said = with(&out, &known, "judge::loses judge::passes --jobs 1 --seed 1");
    assert_eq!(said.exit, Exit::Passed, "{}", said.out);
    assert!(said.out.contains("fail     judge::loses"), "{}", said.out);
    assert!(
        said.out.contains("s, quarantined\n  fail  no-loss: "),
        "{}",
        said.out
    );
    assert!(said.out.contains("1 pass, 1 quarantined in "), "{}", said.out);

    let often = with(&out, &known, "judge::loses --rounds 2");
    assert_eq!(often.exit, Exit::Failed);
    assert!(
        often
            .out
            .contains("judge::loses has failed in 2 of 2 trials; its quarantine allows 5.0 %"),
        "{}",
        often.out
    );

    assert!(often.out.contains("2 fail in "), "{}", often.out);
    assert!(often.out.contains("exit code 100"), "{}", often.out);

    let other = entry(
        "judge::loses",
        (&added, &expires),
        "fail/no-loss/0123456789abcdef",
    );
    let said = with(&out, &other, "judge::loses");
    assert_eq!(said.exit, Exit::Failed);
    assert!(
        said.out
            .contains("quarantined, but this failure is new: fail/no-loss/"),
        "{}",
        said.out
    );

    // What says nothing of the pipeline is nothing that could be known.
    let infra = with(&out, &known, "judge::loses --topology open=infra");
    assert_eq!(infra.exit, Exit::Unfit, "{}", infra.out);
}

#[test]
fn forms_agree_with_the_exit_code_if_a_known_failure_comes_too_often() {
    let out = TempDir::new().unwrap();
    let (added, expires) = now();
    let known = entry("judge::loses", (&added, &expires), &print_of(&out));
    let (junit, summary) = (path(&out).join("j.xml"), path(&out).join("s.md"));
    let forms = format!("--report junit={junit} --report summary={summary}");
    let counts = || {
        let report = Report::deserialize_from_str(&fs::read_to_string(&junit).unwrap()).unwrap();
        (report.failures, report.skipped)
    };
    let once = with(&out, &known, &format!("judge::loses {forms}"));
    assert_eq!((once.exit, counts()), (Exit::Passed, (0, 1)), "{}", once.out);
    let often = with(&out, &known, &format!("judge::loses --rounds 2 {forms}"));
    assert_eq!((often.exit, counts()), (Exit::Failed, (1, 0)), "{}", often.out);
    let told = fs::read_to_string(&summary).unwrap();
    assert!(
        told.contains("1 failed in ") && told.contains("exit code 100."),
        "{told}"
    );
    assert!(
        told.contains("its scenario has failed in 2 of 2 trials"),
        "{told}"
    );
    // What is written of it later says the same.
    let stored = with(&out, &known, &format!("export {forms}"));
    assert_eq!((stored.exit, counts()), (Exit::Failed, (1, 0)), "{}", stored.out);
}

#[test]
fn an_entry_that_begins_in_the_future_is_refused() {
    let out = TempDir::new().unwrap();
    let (_, later) = now();
    let entry = entry("judge::passes", (&later, &later), "fail/no-loss/0123456789abcdef");
    let said = with(&out, &entry, "quarantine check");
    assert_eq!(said.exit, Exit::Refused);
    assert!(
        said.err.contains("quarantine.toml:6:9") && said.err.contains(&format!("it begins on {later}")),
        "{}",
        said.err
    );
}

#[test]
fn clean_trials_are_counted_from_the_newest_on_whether_run_or_swept() {
    let out = TempDir::new().unwrap();
    let (added, expires) = now();
    let known = entry(
        "judge::passes",
        (&added, &expires),
        "fail/no-loss/0123456789abcdef",
    );
    let clean = |n: u64, end: &str| {
        let listed = with(&out, &known, "quarantine list").out;
        let line = format!("    {n} clean trials in a row are stored; {end}\n");
        assert!(listed.contains(&line), "{listed}");
    };
    assert_eq!(with(&out, &known, "judge::passes --rounds 12").exit, Exit::Passed);
    let run = path(&out).join("latest").canonicalize_utf8().unwrap();
    // The second of twelve has failed; by name it would come after the twelfth.
    let lost = store::read_verdict(&trial(&out)).unwrap();
    store::write_json(&run.join("judge.passes.2"), "verdict.json", &lost).unwrap();
    clean(10, "after 59 the entry should go");

    assert_eq!(
        with(&out, &known, "sweep judge::passes --trials 48 --seed 1").exit,
        Exit::Passed
    );
    clean(58, "after 59 the entry should go");
    // Trials with a planted bug are in parts, too.
    let swept = path(&out).join("latest").canonicalize_utf8().unwrap();
    let bugs = catalogue(&out, &bug("found", "forgetful", "no-loss"));
    let found = with(&out, "", &format!("mutants --no-baseline --bugs {bugs}"));
    assert_eq!(found.exit, Exit::Passed, "{}", found.err);
    clean(58, "after 59 the entry should go");
    assert_eq!(
        with(&out, &known, "sweep judge::passes --trials 1 --seed 2").exit,
        Exit::Passed
    );
    clean(59, "59 are enough: remove the entry");

    // The history outlives the runs that are kept.
    fs::remove_dir_all(&swept).unwrap();
    clean(59, "59 are enough: remove the entry");
    let history = path(&out).join("history.jsonl");
    let text = fs::read_to_string(&history).unwrap();
    fs::write(&history, text.replace("\"failed\":0", "\"failed\":1")).unwrap();
    clean(1, "after 59 the entry should go");
}

#[test]
fn an_expired_entry_is_red_even_if_its_scenario_passes() {
    let out = TempDir::new().unwrap();
    let old = entry(
        "judge::passes",
        ("2026-01-01", "2026-01-31"),
        "fail/no-loss/0123456789abcdef",
    );
    let said = with(&out, &old, "judge::passes");
    assert_eq!(said.exit, Exit::Failed);
    assert!(said.out.contains("its quarantine has expired"), "{}", said.out);
    let checked = with(&out, &old, "quarantine check");
    assert_eq!(checked.exit, Exit::Failed);
    assert!(
        checked
            .out
            .contains("quarantine.toml:7: the quarantine of judge::passes has expired on 2026-01-31; @team"),
        "{}",
        checked.out
    );
    assert_eq!(
        with(&out, "", "quarantine check").out,
        "0 in quarantine, 0 expired\n"
    );
}

#[test]
fn what_cannot_be_read_refuses_everything() {
    let out = TempDir::new().unwrap();
    for args in ["judge::passes", "quarantine check", "quarantine list", "export"] {
        for (bad, part) in [
            ("[[entry]]\nscenario = \"judge::passes\"\n", "quarantine.toml:1:1"),
            ("[[entry]\n", "quarantine.toml:1:"),
        ] {
            let said = with(&out, bad, args);
            assert_eq!(said.exit, Exit::Refused, "{args}");
            assert!(said.err.contains(part), "{args}: {}", said.err);
        }
    }
    let mut settings = settings(&out);
    settings.quarantine = Some("absent.toml".into());
    let said = harness_with(settings, "judge::passes");
    assert_eq!(said.exit, Exit::Refused);
    assert!(
        said.err.contains("cannot read the quarantine absent.toml"),
        "{}",
        said.err
    );
}

#[test]
fn an_entry_is_proposed_from_a_stored_trial_and_listed_with_its_clean_trials() {
    let out = TempDir::new().unwrap();
    let dir = trial(&out);
    let proposed = with(
        &out,
        "",
        &format!("quarantine propose {dir} --owner @a\"b --issue #12"),
    );
    assert_eq!(proposed.exit, Exit::Passed, "{}", proposed.err);
    let said = with(&out, &proposed.out, "judge::loses");
    assert_eq!(said.exit, Exit::Passed, "{}{}", proposed.out, said.out);

    let (added, expires) = now();
    let clean = entry(
        "judge::passes",
        (&added, &expires),
        "fail/no-loss/0123456789abcdef",
    );
    assert_eq!(with(&out, &clean, "judge::passes --rounds 3").exit, Exit::Passed);
    let listed = with(&out, &clean, "quarantine list").out;
    assert!(
        listed.contains("3 clean trials in a row are stored; after 59 the entry should go"),
        "{listed}"
    );
    assert!(
        listed.starts_with(&format!("judge::passes  until {expires}, @team, #12\n")),
        "{listed}"
    );

    let passed = format!("{}/latest/judge.passes", path(&out));
    let none = with(
        &out,
        "",
        &format!("quarantine propose {passed} --owner a --issue b"),
    );
    assert_eq!(none.exit, Exit::Refused);
    assert!(
        none.err.contains("there is no failure to wait for"),
        "{}",
        none.err
    );
}
