//! What machines are given: of good and bad trials, of foreign text, of more than there is room for.

use std::fs;
use std::time::Duration;

use harness_model::fingerprint::Fingerprint;
use harness_model::quarantine::Standing;
use harness_model::verdict::{Finding, Kind};
use harness_runner::exit::Exit;
use harness_runner::report::forms::{Place, Told};
use harness_runner::report::scene::Scene;
use harness_runner::report::{Finished, annotations, ctrf, junit, summary};
use jiff::Timestamp;
use quick_junit::Report;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{Said, harness, harness_with};
use crate::mutants::{catalogue, entry};
use crate::reports::{finished, scene};
use crate::{golden, path, settings};

fn found(kind: Kind, what: &str) -> Finding {
    Finding::new(kind, "no-loss", what)
        .about(["17".into()])
        .shown_by([3])
}

fn told(finished: Vec<Finished>) -> Told {
    let place = |line| Place {
        file: "scenarios/src/a,b.rs".to_owned(),
        line,
    };
    Told {
        run: "20260102T030405.678Z-1a2b".to_owned(),
        start: Timestamp::from_second(1_767_323_045).unwrap(),
        took: Duration::from_millis(4800),
        finished,
        missing: Vec::new(),
        places: [
            ("broker::kill".to_owned(), place(6)),
            ("broker::gone".to_owned(), place(9)),
        ]
        .into(),
    }
}

/// One of each kind, with text that means something to whoever reads the forms.
fn mixed() -> Told {
    let forged = "lost\u{1b}[31m <b>]]></failure> & 100 %\n::error::forged @all\u{0}\u{fffe} ##[error]x";
    let mut held = finished("link::cut", vec![found(Kind::Fail, "known")], scene());
    held.quarantine = Some(Standing::Held);
    let mut new = finished("link::new", vec![found(Kind::Hang, "late")], Scene::default());
    new.quarantine = Some(Standing::New {
        fingerprints: Fingerprint::all(&new.verdict),
    });
    let mut other = finished("broker::kill", Vec::new(), Scene::default());
    other.trial.push_str(".2");
    let mut told = told(vec![
        finished("flow::happy", Vec::new(), Scene::default()),
        finished("broker::kill", vec![found(Kind::Fail, forged)], scene()),
        other,
        held,
        new,
        finished(
            "flow::idle",
            vec![found(Kind::Invalid, "nothing bit")],
            Scene::default(),
        ),
        finished(
            "flow::none",
            vec![found(Kind::Infra, "no engine")],
            Scene::default(),
        ),
    ]);
    told.missing.push("broker::gone".to_owned());
    told
}

#[test]
fn each_form_shows_each_kind() {
    golden("forms_junit", &junit::text(&mixed()));
    golden("forms_ctrf", &ctrf::text(&mixed()));
    golden("forms_summary", &summary::text(&mixed(), 100_000));
    golden("forms_annotations", &annotations::text(&mixed()));
    assert_eq!(mixed().exit(), Exit::Failed);
}

#[test]
fn junit_is_read_again_and_counts() {
    let report = Report::deserialize_from_str(&junit::text(&mixed())).unwrap();
    assert_eq!(
        (report.tests, report.failures, report.errors, report.skipped),
        (7, 2, 3, 1)
    );
}

#[test]
fn ctrf_counts_what_it_lists() {
    let report: Value = serde_json::from_str(&ctrf::text(&mixed())).unwrap();
    let summary = &report["results"]["summary"];
    let counts =
        ["tests", "passed", "failed", "pending", "other", "flaky"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(counts, [7, 1, 4, 1, 1, 1]);
    assert_eq!(
        summary["stop"].as_i64().unwrap() - summary["start"].as_i64().unwrap(),
        4800
    );
}

#[test]
fn a_scenario_that_was_not_run_is_not_green() {
    let mut told = told(vec![finished("flow::happy", Vec::new(), Scene::default())]);
    assert_eq!(told.exit(), Exit::Passed);
    told.missing.push("flow::other".to_owned());
    assert_eq!(told.exit(), Exit::Unfit);
}

#[test]
fn ten_annotations_at_most_and_the_worst_first() {
    let many = (10..40).map(|n| {
        let kind = if n == 30 { Kind::Fail } else { Kind::Infra };
        finished(&format!("a::{n}"), vec![found(kind, "x")], Scene::default())
    });
    let text = annotations::text(&told(many.collect()));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 10);
    assert!(
        lines[0].starts_with("::error title=fail%3A a%3A%3A30::"),
        "{}",
        lines[0]
    );
    assert!(
        lines[9].ends_with("%0Aand 20 more; the step's summary has them all"),
        "{}",
        lines[9]
    );
    let few = annotations::text(&told(vec![finished(
        "a::b",
        vec![found(Kind::Fail, "x")],
        Scene::default(),
    )]));
    assert!(few.lines().count() == 1 && !few.contains("more"), "{few}");
    assert_eq!(
        annotations::text(&told(vec![finished("a::b", Vec::new(), Scene::default())])),
        ""
    );
}

