//! `ack-after-effect`, `prefetch-bounded` and `durable-topology`: what a service does on its links.

use crate::event::{Backend, Ending, Side, Step, Verb};
use crate::invariant::testing::{Trial, accepted, found, rejected};

const ACK: &str = "ack-after-effect";
const PREFETCH: &str = "prefetch-bounded";
const DURABLE: &str = "durable-topology";

/// A report that the tags service has done, the analyzer not.
fn tagged(trial: &mut Trial, seq: u64) {
    trial.plan_report(seq, &[]);
    trial.inject(seq);
    trial.tagged(seq);
}

fn announced(trial: &mut Trial, seq: u64) {
    let event = trial.announce(seq);
    trial.confirm(event);
    trial.rendered(seq);
}

#[test]
fn acknowledged_before_the_commit() {
    let mut trial = Trial::new();
    tagged(&mut trial, 1);
    let delivery = trial.deliver("analysis", 1);
    trial.query("analyzer", Verb::Begin, &[], true);
    trial.query("analyzer", Verb::Insert, &[1], true);
    let ack = trial.ack(delivery);
    trial.query("analyzer", Verb::Commit, &[], false);
    trial.rows(1);
    announced(&mut trial, 1);
    rejected(
        ACK,
        &trial,
        &["1"],
        &format!(
            "report 1: analyzer acknowledged it at #{ack}, and had written nothing of it to the database since its \
             delivery at #{delivery}; its effect is there, so it came after the acknowledgement"
        ),
    );
}

#[test]
fn the_commit_of_another_report_does_not_count() {
    let mut trial = Trial::new();
    tagged(&mut trial, 1);
    tagged(&mut trial, 2);
    let delivery = trial.deliver("analysis", 1);
    trial.analysed(2);
    trial.ack(delivery);
    trial.rows(1);
    announced(&mut trial, 1);
    trial.rendered(2);
    let findings = found(ACK, &trial);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].keys[0], "1");
}

#[test]
fn without_keys_on_the_wire_any_commit_has_to_do() {
    let mut trial = Trial::new();
    tagged(&mut trial, 1);
    let delivery = trial.deliver("analysis", 1);
    trial.query("analyzer", Verb::Other, &[], false);
    trial.rows(1);
    trial.ack(delivery);
    announced(&mut trial, 1);
    accepted(&trial);
}

#[test]
fn no_acknowledgements_at_all() {
    let mut trial = Trial::new();
    trial.on(
        "tags",
        Step::Consume {
            queue: "report-tags".into(),
            consumer: "c".into(),
            no_ack: true,
        },
    );
    trial.plan_report(1, &[]);
    trial.inject(1);
    let delivery = trial.deliver("tags", 1);
    rejected(
        ACK,
        &trial,
        &[],
        "tags consumes tags without acknowledgements: a report is forgotten by the broker as it is delivered",
    );
    assert_eq!(found(ACK, &trial)[0].events, [delivery]);
}

#[test]
fn a_second_delivery_needs_no_second_write() {
    let mut trial = Trial::new();
    tagged(&mut trial, 1);
    trial.deliver("analysis", 1);
    trial.write("analyzer", 1);
    trial.rows(1);
    trial.cut("analyzer");
    let again = trial.deliver("analysis", 1);
    let event = trial.announce(1);
    trial.confirm(event);
    trial.ack(again);
    trial.rendered(1);
    accepted(&trial);
}

#[test]
fn a_commit_whose_answer_never_came_may_have_been_one() {
    let mut trial = Trial::new();
    tagged(&mut trial, 1);
    let delivery = trial.deliver("analysis", 1);
    trial.query("analyzer", Verb::Begin, &[], true);
    trial.query("analyzer", Verb::Insert, &[1], true);
    trial.db(
        "analyzer",
        Step::Statement {
            verb: Verb::Commit,
            sql: "COMMIT".into(),
            prepared: false,
            keys: vec![],
        },
    );
    trial.db(
        "analyzer",
        Step::Disconnect {
            to: Backend::Database,
            by: Side::Tap,
            how: Ending::Rst,
        },
    );
    trial.rows(1);
    let event = trial.announce(1);
    trial.confirm(event);
    trial.ack(delivery);
    trial.rendered(1);
    accepted(&trial);
}

