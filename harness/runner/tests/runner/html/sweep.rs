//! The page of a sweep: what it says of each kind of scenario, and that foreign text is nothing but text on it.

use std::collections::BTreeMap;
use std::fs;

use camino::Utf8PathBuf;
use harness_model::divergence::Divergence;
use harness_model::perturbation::{Axis, Perturbation};
use harness_model::seed::Seed;
use harness_model::verdict::Kind;
use harness_runner::sweep::{Arm, Record, Shard, Suspect, Sweep};
use tempfile::TempDir;

use crate::cli::harness;
use crate::path;

/// A name that no line holds.
const LONG: &str = "a_family_with_a_very_long_name::a_scenario_whose_name_goes_on_and_on_until_no_line_can_hold_it_all_at_once";
/// Text that would be markup, a control sequence, and another direction of writing.
const HOSTILE: &str = "<img src=x onerror=alert(1)>::\u{1b}[31m\u{202e}<script>alert(2)</script>";

/// So many trials of a scenario that end like this, after those that are there; those that did not pass say what they
/// showed.
fn add(records: &mut Vec<Record>, scenario: &str, times: u64, verdict: Kind, what: &str) {
    let before = records
        .iter()
        .filter(|record| record.scenario == scenario)
        .count() as u64;
    records.extend((before + 1..=before + times).map(|n| Record {
        scenario: scenario.to_owned(),
        n,
        seed: Seed(0xdead_beef + n),
        perturbation: Perturbation::draw(&Axis::ALL, Seed(n)),
        verdict,
        trial: format!("{n}/{}", scenario.replace("::", ".")),
        held: what.starts_with("held"),
        what: (verdict != Kind::Pass).then(|| what.to_owned()),
    }));
}

/// A sweep with every kind of scenario.
pub(super) fn sweep() -> Sweep {
    let mut records = Vec::new();
    let lost = "no-loss: report 17 was confirmed and is nowhere; confirmed at #211, delivered to tags 2 times, last at #240";
    for (scenario, runs) in [
        ("broker::killed_at_every_step", &[(59, Kind::Pass, "")][..]),
        ("deploy::half_done", &[(23, Kind::Pass, "")]),
        ("link::cut_at_ack", &[(5, Kind::Fail, lost)]),
        (
            "pipeline::no_engine",
            &[(5, Kind::Infra, "engine: no engine at /var/run/docker.sock")],
        ),
        (
            "service::never_bitten",
            &[(5, Kind::Invalid, "bite: the kill did not bite")],
        ),
        (
            "renderer::waited_for",
            &[
                (70, Kind::Pass, ""),
                (2, Kind::Fail, "held: it races"),
                (40, Kind::Pass, ""),
            ],
        ),
        (
            LONG,
            &[
                (31, Kind::Pass, ""),
                (3, Kind::Fail, lost),
                (180, Kind::Pass, ""),
                (
                    2,
                    Kind::Hang,
                    "deadline: body was not done within 30 s; last seen: 3 of 40 reports are at rest",
                ),
                (2, Kind::Infra, "engine: gone"),
                (80, Kind::Pass, ""),
            ],
        ),
        (HOSTILE, &[(9, Kind::Pass, ""), (1, Kind::Fail, HOSTILE)]),
    ] {
        for (times, verdict, what) in runs {
            add(&mut records, scenario, *times, *verdict, what);
        }
    }
    records.sort_by(|a, b| (&a.scenario, a.n).cmp(&(&b.scenario, b.n)));
    let arm = |without, failed, p| Arm { without, failed, p };
    let suspect = |trial: &str, arms: Vec<Arm>| Suspect {
        run: "20260102T030404.000Z-1a2b".to_owned(),
        trial: trial.to_owned(),
        divergence: Some(Divergence {
            service: "analyzer".to_owned(),
            event: Some(231),
            found: Some(format!("disconnect <b>{HOSTILE}</b>")),
            passing: vec![format!(
                "publish to {}",
                "report-analyze-with-a-long-name-".repeat(4)
            )],
            same: 41,
        }),
        again: Some((12, 24)),
        arms,
    };
    let known: BTreeMap<_, _> = [
        (
            LONG.to_owned(),
            suspect(
                "32/long",
                vec![
                    arm(Axis::Latency, (0, 24), 0.0002),
                    arm(Axis::Seed, (1, 24), 0.002),
                    arm(Axis::Cpu, (11, 24), 1.0),
                ],
            ),
        ),
        (HOSTILE.to_owned(), suspect(HOSTILE, Vec::new())),
    ]
    .into();
    let names: std::collections::BTreeSet<String> =
        records.iter().map(|record| record.scenario.clone()).collect();
    let asked = names
        .iter()
        .cloned()
        .chain(["ops::elsewhere".to_owned()])
        .collect();
    let dealt = names.into_iter().chain(["worker::untried".to_owned()]).collect();
    Sweep {
        runs: vec!["20260102T030404.000Z-1a2b".to_owned()],
        revision: format!("{HOSTILE}-dirty"),
        seed: Seed(12_345_678_901_234_567),
        axes: Axis::ALL.to_vec(),
        trials: 100,
        shards: [Shard { part: 1, of: 3 }, Shard { part: 3, of: 3 }].into(),
        asked,
        dealt,
        records,
        suspects: known,
    }
}

/// Stores a sweep and has its page written; the page.
pub(super) fn write(out: &TempDir, sweep: &Sweep) -> Utf8PathBuf {
    let dir = path(out).join("stored");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("sweep.json"), serde_json::to_string(sweep).unwrap()).unwrap();
    fs::write(path(out).join("history.jsonl"), "{broken\n").unwrap();
    let said = harness(out, &format!("sweep merge {dir}"));
    assert_eq!(said.err, "");
    path(out).canonicalize_utf8().unwrap().join("report.html")
}

#[test]
fn every_kind_of_scenario_is_told_and_foreign_text_is_escaped() {
    let out = TempDir::new().unwrap();
    let page = fs::read_to_string(write(&out, &sweep())).unwrap();
    for said in [
        "1 regression</span>",
        "3 flaky</span>",
        "<title>1 regression, 3 flaky, 1 infra, 1 invalid, 1 open, 1 stable",
        "latency, its seed",
        "trial 1: no-loss: report 17 was confirmed and is nowhere",
        "without latency</dt><dd>0 of 24 failed, p 0.0002: it takes this to fail",
        "deadline 2, no-loss 3",
        "2 of 2 failures",
        "shard 2 is missing",
        "no trial of worker::untried was run",
        "not in here are ops::elsewhere",
        "history.jsonl: line 1 is skipped",
        "harness reproduce",
        "&lt;img src=x onerror=alert(1)&gt;::&lt;script&gt;",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    for forbidden in [
        "<img", "<script", "\u{1b}", "\u{202e}", "http://", "https://", "url(",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_long_night_is_a_page_of_less_than_5_mb() {
    let out = TempDir::new().unwrap();
    let mut night = sweep();
    for i in 0..40 {
        add(&mut night.records, &format!("flow::{i}"), 500, Kind::Pass, "");
        add(
            &mut night.records,
            &format!("flow::{i}"),
            25,
            Kind::Fail,
            "no-loss: report 1 is nowhere",
        );
    }
    let page = fs::read_to_string(write(&out, &night)).unwrap();
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    assert_eq!(
        page.matches(">F</i>").count(),
        40 * 25 + 5 + 3 + 2 + 1 + 2,
        "every trial has a cell"
    );
}
