//! The life of a trial, with simulated time.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::Duration;

use harness_model::seed::Seed;
use harness_model::verdict::{Kind, Verdict};
use harness_runner::cancel::Cancel;
use harness_runner::config::UnderTest;
use harness_runner::kit::Kit;
use harness_runner::quarantine::Ward;
use harness_runner::report::{Event, Finished};
use harness_runner::scenario::Scenario;
use harness_runner::trial::{self, Judge, Limits, Shared};
use harness_runner::{logging, run, store};
use tempfile::TempDir;
use tracing::instrument::WithSubscriber;

use crate::memory::{self, Memory, MemoryKit, World};
use crate::path;

struct Lived {
    finished: Finished,
    calls: Vec<String>,
    events: Vec<Event>,
    /// Keeps the store alive for as long as it is looked at.
    _out: TempDir,
}

impl Lived {
    fn verdict(&self) -> &Verdict {
        &self.finished.verdict
    }

    /// Kind, rule and text of each finding.
    fn findings(&self) -> Vec<(Kind, &str, &str)> {
        self.verdict()
            .findings
            .iter()
            .map(|found| (found.kind, &*found.rule, &*found.what))
            .collect()
    }
}

fn scenario(name: &str) -> &'static Scenario<World> {
    MemoryKit
        .catalogue()
        .iter()
        .find(|scenario| scenario.name == name)
        .unwrap()
}

async fn live(name: &str, script: &str) -> Lived {
    live_with(name, script, memory::judge, false).await
}

async fn live_with(name: &str, script: &str, judge: Judge, interrupt: bool) -> Lived {
    let out = TempDir::new().unwrap();
    let environment = Memory::scripted(script);
    let run = store::Run::create(path(&out), None, store::KEPT).unwrap();
    let (under_test, cancel) = (UnderTest::default(), Cancel::default());
    let shared = Shared {
        environment: &environment,
        judge,
        limits: Limits::default(),
        run: &run,
        under_test: &under_test,
        ward: &Ward::default(),
        cancel: &cancel,
    };
    let (sender, receiver) = mpsc::channel();
    let interruption = async {
        if interrupt {
            environment.waiting.notified().await;
            cancel.cancel();
        }
    };
    let (finished, ()) = tokio::join!(
        trial::run(&shared, scenario(name), Seed(1).derive(name), &sender),
        interruption
    );
    drop(sender);
    let calls = environment.calls.lock().unwrap().clone();
    Lived {
        finished,
        calls,
        events: receiver.iter().collect(),
        _out: out,
    }
}

