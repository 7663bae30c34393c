//! `explained-duplicates`.

use crate::event::{Fate, Side, Step, StepKind};
use crate::invariant::testing::{Trial, accepted, found, rejected};

const RULE: &str = "explained-duplicates";

/// Report 1, delivered to and acknowledged by the tags service: the delivery and the acknowledgement.
fn acknowledged(trial: &mut Trial) -> (u64, u64) {
    trial.plan_report(1, &[]);
    trial.inject(1);
    trial.analysed(1);
    trial.rendered(1);
    let delivery = trial.deliver("tags", 1);
    (delivery, trial.ack(delivery))
}

fn again(trial: &mut Trial) -> u64 {
    let delivery = trial.deliver("tags", 1);
    trial.ack(delivery);
    delivery
}

#[test]
fn a_second_delivery_out_of_nothing() {
    let mut trial = Trial::new();
    let (first, ack) = acknowledged(&mut trial);
    let second = again(&mut trial);
    rejected(
        RULE,
        &trial,
        &["1"],
        &format!(
            "report 1: delivered from queue tags again at #{second}, after #{first} (acknowledged at #{ack}); nothing \
             explains it: 1 copy published to this queue"
        ),
    );
}

#[test]
fn a_retry_of_a_sibling_is_no_explanation() {
    let mut trial = Trial::new();
    let (first, ack) = acknowledged(&mut trial);
    trial.retry("analyzer", "analysis", 1, 1);
    let second = trial.deliver_retry("tags", 1, Some(1));
    trial.ack(second);
    rejected(
        RULE,
        &trial,
        &["1"],
        &format!(
            "report 1: delivered from queue tags again at #{second}, after #{first} (acknowledged at #{ack}); nothing \
             explains it: 1 copy published to this queue, and it carries retry count 1"
        ),
    );
}

#[test]
fn only_the_first_unexplained_one_is_told_with_how_many_follow() {
    let mut trial = Trial::new();
    acknowledged(&mut trial);
    for _ in 0..3 {
        again(&mut trial);
    }
    let findings = found(RULE, &trial);
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0].what.ends_with("; 2 more after it"),
        "{}",
        findings[0].what
    );
}

#[test]
fn a_quorum_queue_forgets_nothing_in_a_sigkill() {
    let mut trial = Trial::quorum();
    let (first, ack) = acknowledged(&mut trial);
    // The broker had taken the acknowledgement: the service closed its connection in good order afterwards.
    trial.leave("tags");
    trial.kill_broker();
    let second = again(&mut trial);
    rejected(
        RULE,
        &trial,
        &["1"],
        &format!(
            "report 1: delivered from queue tags again at #{second}, after #{first} (acknowledged at #{ack}); nothing \
             explains it: 1 copy published to this queue"
        ),
    );
}

#[test]
fn a_classic_queue_that_was_idle_before_the_sigkill_forgets_nothing() {
    let mut trial = Trial::new();
    acknowledged(&mut trial);
    trial.leave("tags");
    trial.wait_ms(5000);
    trial.kill_broker();
    again(&mut trial);
    assert_eq!(found(RULE, &trial).len(), 1);
}

#[test]
fn a_graceful_stop_forgets_nothing() {
    let mut trial = Trial::new();
    acknowledged(&mut trial);
    trial.leave("tags");
    trial.container("broker", "stopped", Some(0));
    again(&mut trial);
    assert_eq!(found(RULE, &trial).len(), 1);
}

#[test]
fn a_classic_queue_forgets_in_a_sigkill_what_was_acknowledged_since_it_was_idle() {
    let mut trial = Trial::new();
    acknowledged(&mut trial);
    trial.leave("tags");
    // Traffic goes on, and the queue never falls idle for long.
    for seq in 2..=6 {
        trial.wait_ms(1500);
        trial.report(seq);
    }
    trial.kill_broker();
    let delivery = trial.deliver("tags", 1);
    trial.ack(delivery);
    accepted(&trial);
}

