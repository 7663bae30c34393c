//! What reporters make of the events of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use harness_model::event::{Ending, Event as Step_, FaultChange, Side, Step};
use harness_model::seed::Seed;
use harness_model::verdict::{Finding, Kind, Timings, Verdict};
use harness_runner::exit::Exit;
use harness_runner::report::json::Json;
use harness_runner::report::pretty::Pretty;
use harness_runner::report::scene::{self, Scene};
use harness_runner::report::{Event, Finished, Reporter, Totals};

use crate::golden;

pub(crate) fn finished(scenario: &str, findings: Vec<Finding>, scene: Scene) -> Finished {
    let mut verdict = Verdict::of(findings);
    let phase = |name: &str, ms| (name.to_owned(), Duration::from_millis(ms));
    verdict.timings = Timings {
        phases: vec![phase("lease", 120), phase("body", 2300)],
    };
    if verdict.kind == Kind::Pass {
        verdict.timings.phases.push(phase("judge", 3));
    }
    verdict.measures = BTreeMap::from([("events".to_owned(), 41)]);
    let trial = scenario.replace("::", ".");
    let dir = format!("/out/run/{trial}").into();
    Finished {
        trial,
        scenario: scenario.to_owned(),
        seed: Seed(7),
        dir,
        verdict,
        quarantine: None,
        scene,
    }
}

pub(crate) fn scene() -> Scene {
    let event = |n: u64, svc: Option<&str>, step| {
        (
            n,
            Step_ {
                n,
                at: n * 1_234_567,
                svc: svc.map(Into::into),
                conn: None,
                chan: None,
                step,
            },
        )
    };
    let bitten = FaultChange::Bitten {
        proof: "exit code 137".to_owned(),
    };
    let mut events = BTreeMap::from([
        event(
            3,
            None,
            Step::Fault {
                id: "kill-broker".into(),
                change: bitten,
            },
        ),
        event(4, Some("analyzer"), Step::Ack { covers: Vec::new() }),
        event(
            5,
            Some("tags"),
            Step::Disconnect {
                to: harness_model::event::Backend::Broker,
                by: Side::Server,
                how: Ending::Rst,
            },
        ),
    ]);
    events.extend((6..30).map(|n| {
        event(
            n,
            Some("renderer"),
            Step::Note {
                text: format!("note\u{7} {n}"),
            },
        )
    }));
    let tails = BTreeMap::from([
        (
            "analyzer".to_owned(),
            vec!["reconnecting".to_owned(), "::error::forged".to_owned()],
        ),
        ("silent".to_owned(), Vec::new()),
    ]);
    Scene { events, tails }
}

fn run() -> Vec<Event> {
    let lost = Finding::new(
        Kind::Fail,
        "no-loss",
        "report 17 was confirmed and is nowhere\nlast seen in tags",
    )
    .about((17_u64..40).map(Into::into))
    .shown_by(3..30)
    .shown_by([99]);
    let quiet = Finding::new(Kind::Invalid, "not-vacuous", "no redelivery was seen").shown_by([99]);
    let failed = finished("broker::kill", vec![quiet, lost], scene());
    let mut totals = Totals {
        not_run: 1,
        took: Duration::from_millis(4800),
        exit: 100,
        ..Totals::default()
    };
    totals.count(Kind::Pass);
    totals.count(Kind::Fail);
    vec![
        Event::RunStarted {
            run: "20260102T030405.000Z-1a2b".to_owned(),
            seed: Seed(7),
            trials: 3,
            dir: "/out/run".into(),
        },
        Event::TrialStarted {
            trial: "broker.kill".to_owned(),
            scenario: "broker::kill".to_owned(),
            seed: Seed(7),
        },
        Event::Phase {
            trial: "broker.kill".to_owned(),
            phase: "lease".to_owned(),
        },
        Event::TrialFinished(Box::new(finished("flow::happy", Vec::new(), Scene::default()))),
        Event::TrialFinished(Box::new(failed)),
        Event::RunFinished(totals),
    ]
}

fn shown<'a>(make: impl FnOnce(&'a mut Vec<u8>) -> Box<dyn Reporter + 'a>, out: &'a mut Vec<u8>) {
    let mut reporter = make(out);
    for event in run() {
        reporter.show(&event).unwrap();
    }
}

#[test]
fn people_see_lines_and_the_scene_of_what_failed() {
    let mut out = Vec::new();
    shown(|out| Box::new(Pretty::new(out, false, true)), &mut out);
    golden("pretty", &String::from_utf8(out).unwrap());
}

#[test]
fn programs_see_one_object_a_line() {
    let mut out = Vec::new();
    shown(|out| Box::new(Json(out)), &mut out);
    golden("json", &String::from_utf8(out).unwrap());
}

#[test]
fn the_diagnosis_is_one_paragraph() {
    let Event::TrialFinished(failed) = &run()[4] else {
        panic!("the fifth event ends a trial")
    };
    let headline = scene::headline(failed);
    assert!(
        headline
            .starts_with("fail: broker::kill: no-loss: report 17 was confirmed and is nowhere (reports 17, ")
    );
    assert!(
        headline.ends_with(" and 3 more); and 1 more finding; seed 7"),
        "{headline}"
    );
    assert!(!headline.contains('\n'));
}

#[test]
fn exit_codes_are_as_documented() {
    let codes = Exit::ALL.map(|exit| (exit.code(), exit.meaning()));
    assert_eq!(codes.map(|(code, _)| code), [0, 1, 4, 96, 97, 100, 102, 130]);
    assert_eq!(Exit::of([]), Exit::Passed);
    assert_eq!(Exit::of([Kind::Pass, Kind::Pass]), Exit::Passed);
    assert_eq!(Exit::of([Kind::Pass, Kind::Invalid]), Exit::Unfit);
    assert_eq!(Exit::of([Kind::Infra, Kind::Pass]), Exit::Unfit);
    assert_eq!(Exit::of([Kind::Infra, Kind::Hang]), Exit::Failed);
    assert_eq!(Exit::of([Kind::Fail, Kind::Infra]), Exit::Failed);
}
