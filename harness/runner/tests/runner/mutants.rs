//! Planted bugs, on pipelines in memory that have them.

use std::fs;

use camino::Utf8PathBuf;
use harness_model::bugs::Bug;
use harness_model::seed::Seed;
use harness_model::verdict::{Finding, Kind};
use harness_runner::exit::Exit;
use harness_runner::mutants::{Attempt, Cell, Fate, Matrix, Row, Seen};
use harness_runner::store;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{Said, harness};
use crate::reports::{finished, scene};
use crate::{golden, path};

/// An entry of a catalogue: a bug that makes the script longer.
pub(crate) fn entry(id: &str, script: &str, caught_by: &str) -> String {
    format!(
        "[[bug]]\nid = \"{id}\"\nlike = \"-\"\nenv = {{ SCRIPT = \"{script}\" }}\nservices = [\"analyzer\"]\n\
         caught_by = [\"{caught_by}\"]\nscenarios = [\"judge::passes\"]\n"
    )
}

pub(crate) fn catalogue(out: &TempDir, text: &str) -> Utf8PathBuf {
    let file = path(out).join("bugs.toml");
    fs::write(&file, text).unwrap();
    file
}

/// What `harness mutants ARGS` says of these bugs, and what it stores.
fn mutants(out: &TempDir, bugs: &str, args: &str) -> (Said, Matrix) {
    let file = catalogue(out, bugs);
    let said = harness(out, &format!("mutants --bugs {file} {args}"));
    let stored = store::read_value(&path(out).join("latest/mutants.json"));
    (said, stored.unwrap_or_else(|error| panic!("{error}")))
}

fn fates(matrix: &Matrix) -> Vec<(&str, Fate)> {
    matrix
        .bugs
        .iter()
        .map(|row| (row.bug.as_str(), row.fate))
        .collect()
}

#[test]
fn an_attempt_that_was_interrupted_says_nothing() {
    let bug = Bug {
        id: "found".to_owned(),
        like: "-".to_owned(),
        env: [].into(),
        services: Vec::new(),
        scripts: [].into(),
        caught_by: vec!["no-loss".to_owned()],
        scenarios: vec!["judge::passes".to_owned()],
        listed: true,
        baseline: false,
    };
    let kind = |findings| Attempt::of(&bug, &finished("judge::passes", findings, scene())).kind;
    let late = Finding::new(Kind::Hang, "deadline", "waited 60 s");
    let stopped = Finding::new(Kind::Infra, "interrupted", "interrupted in quiesce");
    assert_eq!(kind(vec![late.clone()]), Kind::Hang);
    // It was not judged any more.
    assert_eq!(kind(vec![late, stopped]), Kind::Infra);
}

#[test]
fn a_bug_is_detected_by_the_rule_that_has_to_and_by_no_other() {
    let out = TempDir::new().unwrap();
    let bugs = [
        entry("found", "forgetful", "no-loss"),
        entry("blamed", "forgetful", "atomic"),
        entry("hidden", "quiet", "no-loss"),
        entry("hanging", "quiesce=fails", "no-loss"),
        entry("homeless", "open=infra", "no-loss"),
    ];
    let (said, matrix) = mutants(&out, &bugs.concat(), "--seed 7");
    let expected = [
        ("found", Fate::Detected),
        ("blamed", Fate::Otherwise),
        ("hidden", Fate::Survived),
        ("hanging", Fate::Otherwise),
        ("homeless", Fate::Unknown),
    ];
    assert_eq!(fates(&matrix), expected);
    assert_eq!((said.exit, &*said.err), (Exit::Failed, ""));
    assert_eq!(matrix.unmodified, Some(Seen::No));
    let attempt = &matrix.bugs[0].cells[0].attempts[0];
    assert_eq!(
        (attempt.trial.as_str(), attempt.kind),
        ("found/judge.passes", Kind::Fail)
    );
    assert_eq!(attempt.noticed, ["no-loss".to_owned()].into());
    assert_eq!(
        matrix.bugs[1].cells[0].attempts[0].other,
        ["no-loss".to_owned()].into()
    );
    assert!(
        path(&out)
            .join("latest/found/judge.passes/verdict.json")
            .is_file()
    );
    for line in [
        "detected   found  judge::passes  0.0 s  no-loss",
        "otherwise  blamed  judge::passes  0.0 s  no-loss",
        "survived   hidden  judge::passes  0.0 s",
        "infra      homeless  judge::passes  0.0 s",
        "not seen   unmodified  baseline::naive  0.0 s",
        "harness:         1 of 5 bugs (20 %)",
        "survived: hidden",
        "caught by something else only: blamed, hanging",
        "nothing is known of: homeless",
    ] {
        let shown = said
            .out
            .lines()
            .any(|found| found.replace("0.1 s", "0.0 s") == line);
        assert!(shown, "{line}\n{}", said.out);
    }
}