#[test]
fn a_kill_explains_each_forgotten_message_once() {
    let mut trial = Trial::new();
    acknowledged(&mut trial);
    trial.kill_broker();
    again(&mut trial);
    again(&mut trial);
    assert_eq!(found(RULE, &trial).len(), 1);
}

#[test]
fn a_delivery_that_died_with_its_connection_comes_again() {
    let mut trial = Trial::new();
    trial.plan_report(1, &["bin"]);
    trial.inject(1);
    trial.analysed(1);
    trial.rendered(1);
    trial.deliver("tags", 1);
    trial.cut("tags");
    trial.tagged(1);
    accepted(&trial);
}

#[test]
fn an_acknowledgement_that_was_held_and_cut_never_arrived() {
    let mut trial = Trial::new();
    trial.plan_report(1, &["bin"]);
    trial.inject(1);
    trial.analysed(1);
    trial.rendered(1);
    trial.tagged(1);
    trial.fate(trial.last(), Fate::Cut);
    trial.cut("tags");
    again(&mut trial);
    accepted(&trial);
}

#[test]
fn an_acknowledgement_just_before_a_reset_may_not_have_arrived() {
    let mut trial = Trial::new();
    acknowledged(&mut trial);
    trial.cut("tags");
    again(&mut trial);
    accepted(&trial);
}

#[test]
fn a_dropped_acknowledgement_explains_nothing_while_its_connection_stands() {
    let mut trial = Trial::new();
    let (_, ack) = acknowledged(&mut trial);
    trial.fate(ack, Fate::Dropped);
    again(&mut trial);
    assert_eq!(found(RULE, &trial).len(), 1);
}

#[test]
fn a_publisher_that_lost_its_confirm_sends_again() {
    let mut trial = Trial::new();
    trial.plan_report(1, &["bin"]);
    let publish = trial.publish(1);
    let confirm = trial.confirm(publish);
    trial.fate(confirm, Fate::Cut);
    trial.cut("harness");
    trial.inject(1);
    trial.processed(1);
    // The second copy finds everything done.
    for queue in ["analysis", "tags"] {
        let delivery = trial.deliver(queue, 1);
        trial.ack(delivery);
    }
    accepted(&trial);
}

#[test]
fn an_event_that_was_published_twice_is_delivered_twice() {
    let mut trial = Trial::new();
    trial.report(1);
    let event = trial.announce(1);
    trial.confirm(event);
    let delivery = trial.deliver("renderer", 1);
    trial.ack(delivery);
    accepted(&trial);
}

#[test]
fn a_requeue_explains_one_more() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.inject(1);
    trial.analysed(1);
    trial.rendered(1);
    let delivery = trial.deliver("tags", 1);
    trial.nack(delivery, true);
    trial.tagged(1);
    accepted(&trial);
}

/// The tags service consumes with its declared prefetch.
fn consume(trial: &mut Trial) {
    trial.on(
        "tags",
        Step::Qos {
            prefetch: 8,
            global: false,
        },
    );
    trial.on(
        "tags",
        Step::Consume {
            queue: "report-tags".into(),
            consumer: "c".into(),
            no_ack: false,
        },
    );
}

/// Reports 1 to `last`, one after the other, done by everybody.
fn sequence(trial: &mut Trial, last: u64) {
    consume(trial);
    for seq in 1..=last {
        trial.plan_report(seq, &[]);
        trial.inject(seq);
        trial.analysed(seq);
        trial.rendered(seq);
        trial.tagged(seq);
    }
}

#[test]
fn what_a_broker_delivers_shows_what_it_has_taken() {
    // With a prefetch of 8 the tenth delivery shows that the first two acknowledgements were taken.
    for (seq, explained) in [(1, false), (2, false), (3, true), (10, true)] {
        let mut trial = Trial::new();
        sequence(&mut trial, 10);
        trial.cut("tags");
        consume(&mut trial);
        let delivery = trial.deliver("tags", seq);
        trial.ack(delivery);
        assert_eq!(found(RULE, &trial).is_empty(), explained, "report {seq}");
    }
}