#[test]
fn a_summary_over_the_limit_stops_before_it_and_says_how_much_is_missing() {
    let long = "x".repeat(400);
    let many = (0..4000).map(|n| finished(&format!("a::n{n}"), vec![found(Kind::Fail, &long)], scene()));
    let told = told(many.collect());
    let text = summary::text(&told, 1_000_000);
    assert!(
        text.len() <= 1_000_000 && text.len() > 990_000,
        "{} bytes",
        text.len()
    );
    assert!(text.starts_with("## 20260102T030405.678Z-1a2b: a trial failed or hung\n\n4000 failed in "));
    let last = text.lines().last().unwrap();
    let left_out: usize = last.split(' ').next().unwrap().parse().unwrap();
    assert!(
        left_out > 1000 && last.ends_with(" more pieces of this summary had no room: see the stored run.")
    );
    // Beside what other commands of the step have written there may be no room at all.
    assert!(summary::text(&told, 100).len() <= 200);
}

#[test]
fn a_run_writes_what_is_asked_for() {
    let out = TempDir::new().unwrap();
    let mut settings = settings(&out);
    settings.step_summary = Some(path(&out).join("step.md"));
    fs::write(path(&out).join("step.md"), "before\n").unwrap();
    let dir = path(&out);
    let args = format!(
        "judge::loses judge::passes --rounds 2 --report junit={dir}/deep/j.xml --report ctrf={dir}/c.json \
         --report summary={dir}/s.md --report annotations={dir}/a.txt --report github"
    );
    assert_eq!(harness_with(settings, &args).exit, Exit::Failed);
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let junit = Report::deserialize_from_str(&read("deep/j.xml")).unwrap();
    assert_eq!((junit.tests, junit.failures), (2, 1));
    assert!(
        read("deep/j.xml").contains("<rerunFailure "),
        "{}",
        read("deep/j.xml")
    );
    assert!(read("a.txt").starts_with("::error file=harness/runner/tests/runner/memory/mod.rs,line="));
    assert!(read("step.md").starts_with("before\n## "));
    assert!(serde_json::from_str::<Value>(&read("c.json")).is_ok() && read("s.md").starts_with("## "));

    let nowhere = harness(&out, "judge::passes --report junit=/proc/nowhere/j.xml");
    assert_eq!(nowhere.exit, Exit::Refused);
    let bad = harness(&out, "judge::passes --report xunit=a");
    assert_eq!(bad.exit, Exit::Refused);
    assert!(bad.err.contains("`junit=FILE`, `ctrf=FILE`"), "{}", bad.err);
}

#[test]
fn stored_runs_are_told_as_one_and_what_is_missing_is_seen() {
    let out = TempDir::new().unwrap();
    let shards = path(&out).join("shards");
    assert_eq!(
        harness(&out, &format!("judge::passes --out {shards}/1")).exit,
        Exit::Passed
    );
    assert_eq!(
        harness(&out, &format!("judge::loses --out {shards}/2")).exit,
        Exit::Failed
    );
    let junit = path(&out).join("all.xml");
    let both = harness(
        &out,
        &format!("export {shards}/1 {shards}/2 --report junit={junit} --expect judge::passes --expect loses"),
    );
    assert_eq!(both.exit, Exit::Failed, "{}", both.err);
    let text = fs::read_to_string(&junit).unwrap();
    let report = Report::deserialize_from_str(&text).unwrap();
    assert_eq!((report.tests, report.failures), (2, 1), "{text}");
    assert!(
        text.contains("again:    harness reproduce "),
        "the scene is cut from the store: {text}"
    );

    let one = harness(&out, &format!("export {shards}/1 --expect judge::*"));
    assert_eq!(one.exit, Exit::Unfit);
    assert!(one.out.contains("not run: judge::loses\n"), "{}", one.out);
    assert_eq!(harness(&out, &format!("export {shards}/1")).exit, Exit::Passed);

    // A trial that was killed leaves its folder without a verdict.
    fs::remove_file(shards.join("1/latest/judge.passes/verdict.json")).unwrap();
    let killed = harness(&out, &format!("export {shards}/1"));
    assert_eq!(killed.exit, Exit::Unfit);

    fs::create_dir(path(&out).join("empty")).unwrap();
    let empty = harness(&out, &format!("export {}/empty", path(&out)));
    assert_eq!(empty.exit, Exit::NothingSelected);
}

