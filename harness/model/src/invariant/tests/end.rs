//! `recovered`, `at-rest` and `process-alive`: how a trial ends.

use crate::event::{Backend, Fate, Step, Verb};
use crate::fault::Target;
use crate::invariant::testing::{Trial, accepted, found, rejected};

const RECOVERED: &str = "recovered";
const REST: &str = "at-rest";
const ALIVE: &str = "process-alive";

/// The broker is killed and healed while one report is done.
fn outage() -> Trial {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan_kill("f", Target::Broker, None);
    trial.fault("f", crate::event::FaultChange::Armed);
    trial.kill_broker();
    trial.bitten("f");
    trial.container("broker", "started", None);
    trial.healed("f");
    trial
}

#[test]
fn a_canary_within_the_budget_is_proof() {
    let mut trial = outage();
    trial.say(Step::Phase {
        name: "canary".into(),
    });
    trial.recovered(30_000);
    accepted(&trial);
}

#[test]
fn no_canary_or_a_late_one_or_an_early_one() {
    let trial = outage();
    let healed = trial.last();
    rejected(
        RECOVERED,
        &trial,
        &[],
        &format!("no canary came through the pipeline after #{healed}; 30000 ms were allowed"),
    );
    let mut late = outage();
    late.recovered(30_001);
    rejected(
        RECOVERED,
        &late,
        &["1"],
        "canary 1 came through 30001 ms after the last healing; 30000 ms were allowed",
    );
    let mut early = outage();
    early.recovered(1);
    let healed = early.healed("f");
    rejected(
        RECOVERED,
        &early,
        &[],
        &format!("no canary came through the pipeline after #{healed}; 30000 ms were allowed"),
    );
}

#[test]
fn a_canary_is_expected_without_faults_too_once_it_was_sent() {
    let mut trial = Trial::new();
    trial.report(1);
    accepted(&trial);
    let phase = trial.say(Step::Phase {
        name: "canary".into(),
    });
    rejected(
        RECOVERED,
        &trial,
        &[],
        &format!("no canary came through the pipeline after #{phase}; 30000 ms were allowed"),
    );
}

#[test]
fn a_queue_that_nobody_consumes_any_more() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.end.queues.get_mut("report-tags").unwrap().consumers = 0;
    rejected(
        RECOVERED,
        &trial,
        &[],
        "queue tags (report-tags) has 0 of 1 consumers at the end",
    );
}

#[test]
fn messages_that_are_left() {
    let mut trial = Trial::new();
    trial.end.queues.get_mut("report-tags").unwrap().ready = 1;
    trial.end.queues.get_mut("report-analyze.retry").unwrap().ready = 2;
    trial.end.queues.get_mut("report-renderer").unwrap().stable = false;
    let told: Vec<_> = found(REST, &trial)
        .into_iter()
        .map(|finding| finding.what)
        .collect();
    assert_eq!(
        told,
        [
            "retry queue of analysis (report-analyze.retry) still holds 2 messages at the end",
            "queue renderer (report-renderer) never came to rest: two readings differ",
            "queue tags (report-tags) still holds 1 message at the end",
        ]
    );
}

#[test]
fn an_acknowledgement_that_is_owed() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.inject(1);
    let delivery = trial.deliver("tags", 1);
    rejected(
        REST,
        &trial,
        &["1"],
        &format!(
            "report 1: delivered to tags (queue tags) at #{delivery} and still outstanding on an open connection: never \
             acknowledged"
        ),
    );
    let ack = trial.ack(delivery);
    trial.fate(ack, Fate::Dropped);
    rejected(
        REST,
        &trial,
        &["1"],
        &format!(
            "report 1: delivered to tags (queue tags) at #{delivery} and still outstanding on an open connection: \
             acknowledged at #{ack}, but that frame was dropped"
        ),
    );
    let mut covered = trial.clone();
    covered.ack_all(&[delivery]);
    assert_eq!(found(REST, &covered), [], "a later acknowledgement covers it");
    trial.cut("tags");
    assert!(found(REST, &trial).is_empty());
}

#[test]
fn the_harness_may_leave_what_it_looks_at() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.say(Step::Phase {
        name: "collect".into(),
    });
    trial.deliver("tags", 1);
    accepted(&trial);
}