#[test]
fn what_was_taken_is_forgotten_by_classic_queues_only() {
    for (mut trial, explained) in [(Trial::new(), true), (Trial::quorum(), false)] {
        sequence(&mut trial, 10);
        trial.kill_broker();
        consume(&mut trial);
        let delivery = trial.deliver("tags", 1);
        trial.ack(delivery);
        assert_eq!(found(RULE, &trial).is_empty(), explained);
    }
}

#[test]
fn a_dropped_acknowledgement_shows_nothing() {
    let mut trial = Trial::new();
    sequence(&mut trial, 10);
    // The acknowledgement of report 1 did not arrive, so the first two that did are those of 2 and 3.
    let evidence = trial.evidence();
    let mut acks = evidence
        .ledger
        .events()
        .iter()
        .filter(|event| event.step.kind() == StepKind::Ack);
    let ack = acks.find(|event| event.svc.as_ref().is_some_and(|svc| *svc == "tags"));
    trial.fate(ack.unwrap().n, Fate::Dropped);
    trial.cut("tags");
    consume(&mut trial);
    for seq in [1, 4] {
        let delivery = trial.deliver("tags", seq);
        trial.ack(delivery);
    }
    assert!(found(RULE, &trial).is_empty());
    trial.deliver("tags", 3);
    assert_eq!(found(RULE, &trial).len(), 1);
}

#[test]
fn a_broker_may_deliver_elsewhere_before_the_tap_sees_the_connection_end() {
    let mut trial = Trial::new();
    acknowledged(&mut trial);
    let mut late = trial.clone();
    // Channel 2 stands for another connection here: the first one ends a moment after the second delivery.
    for (trial, wait, explained) in [(&mut trial, 10, true), (&mut late, 5000, false)] {
        let second = trial.deliver_on(2, "tags", 1);
        trial.wait_ms(wait);
        trial.on(
            "tags",
            Step::ChannelClosed {
                by: Side::Server,
                code: 406,
                text: "timeout".into(),
            },
        );
        assert_eq!(found(RULE, trial).is_empty(), explained, "{second}");
    }
}

#[test]
fn a_delivery_on_a_closed_connection_does_not_explain_itself() {
    let mut trial = Trial::new();
    acknowledged(&mut trial);
    trial.on(
        "tags",
        Step::AmqpClosed {
            by: Side::Client,
            code: 200,
            text: "bye".into(),
        },
    );
    trial.deliver("tags", 1);
    assert_eq!(found(RULE, &trial).len(), 1);
}

#[test]
fn a_publish_that_was_sent_twice_is_two_copies() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    let publish = trial.inject(1);
    trial.fate(publish, Fate::Duplicated);
    trial.processed(1);
    for queue in ["analysis", "tags"] {
        let delivery = trial.deliver(queue, 1);
        trial.ack(delivery);
    }
    accepted(&trial);
}

#[test]
fn a_killed_broker_may_retry_once_more() {
    let told = |killed: bool| {
        let mut trial = Trial::quorum();
        trial.plan_report(1, &[]);
        trial.inject(1);
        trial.analysed(1);
        trial.rendered(1);
        let delivery = trial.deliver("tags", 1);
        trial.retry("tags", "tags", 1, 1);
        trial.ack(delivery);
        for round in 0..2 {
            trial.wait_ms(1000);
            let delivery = trial.deliver_retry("tags", 1, Some(1));
            trial.ack(delivery);
            trial.leave("tags");
            if round == 0 && killed {
                trial.kill_broker();
            }
        }
        found(RULE, &trial).len()
    };
    assert_eq!((told(true), told(false)), (0, 1));
}