#[test]
fn every_bug_detected_is_a_pass_and_what_is_not_known_is_none() {
    let out = TempDir::new().unwrap();
    let found = entry("found", "forgetful", "no-loss");
    let homeless = entry("homeless", "open=infra", "no-loss");
    let exit = |bugs: &str, args: &str| mutants(&out, bugs, args).0.exit;
    assert_eq!(exit(&found, ""), Exit::Passed);
    assert_eq!(exit(&format!("{found}{homeless}"), ""), Exit::Unfit);
    assert_eq!(
        exit(&format!("{found}{homeless}"), "found"),
        Exit::Passed,
        "the other is not asked for"
    );
}

#[test]
fn the_naive_check_is_run_for_each_bug_and_for_none() {
    let out = TempDir::new().unwrap();
    let bugs = [
        entry("easy", "forgetful,lazy", "no-loss"),
        entry("found", "forgetful", "no-loss"),
        // Nobody waits for rest, and no rule judges.
        entry("restless", "forgetful,quiesce=fails,canary=fails", "no-loss"),
        entry("homeless", "open=infra", "no-loss"),
    ];
    let (said, matrix) = mutants(&out, &bugs.concat(), "");
    let seen: Vec<_> = matrix.bugs.iter().map(|row| row.baseline).collect();
    let expected = [Seen::Yes, Seen::No, Seen::No, Seen::Unknown].map(Some);
    assert_eq!((matrix.unmodified, seen), (Some(Seen::No), expected.to_vec()));
    assert!(
        said.out.contains("naive baseline:  1 of 4 bugs (25 %)"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("too easy, the baseline sees them: easy"),
        "{}",
        said.out
    );

    let (said, matrix) = mutants(&out, &bugs[1], "--topology lazy");
    assert_eq!((matrix.unmodified, said.exit), (Some(Seen::Yes), Exit::Unfit));
    assert!(
        said.out.contains("what it says of bugs means nothing"),
        "{}",
        said.out
    );

    let (said, matrix) = mutants(&out, &bugs[1], "--no-baseline");
    assert_eq!((matrix.unmodified, matrix.bugs[0].baseline), (None, None));
    assert!(said.out.contains("naive baseline:  not run"), "{}", said.out);
    assert_eq!(said.exit, Exit::Passed);
}

#[test]
fn seeds_follow_from_the_runs_seed_the_bug_and_the_number() {
    let out = TempDir::new().unwrap();
    let bugs = [
        entry("one", "forgetful", "no-loss"),
        entry("two", "forgetful", "no-loss"),
    ];
    let seeds = |args: &str| {
        let (_, matrix) = mutants(&out, &bugs.concat(), args);
        let attempts = matrix.bugs.iter().flat_map(|row| &row.cells[0].attempts);
        attempts.map(|attempt| attempt.seed).collect::<Vec<_>>()
    };
    let first = seeds("--seed 7 --runs 2 --jobs 3");
    assert_eq!(first.len(), 4);
    assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    let sorted = |mut seeds: Vec<Seed>| {
        seeds.sort();
        seeds
    };
    assert_eq!(
        sorted(first.clone()),
        sorted(seeds("--seed 7 --runs 2 --no-baseline"))
    );
    assert_ne!(sorted(first), sorted(seeds("--seed 8 --runs 2")));
}

#[test]
fn a_stored_trial_keeps_its_bug_and_is_run_again_with_it() {
    let out = TempDir::new().unwrap();
    mutants(&out, &entry("found", "forgetful", "no-loss"), "");
    let dir = path(&out)
        .join("latest")
        .canonicalize_utf8()
        .unwrap()
        .join("found/judge.passes");
    let said = harness(&out, &format!("reproduce {dir}"));
    assert_eq!(said.exit, Exit::Failed);
    let last = said.out.lines().last();
    assert_eq!(
        last,
        Some("reproduced 1 of 1; the same schedule 1 of 1"),
        "{}",
        said.out
    );
}

#[test]
fn names_and_catalogues_that_cannot_be_used_are_refused() {
    let out = TempDir::new().unwrap();
    let file = catalogue(
        &out,
        &[entry("found", "x", "no-loss"), entry("hidden", "x", "no-los")].concat(),
    );
    let said = harness(&out, &format!("mutants fuond --bugs {file}"));
    assert_eq!((said.exit, &*said.out), (Exit::NothingSelected, ""));
    assert_eq!(
        said.err,
        "error: no bug is called fuond\nhint: closest are found, hidden\n"
    );

    let said = harness(&out, &format!("mutants hidden --bugs {file}"));
    assert_eq!(said.exit, Exit::Refused);
    assert!(
        said.err.contains("unknown rule `no-los`") && said.err.contains("bugs.toml:13:14"),
        "{}",
        said.err
    );
    assert_eq!(
        harness(&out, &format!("mutants found --no-baseline --bugs {file}")).exit,
        Exit::Failed
    );

    let said = harness(&out, "mutants");
    assert_eq!(said.exit, Exit::Refused);
    let expected =
        "error: absent-bugs.toml: No such file or directory (os error 2)\nhint: name a file with --bugs\n";
    assert_eq!(said.err, expected);

    let empty = catalogue(&out, "");
    let said = harness(&out, &format!("mutants --bugs {empty}"));
    assert_eq!(
        (said.exit, &*said.err),
        (Exit::NothingSelected, "error: the catalogue names no bug\n")
    );
}

#[test]
fn programs_see_each_trial_and_the_matrix() {
    let out = TempDir::new().unwrap();
    let (said, matrix) = mutants(&out, &entry("found", "forgetful", "no-loss"), "--format json");
    let lines: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ended = lines.iter().filter(|line| line["event"] == "trial_finished");
    let mut ended: Vec<_> = ended.map(|line| line["trial"].as_str().unwrap()).collect();
    ended.sort_unstable();
    assert_eq!(
        ended,
        [
            "found/baseline.naive",
            "found/judge.passes",
            "unmodified/baseline.naive"
        ]
    );
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "mutants");
    assert_eq!(
        serde_json::from_value::<Matrix>(last["matrix"].clone()).unwrap(),
        matrix
    );
}