fn phases(verdict: &Verdict) -> Vec<&str> {
    verdict
        .timings
        .phases
        .iter()
        .map(|(name, _)| name.as_str())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_passes_goes_through_all_phases_once() {
    let lived = live("judge::passes", "").await;
    assert_eq!(lived.findings(), []);
    let steps = [
        "lease",
        "open",
        "body",
        "heal",
        "quiesce",
        "canary",
        "collect",
        "closing a trial that is pass so far",
        "close",
    ];
    assert_eq!(lived.calls, steps);
    let expected = [
        "lease",
        "provision",
        "ready",
        "body",
        "heal",
        "quiesce",
        "canary",
        "collect",
        "close",
        "judge",
    ];
    assert_eq!(phases(lived.verdict()), expected);
    let seen = lived.events.iter().filter_map(|event| match event {
        Event::Phase { phase, .. } => Some(phase.as_str()),
        _ => None,
    });
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    assert_eq!(lived.verdict().measures["recovery_ms"], 7);

    let stored = store::read(&lived.finished.dir).unwrap();
    assert_eq!(stored.verdict, *lived.verdict());
    assert_eq!(stored.evidence.ledger.events().len(), 3);
    assert_eq!(stored.about.facts["broker"], "in memory");
    assert_eq!(stored.schedule.seed, Seed(1).derive("judge::passes"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_is_followed_by_everything_else() {
    let lived = live("body::fails", "").await;
    assert_eq!(
        lived.findings(),
        [(
            Kind::Fail,
            "body",
            "two rows where one should be\nhint: count again"
        )]
    );
    assert_eq!(
        lived.calls.join(" "),
        "lease open heal quiesce canary collect closing a trial that is fail so far close"
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_its_budget_is_a_hang_that_says_what_was_last_seen() {
    let lived = live("body::hangs", "").await;
    let what = "body was not done within 50ms; last seen: 3 of 4 reports";
    assert_eq!(lived.findings(), [(Kind::Hang, "deadline", what)]);
    let body = lived
        .verdict()
        .timings
        .phases
        .iter()
        .find(|(name, _)| name == "body")
        .unwrap();
    assert_eq!(body.1, Duration::from_millis(50));
    assert!(lived.calls.contains(&"close".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_body_is_a_failure_with_message_and_place() {
    let lived = live("body::panics", "").await;
    let [(Kind::Fail, "body", what)] = lived.findings()[..] else {
        panic!("{:?}", lived.findings())
    };
    assert!(
        what.starts_with("panicked: at the disco at ") && what.contains("memory/mod.rs:"),
        "{what}"
    );
    assert_eq!(
        lived.calls.join(" "),
        "lease open heal quiesce canary collect closing a trial that is fail so far close"
    );
}

#[tokio::test(start_paused = true)]
async fn what_each_step_of_the_environment_leads_to() {
    use Kind::{Fail, Hang, Infra};
    let after_heal = "lease open body heal collect closing a trial that is infra so far close";
    let all = |kind| {
        format!("lease open body heal quiesce canary collect closing a trial that is {kind} so far close")
    };
    let table = [
        ("lease=infra", Infra, "engine", "lease".to_owned()),
        ("lease=hangs", Infra, "deadline", "lease".to_owned()),
        ("open=infra", Infra, "engine", "lease open".to_owned()),
        ("open=fails", Fail, "body", "lease open".to_owned()),
        ("open=hangs", Infra, "deadline", "lease open".to_owned()),
        ("open=panics", Infra, "harness", "lease open".to_owned()),
        ("heal=fails", Infra, "body", after_heal.to_owned()),
        ("heal=hangs", Infra, "deadline", after_heal.to_owned()),
        ("heal=panics", Infra, "harness", after_heal.to_owned()),
        ("quiesce=fails", Fail, "body", all("fail")),
        ("quiesce=hangs", Hang, "deadline", all("hang")),
        (
            "quiesce=infra",
            Infra,
            "engine",
            all("infra").replace("canary ", ""),
        ),
        ("canary=fails", Fail, "body", all("fail")),
        ("canary=hangs", Hang, "deadline", all("hang")),
        ("collect=fails", Infra, "body", all("infra")),
        ("collect=hangs", Infra, "deadline", all("infra")),
        ("collect=panics", Infra, "harness", all("infra")),
        ("close=fails", Infra, "body", all("pass")),
        ("close=hangs", Infra, "deadline", all("pass")),
    ];
    for (script, kind, rule, calls) in table {
        let lived = live("judge::passes", script).await;
        assert_eq!(lived.verdict().kind, kind, "{script}: {:?}", lived.findings());
        assert_eq!(
            lived.findings().iter().map(|found| found.1).collect::<Vec<_>>(),
            [rule],
            "{script}"
        );
        assert_eq!(
            lived.calls.join(" "),
            calls,
            "{script}: each step is taken once, and never again"
        );
        assert_eq!(
            store::read_verdict(&lived.finished.dir).unwrap(),
            *lived.verdict(),
            "{script}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn standing_in_line_has_a_deadline_of_its_own() {
    let lived = live("judge::passes", "lease=hangs").await;
    assert_eq!(
        lived.findings()[0].2,
        "lease was not done within 1800s; last seen: all backends are in use"
    );
}

#[tokio::test(start_paused = true)]
async fn what_hangs_in_opening_is_named() {
    let lived = live("judge::passes", "open=hangs").await;
    assert_eq!(
        lived.findings()[0].2,
        "open was not done within 180s; last seen: phase provision"
    );
}

#[tokio::test(start_paused = true)]
async fn invariants_are_judged_unless_the_environment_let_the_trial_down() {
    let loss = (Kind::Fail, "no-loss", "1 of the injected reports went nowhere");
    assert_eq!(live("judge::loses", "").await.findings(), [loss]);
    let healed = live("judge::loses", "heal=fails").await;
    assert_eq!(healed.findings(), [(Kind::Infra, "body", "heal says no")]);
    // Evidence that was taken before giving back failed is good evidence.
    let closed = live("judge::loses", "close=fails").await;
    assert_eq!(closed.findings(), [loss, (Kind::Infra, "body", "close says no")]);
}

#[tokio::test(start_paused = true)]
async fn the_worst_finding_wins_and_stands_first() {
    let lived = live("body::invalid", "canary=hangs").await;
    let kinds: Vec<_> = lived.findings().iter().map(|found| found.0).collect();
    assert_eq!(kinds, [Kind::Fail, Kind::Hang, Kind::Invalid]);
    assert_eq!(lived.verdict().kind, Kind::Fail);
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_falls_over_knows_nothing() {
    let lived = live("judge::panics", "").await;
    let [(Kind::Infra, "harness", what)] = lived.findings()[..] else {
        panic!("{:?}", lived.findings())
    };
    assert!(
        what.starts_with("the judge panicked: 13 is too much at "),
        "{what}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_interruption_drops_the_body_and_still_heals_collects_and_closes() {
    let lived = live_with("body::hangs", "", |_| panic!("not to be judged"), true).await;
    assert_eq!(
        lived.findings(),
        [(
            Kind::Infra,
            "interrupted",
            "interrupted in body; last seen: 3 of 4 reports"
        )]
    );
    assert_eq!(
        lived.calls.join(" "),
        "lease open heal collect closing a trial that is infra so far close"
    );
    assert!(lived.finished.dir.join("ledger.jsonl").is_file());
}

#[tokio::test(start_paused = true)]
async fn after_an_interruption_nothing_lasts_long() {
    let lived = live_with(
        "body::hangs",
        "heal=hangs,collect=hangs,close=hangs",
        memory::judge,
        true,
    )
    .await;
    assert_eq!(lived.findings().len(), 4);
    assert!(
        lived.verdict().timings.total() < Duration::from_secs(10),
        "nextest grants 10 s"
    );
}

#[tokio::test(start_paused = true)]
async fn each_trial_has_a_log_of_its_own() {
    let subscriber = logging::subscriber("info").unwrap();
    let lived = live("judge::passes", "").with_subscriber(subscriber).await;
    let log = std::fs::read_to_string(lived.finished.dir.join("trial.log")).unwrap();
    assert!(log.contains("injecting reports=1"), "{log}");
    assert!(log.contains("trial begins scenario=judge::passes"), "{log}");
    assert!(logging::subscriber("no such=filter=x").is_err());
}

#[test]
fn seeds_and_order_follow_from_the_seed_of_the_run() {
    let plan = |seed| {
        let planned = run::plan(MemoryKit.catalogue(), &[], false, Seed(seed), 1).unwrap();
        planned
            .iter()
            .map(|planned| (planned.scenario.name, planned.seed))
            .collect::<Vec<_>>()
    };
    assert_eq!(plan(3), plan(3));
    assert_ne!(plan(3), plan(4));
    assert!(plan(3).iter().all(|(name, seed)| *seed == Seed(3).derive(name)));
    let sets = [plan(3), plan(4)].map(|plan| plan.iter().map(|trial| trial.0).collect::<BTreeSet<_>>());
    assert_eq!(sets[0], sets[1]);
    // A filter changes neither.
    let few = run::plan(MemoryKit.catalogue(), &["judge::*".to_owned()], false, Seed(3), 1).unwrap();
    let few: Vec<_> = few
        .iter()
        .map(|planned| (planned.scenario.name, planned.seed))
        .collect();
    let all: Vec<_> = plan(3)
        .into_iter()
        .filter(|trial| trial.0.starts_with("judge::"))
        .collect();
    assert_eq!(few, all);
    // Another round is other seeds of the same scenarios; the first one stays what it was.
    let rounds = run::plan(MemoryKit.catalogue(), &[], false, Seed(3), 2).unwrap();
    let rounds: Vec<_> = rounds
        .iter()
        .map(|planned| (planned.scenario.name, planned.seed))
        .collect();
    let (first, second) = rounds.split_at(rounds.len() / 2);
    assert_eq!(first, plan(3));
    assert!(second.iter().all(|trial| !first.contains(trial)));
}
