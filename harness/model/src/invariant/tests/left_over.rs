//! `at-rest` and what a service has made twice; `durable-topology` and what it has changed on the broker.

use crate::event::{Side, Step};
use crate::evidence::{Binding, Declared};
use crate::fault::FaultKind;
use crate::invariant::testing::{Trial, accepted, found, rejected};

const REST: &str = "at-rest";
const DURABLE: &str = "durable-topology";

fn consume(trial: &mut Trial, svc: &str, queue: &str, tag: &str) -> u64 {
    let (queue, consumer) = (queue.into(), tag.into());
    trial.on(
        svc,
        Step::Consume {
            queue,
            consumer,
            no_ack: false,
        },
    )
}

/// The tags service consumes and does a report; then its consumer is taken away by a fault, which is healed.
fn cancelled() -> (Trial, u64) {
    let mut trial = Trial::new();
    consume(&mut trial, "tags", "report-tags", "t1");
    trial.report(1);
    let cancel = Step::Cancel {
        by: Side::Server,
        consumer: "t1".into(),
        queue: None,
    };
    trial.begin("f", FaultKind::DeleteQueue { queue: "tags".into() });
    let cancelled = trial.on("tags", cancel);
    trial.healed("f");
    (trial, cancelled)
}

#[test]
fn who_consumes_again_where_it_consumed_has_left_nothing() {
    let (mut trial, _) = cancelled();
    consume(&mut trial, "tags", "report-tags", "t2");
    trial.recovered(10);
    accepted(&trial);
}

#[test]
fn who_closes_the_old_channel_has_left_nothing() {
    let (mut trial, _) = cancelled();
    let closed = Step::ChannelClosed {
        by: Side::Client,
        code: 200,
        text: String::new(),
    };
    trial.on("tags", closed);
    trial.on("tags", Step::ChannelOpened);
    consume(&mut trial, "tags", "report-tags", "t2");
    trial.recovered(10);
    accepted(&trial);
}

#[test]
fn a_connection_that_was_replaced_and_is_still_open() {
    let (mut trial, cancelled) = cancelled();
    trial.set_aside("tags");
    consume(&mut trial, "tags", "report-tags", "t2");
    trial.recovered(10);
    let conn = trial.evidence().ledger.get(cancelled).unwrap().conn.unwrap();
    let what = format!(
        "tags has left connection {conn} open: its consumers ended at #{cancelled}, nothing was published on it since, \
         and tags consumes on another one"
    );
    rejected(REST, &trial, &[], &what);
    trial.lose_aside("tags");
    accepted(&trial);
}

#[test]
fn a_connection_that_is_kept_for_publishing() {
    let (mut trial, _) = cancelled();
    trial.retry("tags", "tags", 1, 1);
    trial.set_aside("tags");
    consume(&mut trial, "tags", "report-tags", "t2");
    assert_eq!(found(REST, &trial), []);
}

#[test]
fn a_channel_that_was_replaced_and_is_still_open() {
    let (mut trial, cancelled) = cancelled();
    let opened = trial.on("tags", Step::ChannelOpened);
    trial.move_to(opened, 2);
    let consumes = consume(&mut trial, "tags", "report-tags", "t2");
    trial.move_to(consumes, 2);
    let conn = trial.evidence().ledger.get(cancelled).unwrap().conn.unwrap();
    let what = format!(
        "tags has left channel 1 of connection {conn} open: its consumers ended at #{cancelled}, nothing was published on \
         it since, and tags consumes on another one"
    );
    rejected(REST, &trial, &[], &what);
}

#[test]
fn one_consumer_more_after_each_disturbance() {
    let mut trial = Trial::new();
    consume(&mut trial, "tags", "report-tags", "t1");
    trial.report(1);
    trial.begin("f", FaultKind::CloseConnections);
    trial.healed("f");
    trial.set_aside("tags");
    consume(&mut trial, "tags", "report-tags", "t2");
    trial.recovered(10);
    // The broker says that there is one only: it has taken the other away without a word.
    assert_eq!(found(REST, &trial), []);
    trial.end.queues.get_mut("report-tags").unwrap().consumers = 2;
    let what = "tags has 2 consumers on queue tags at the end; before the first fault it had 1";
    rejected(REST, &trial, &[], what);
}