#[test]
fn foreign_text_cannot_drive_a_workflow() {
    let out = TempDir::new().unwrap();
    let mut settings = settings(&out);
    settings.github_actions = true;
    let said = harness_with(settings, "judge::loses judge::passes --jobs 1");
    let lines: Vec<_> = said.out.lines().collect();
    let stop = lines
        .iter()
        .position(|line| line.starts_with("::stop-commands::"))
        .unwrap();
    let token = lines[stop].trim_start_matches("::stop-commands::");
    let start = lines
        .iter()
        .position(|line| *line == format!("::{token}::"))
        .unwrap();
    let log = lines
        .iter()
        .position(|line| line.contains("lost the broker"))
        .unwrap();
    assert!(stop < log && log < start, "{}", said.out);
    assert_eq!(said.out.matches("::stop-commands::").count(), 1, "{}", said.out);
    assert!(!harness(&out, "judge::loses").out.contains("::stop-commands::"));
}

/// What `harness ARGS` says in a step of a workflow.
fn in_a_step(out: &TempDir, args: &str) -> Said {
    let mut settings = settings(out);
    settings.github_actions = true;
    harness_with(settings, args)
}

/// All of `text` is where commands are switched off.
fn is_stopped(text: &str) -> bool {
    let lines: Vec<_> = text.lines().collect();
    let Some(token) = lines[0].strip_prefix("::stop-commands::") else {
        return false;
    };
    let ends = lines.iter().filter(|line| **line == format!("::{token}::"));
    lines.len() > 2 && ends.count() == 1 && lines.last().is_some_and(|last| last.contains(token))
}

#[test]
fn no_command_lets_foreign_text_drive_a_workflow() {
    let out = TempDir::new().unwrap();
    harness(&out, "judge::loses");
    let run = path(&out).join("latest").canonicalize_utf8().unwrap();
    let bugs = catalogue(&out, &entry("found", "forgetful", "no-loss"));
    for args in [
        &format!("recheck {run}/judge.loses"),
        &format!("coverage {run}"),
        &format!("quarantine propose {run}/judge.loses --owner a --issue b"),
        "quarantine list",
        "sweep judge::loses --trials 5 --seed 1",
        &format!("mutants --no-baseline --bugs {bugs}"),
        "doctor",
    ] {
        let said = in_a_step(&out, args);
        assert!(is_stopped(&said.out), "{args}: {}", said.out);
        assert_eq!(said.out.matches("::stop-commands::").count(), 1, "{args}");
        assert!(!harness(&out, args).out.contains("::stop-commands::"), "{args}");
    }
    let refused = in_a_step(&out, "recheck nowhere");
    assert!(is_stopped(&refused.err), "{}", refused.err);
}

#[test]
fn json_lines_hold_no_workflow_commands() {
    let out = TempDir::new().unwrap();
    for args in [
        "judge::loses --seed 1 --format json",
        "sweep judge::loses --trials 5 --seed 1 --format json",
        "coverage --format json",
        "list --format json",
    ] {
        let said = in_a_step(&out, args);
        assert!(
            !said.out.contains(['#']) && !said.out.contains("::stop"),
            "{args}"
        );
        for line in said.out.lines() {
            serde_json::from_str::<Value>(line).unwrap();
        }
    }
}

#[test]
fn commands_of_ours_are_not_switched_off() {
    let out = TempDir::new().unwrap();
    harness(&out, "judge::loses");
    let said = in_a_step(&out, "export --report github");
    let stop = said.out.find("::stop-commands::").unwrap();
    assert!(said.out[..stop].starts_with("::error file="), "{}", said.out);
    assert!(is_stopped(&said.out[stop..]), "{}", said.out);
}