#[test]
fn a_rolled_back_write_is_none() {
    let mut trial = Trial::new();
    tagged(&mut trial, 1);
    let delivery = trial.deliver("analysis", 1);
    trial.query("analyzer", Verb::Insert, &[1], true);
    trial.query("analyzer", Verb::Rollback, &[], false);
    trial.ack(delivery);
    trial.rows(1);
    announced(&mut trial, 1);
    assert_eq!(found(ACK, &trial).len(), 1);
}

#[test]
fn more_in_hand_than_declared() {
    let mut trial = Trial::new();
    for seq in 1..=10 {
        trial.plan_report(seq, &[]);
        trial.inject(seq);
    }
    for seq in 1..=8 {
        trial.deliver("tags", seq);
    }
    assert!(found(PREFETCH, &trial).is_empty());
    trial.deliver("tags", 9);
    let tenth = trial.deliver("tags", 10);
    rejected(
        PREFETCH,
        &trial,
        &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"],
        &format!(
            "tags holds 10 unacknowledged deliveries at #{tenth} on connection 2, channel 1; 8 are declared"
        ),
    );
}

#[test]
fn a_new_connection_starts_from_nothing() {
    let mut trial = Trial::new();
    for seq in 1..=8 {
        trial.plan_report(seq, &[]);
        trial.inject(seq);
    }
    for _ in 0..2 {
        let deliveries: Vec<_> = (1..=8).map(|seq| trial.deliver("tags", seq)).collect();
        trial.ack_all(&deliveries);
        trial.cut("tags");
    }
    for seq in 1..=8 {
        trial.analysed(seq);
        trial.rendered(seq);
    }
    accepted(&trial);
}

#[test]
fn messages_and_queues_that_a_broker_would_forget() {
    let mut trial = Trial::new();
    let queue = trial.on("tags", declare("queue", "report-tags", false));
    trial.on("tags", declare("queue", "report-tags", false));
    trial.on("tags", declare("queue", "amq.gen-private", false));
    trial.on("tags", declare("exchange", "cleanapp", true));
    trial.report(1);
    let told = |trial: &Trial| {
        found(DURABLE, trial)
            .into_iter()
            .map(|finding| finding.what)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(&trial),
        [format!(
            "tags declared queue report-tags at #{queue}, and not durable"
        )]
    );

    let mut trial = Trial::new();
    trial.report(1);
    trial.change(15, |step| {
        if let Step::Publish { message, .. } = step {
            message.persistent = false;
        }
    });
    rejected(
        DURABLE,
        &trial,
        &["1"],
        "analyzer published 1 message to exchange \"cleanapp\" with key report.analysed that would not survive the \
         broker: delivery mode 1, the first at #15",
    );
}

#[test]
fn what_the_harness_sends_may_be_transient() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.change(3, |step| {
        let Step::Publish { message, .. } = step else {
            panic!("the harness publishes at #3")
        };
        message.persistent = false;
    });
    trial.on("tags", declare("queue", "report-tags", true));
    accepted(&trial);
}

fn declare(what: &str, name: &str, durable: bool) -> Step {
    Step::Declare {
        what: what.into(),
        name: name.into(),
        durable,
        passive: false,
    }
}