#[test]
fn as_many_consumers_as_a_service_likes_if_it_had_them_before() {
    let mut trial = Trial::new();
    for tag in ["t1", "t2", "t3"] {
        consume(&mut trial, "tags", "report-tags", tag);
    }
    trial.report(1);
    trial.end.queues.get_mut("report-tags").unwrap().consumers = 3;
    trial.kill_broker();
    for tag in ["t4", "t5", "t6"] {
        consume(&mut trial, "tags", "report-tags", tag);
    }
    assert_eq!(found(REST, &trial), []);
}

fn binding(to: &str, key: &str) -> Binding {
    Binding {
        source: "cleanapp".into(),
        to: to.into(),
        key: key.into(),
        arguments: String::new(),
    }
}

fn declared() -> Declared {
    Declared {
        exchanges: [("cleanapp".into(), "direct, durable".to_owned())].into(),
        queues: [("report-tags".into(), "classic, durable".to_owned())].into(),
        bindings: [binding("report-tags", "report.raw")].into(),
        policies: [("dlx".into(), "^report-tags$ {}".to_owned())].into(),
    }
}

fn drifted(change: impl FnOnce(&mut Declared)) -> Trial {
    let mut trial = Trial::new();
    trial.report(1);
    trial.end.declared_before = Some(declared());
    let mut after = declared();
    change(&mut after);
    trial.end.declared_after = Some(after);
    trial
}

#[test]
fn what_the_topology_declares_is_there_at_the_end() {
    accepted(&drifted(|_| {}));
    let cases: Vec<(Trial, &str)> = vec![
        (
            drifted(|after| after.exchanges.clear()),
            "exchange cleanapp is gone at the end; it was: direct, durable",
        ),
        (
            drifted(|after| after.queues.clear()),
            "queue report-tags is gone at the end; it was: classic, durable",
        ),
        (
            drifted(|after| drop(after.queues.insert("report-tags".into(), "classic".to_owned()))),
            "queue report-tags is classic at the end; it was: classic, durable",
        ),
        (
            drifted(|after| after.policies.clear()),
            "policy dlx is gone at the end; it was: ^report-tags$ {}",
        ),
        (
            drifted(|after| after.bindings.clear()),
            "the binding of report-tags to exchange cleanapp by \"report.raw\" is gone at the end",
        ),
        (
            drifted(|after| assert!(after.bindings.insert(binding("report-tags", "#")))),
            "the binding of report-tags to exchange cleanapp by \"#\" has come, which the topology does not have",
        ),
        (
            drifted(|after| drop(after.policies.insert("ttl".into(), ".* {}".to_owned()))),
            "policy ttl has come, which the topology does not have: .* {}",
        ),
    ];
    for (trial, what) in cases {
        rejected(DURABLE, &trial, &[], what);
    }
}

#[test]
fn who_has_undone_it_is_named() {
    let mut trial = drifted(|after| after.bindings.clear());
    let unbind = |key: &str| Step::Unbind {
        queue: "report-tags".into(),
        exchange: "cleanapp".into(),
        key: key.to_owned(),
    };
    trial.on("tags", unbind("report.other"));
    let by = trial.on("tags", unbind("report.raw"));
    let gone = "the binding of report-tags to exchange cleanapp by \"report.raw\" is gone at the end";
    rejected(
        DURABLE,
        &trial,
        &[],
        &format!("{gone}; tags has undone it at #{by}"),
    );

    let mut trial = drifted(|after| after.queues.clear());
    let by = trial.on(
        "tags",
        Step::Delete {
            what: "queue".into(),
            name: "report-tags".into(),
        },
    );
    let gone = "queue report-tags is gone at the end; it was: classic, durable";
    rejected(
        DURABLE,
        &trial,
        &[],
        &format!("{gone}; tags has undone it at #{by}"),
    );
}

#[test]
fn a_service_may_have_queues_of_its_own() {
    accepted(&drifted(|after| {
        after.exchanges.insert("own".into(), "fanout".to_owned());
        after.queues.insert("replies".into(), "classic".to_owned());
        let mut own = binding("replies", "");
        own.source = "own".into();
        after.bindings.insert(own);
    }));
    // One that copies what the topology sends is none of its own: it fills up for ever.
    let copies = drifted(|after| assert!(after.bindings.insert(binding("copies", "report.raw"))));
    let what = "the binding of copies to exchange cleanapp by \"report.raw\" has come, which the topology does not have";
    rejected(DURABLE, &copies, &[], what);
}
