//! `explained-duplicates`.

use crate::event::Fate;
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