#[test]
fn a_cancelled_consumer_owes_its_deliveries_beside_the_new_one() {
    let mut trial = Trial::new();
    let consume = |trial: &mut Trial| {
        trial.on(
            "tags",
            Step::Consume {
                queue: "report-tags".into(),
                consumer: "c".into(),
                no_ack: false,
            },
        )
    };
    for seq in 1..=17 {
        trial.plan_report(seq, &[]);
        trial.inject(seq);
    }
    consume(&mut trial);
    (1..=8).for_each(|seq| {
        trial.deliver("tags", seq);
    });
    trial.on(
        "tags",
        Step::Cancel {
            by: Side::Server,
            consumer: "c".into(),
            queue: None,
        },
    );
    consume(&mut trial);
    (9..=16).for_each(|seq| {
        trial.deliver("tags", seq);
    });
    assert!(found(PREFETCH, &trial).is_empty());
    trial.deliver("tags", 17);
    assert_eq!(found(PREFETCH, &trial).len(), 1);
}

#[test]
fn what_was_rolled_back_or_refused_is_not_written_by_the_next_commit() {
    for answer in [Verb::Rollback, Verb::Other] {
        let mut trial = Trial::new();
        tagged(&mut trial, 1);
        tagged(&mut trial, 2);
        let delivery = trial.deliver("analysis", 1);
        if answer == Verb::Rollback {
            trial.query("analyzer", Verb::Insert, &[1], true);
            trial.query("analyzer", Verb::Rollback, &[], false);
        } else {
            let keys = vec![crate::name::Key::from(1)];
            let sql = "INSERT ..".to_owned();
            trial.db(
                "analyzer",
                Step::Statement {
                    verb: Verb::Insert,
                    sql,
                    prepared: true,
                    keys,
                },
            );
            trial.db(
                "analyzer",
                Step::DbErr {
                    verb: Verb::Insert,
                    code: 1213,
                    text: "deadlock".into(),
                },
            );
        }
        trial.analysed(2);
        trial.ack(delivery);
        trial.rows(1);
        announced(&mut trial, 1);
        trial.rendered(2);
        let findings = found(ACK, &trial);
        assert_eq!(findings.len(), 1, "{answer:?}");
        assert_eq!(findings[0].keys[0], "1");
    }
}

#[test]
fn a_database_link_that_cannot_be_read_is_not_judged() {
    let mut trial = Trial::new();
    tagged(&mut trial, 1);
    trial.db(
        "analyzer",
        Step::Statement {
            verb: Verb::Select,
            sql: "SELECT 1".into(),
            prepared: false,
            keys: vec![],
        },
    );
    let delivery = trial.deliver("analysis", 1);
    trial.ack(delivery);
    trial.rows(1);
    announced(&mut trial, 1);
    assert_eq!(found(ACK, &trial).len(), 1);
    trial.db(
        "analyzer",
        Step::Opaque {
            to: Backend::Database,
            why: "compressed".into(),
        },
    );
    assert!(found(ACK, &trial).is_empty());
}

#[test]
fn what_goes_past_the_topology_may_be_transient() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.change(15, |step| {
        if let Step::Publish { message, .. } = step {
            message.persistent = false;
            message.exchange = "metrics".into();
        }
    });
    assert!(found(DURABLE, &trial).is_empty());
}

#[test]
fn an_acknowledgement_that_crosses_the_broker_s_close_settles_nothing() {
    for (closed, findings) in [(false, 1), (true, 0)] {
        let mut trial = Trial::new();
        tagged(&mut trial, 1);
        let delivery = trial.deliver("analysis", 1);
        if closed {
            trial.on(
                "analyzer",
                Step::AmqpClosed {
                    by: Side::Server,
                    code: 320,
                    text: String::new(),
                },
            );
        }
        trial.query("analyzer", Verb::Begin, &[], true);
        trial.query("analyzer", Verb::Insert, &[1], true);
        trial.ack(delivery);
        trial.query("analyzer", Verb::Commit, &[], false);
        trial.rows(1);
        announced(&mut trial, 1);
        assert_eq!(found(ACK, &trial).len(), findings, "closed: {closed}");
    }
}