#[test]
fn a_service_that_ends_by_itself() {
    let mut trial = outage();
    trial.recovered(1);
    let exit = trial.container("tags", "exited", Some(101));
    rejected(
        ALIVE,
        &trial,
        &[],
        &format!("tags exited with code 101 at #{exit}, and no fault was aimed at it"),
    );

    let mut trial = Trial::new();
    let state = trial.end.services.get_mut("tags").unwrap();
    (state.running, state.exit) = (false, Some(1));
    trial.end.services.get_mut("analyzer").unwrap().health = 0;
    let told: Vec<_> = found(ALIVE, &trial)
        .into_iter()
        .map(|finding| finding.what)
        .collect();
    assert_eq!(
        told,
        [
            "analyzer answers nothing for its health at the end, not 200",
            "tags does not run at the end; it exited with code 1",
        ]
    );
}

#[test]
fn a_service_that_was_killed_may_end() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan_kill("f", Target::Service("tags".into()), None);
    trial.fault("f", crate::event::FaultChange::Armed);
    trial.container("tags", "exited", Some(137));
    trial.container("tags", "killed", Some(137));
    trial.container("tags", "exited", Some(137));
    trial.bitten("f");
    trial.container("tags", "started", None);
    trial.healed("f");
    trial.recovered(1);
    accepted(&trial);
    trial.container("tags", "exited", Some(137));
    assert_eq!(found(ALIVE, &trial).len(), 1);
}

#[test]
fn a_queue_that_nobody_consumes_keeps_what_it_has() {
    let mut trial = Trial::new();
    trial.plan.topology.services.remove("tags");
    trial.plan_report(1, &["bin"]);
    trial.inject(1);
    trial.analysed(1);
    trial.rendered(1);
    let state = trial.end.queues.get_mut("report-tags").unwrap();
    (state.ready, state.consumers) = (1, 0);
    accepted(&trial);
}

#[test]
fn a_service_that_the_scenario_stops_may_end() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.container("tags", "stopped", Some(0));
    trial.container("tags", "exited", Some(0));
    trial.container("tags", "started", None);
    accepted(&trial);
}

#[test]
fn each_instance_consumes_and_is_well() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan.topology.services.get_mut("tags").unwrap().instances = 2;
    let state = trial.end.services["tags"].clone();
    trial.end.services.insert("tags-2".into(), state);
    rejected(
        RECOVERED,
        &trial,
        &[],
        "queue tags (report-tags) has 1 of 2 consumers at the end",
    );
    trial.end.queues.get_mut("report-tags").unwrap().consumers = 2;
    accepted(&trial);
    trial
        .end
        .services
        .get_mut(&crate::name::Name::from("tags-2"))
        .unwrap()
        .running = false;
    trial.container("tags-2", "exited", Some(1));
    let told: Vec<_> = found(ALIVE, &trial)
        .into_iter()
        .map(|finding| finding.what)
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|what| what.starts_with("tags-2 ")), "{told:?}");
}

/// A way in which a transaction ends.
type End = fn(&mut Trial);

#[test]
fn a_transaction_that_nobody_ends() {
    let begun = |write: Verb, in_tx: bool| {
        let mut trial = Trial::new();
        trial.report(1);
        trial.query("tags", Verb::Begin, &[], true);
        let n = trial.query("tags", write, &[1], in_tx);
        (trial, n)
    };
    let (mut trial, n) = begun(Verb::Update, true);
    // Young enough to be under way.
    trial.say(Step::Phase { name: "rest".into() });
    assert_eq!(found(REST, &trial), []);
    trial.wait_ms(1000);
    trial.say(Step::Phase { name: "rest".into() });
    rejected(
        REST,
        &trial,
        &[],
        &format!(
            "tags has a transaction open in which it has written at #{n}, and neither commits it nor rolls it back"
        ),
    );
    let ends: [End; 4] = [
        |trial| _ = trial.query("tags", Verb::Commit, &[], false),
        |trial| _ = trial.query("tags", Verb::Rollback, &[], false),
        |trial| _ = trial.hang_up("tags", Backend::Database),
        |trial| _ = trial.container("database", "killed", Some(137)),
    ];
    for (i, end) in ends.into_iter().enumerate() {
        let (mut trial, _) = begun(Verb::Update, true);
        end(&mut trial);
        trial.wait_ms(1000);
        trial.say(Step::Phase { name: "rest".into() });
        assert_eq!(found(REST, &trial), [], "end {i}");
    }
    // A snapshot for reading locks nothing.
    let (mut trial, _) = begun(Verb::Select, true);
    trial.wait_ms(1000);
    trial.say(Step::Phase { name: "rest".into() });
    assert_eq!(found(REST, &trial), []);
}