fn attempt(kind: Kind, seconds: f64, noticed: &[&str], other: &[&str]) -> Attempt {
    let set = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect();
    Attempt {
        trial: "bug/a.b".to_owned(),
        seed: Seed(1),
        kind,
        seconds,
        noticed: set(noticed),
        other: set(other),
    }
}

fn row(bug: &str, fate: Fate, cells: &[(&str, Vec<Attempt>)], baseline: Option<Seen>) -> Row {
    let cell = |(scenario, attempts): &(&str, Vec<Attempt>)| Cell {
        scenario: (*scenario).to_owned(),
        attempts: attempts.clone(),
    };
    Row {
        bug: bug.to_owned(),
        listed: bug != "panics",
        caught_by: vec!["no-loss".to_owned()],
        fate,
        cells: cells.iter().map(cell).collect(),
        baseline,
        baseline_expected: bug == "stops" || bug == "panics",
    }
}

#[test]
fn the_matrix_is_a_table_with_a_score() {
    let killed = vec![
        attempt(
            Kind::Fail,
            8.25,
            &["ack-after-effect", "no-loss"],
            &["effects-once"],
        ),
        attempt(Kind::Fail, 9.5, &["no-loss"], &[]),
        attempt(Kind::Pass, 7.0, &[], &[]),
    ];
    let cut = vec![
        attempt(Kind::Invalid, 4.0, &[], &[]),
        attempt(Kind::Infra, 1.0, &[], &[]),
        attempt(Kind::Hang, 60.0, &[], &["deadline"]),
    ];
    let pass = vec![attempt(Kind::Pass, 3.0, &[], &[])];
    let golden_differs = vec![attempt(Kind::Fail, 3.0, &[], &["golden"])];
    let infra = vec![attempt(Kind::Infra, 1.0, &[], &[])];
    let stops = vec![attempt(Kind::Fail, 31.0, &["recovered"], &["at-rest"])];
    let rows = vec![
        row(
            "forgets",
            Fate::Detected,
            &[("service::killed", killed), ("link::cut", cut)],
            Some(Seen::No),
        ),
        row(
            "hides",
            Fate::Survived,
            &[("pipeline::batch", pass)],
            Some(Seen::No),
        ),
        row(
            "looks-odd",
            Fate::Otherwise,
            &[("pipeline::golden_path", golden_differs)],
            Some(Seen::Yes),
        ),
        row(
            "panics",
            Fate::Unknown,
            &[("pipeline::corpus", infra)],
            Some(Seen::No),
        ),
        row(
            "stops",
            Fate::Detected,
            &[("broker::killed", stops)],
            Some(Seen::Yes),
        ),
    ];
    let matrix = Matrix {
        run: "20260102T030405.000Z-1a2b".to_owned(),
        seed: Seed(7),
        unmodified: Some(Seen::No),
        bugs: rows,
    };
    let mut out = Vec::new();
    matrix.write(&mut out).unwrap();
    golden("mutants", &String::from_utf8(out).unwrap());
    assert_eq!(matrix.exit(), Exit::Failed);
}
