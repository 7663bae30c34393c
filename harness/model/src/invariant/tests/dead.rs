//! `dlq-exact`.

use crate::invariant::testing::{Trial, accepted, found, rejected};

const RULE: &str = "dlq-exact";

#[test]
fn a_good_report_among_the_dead() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.inject(1);
    trial.tagged(1);
    let delivery = trial.deliver("analysis", 1);
    trial.nack(delivery, false);
    trial.bury("analysis", 1);
    rejected(
        RULE,
        &trial,
        &["1"],
        "report 1: confirmed at #4, delivered to analyzer at #11, rejected at #12; in the dead-letter queue of \
         analysis, but it is a good one",
    );
}

#[test]
fn poison_that_vanished() {
    let mut trial = Trial::new();
    trial.poison("p");
    trial.end.dead.get_mut("tags").unwrap().clear();
    rejected(
        RULE,
        &trial,
        &["p"],
        "message p (bad-json): confirmed at #4, delivered to tags at #11, rejected at #12; 0 times in the dead-letter \
         queue of tags, 1 would be right",
    );
}

#[test]
fn poison_that_is_there_twice_for_no_reason() {
    let mut trial = Trial::new();
    trial.poison("p");
    trial.bury("tags", "p");
    rejected(
        RULE,
        &trial,
        &["p"],
        "message p (bad-json): confirmed at #4, delivered to tags at #11, rejected at #12; 2 times in the dead-letter \
         queue of tags, 1 would be right",
    );
}

#[test]
fn a_body_that_was_changed_and_a_reason_that_is_none() {
    let mut trial = Trial::new();
    trial.poison("p");
    trial.poison("q");
    let dead = trial.end.dead.get_mut("tags").unwrap();
    dead[0].hash = "other".into();
    dead[0].reason = Some("expired".into());
    dead[1].reason = None;
    let told: Vec<_> = found(RULE, &trial)
        .into_iter()
        .map(|finding| finding.what)
        .collect();
    assert_eq!(
        told,
        [
            "message p (bad-json): in the dead-letter queue of tags, but its body (9 bytes) is not the one that was \
             injected and its reason is expired, not rejected",
            "message q (bad-json): in the dead-letter queue of tags, but it does not say why it is there",
        ]
    );
}

#[test]
fn poison_in_a_queue_whose_consumer_has_no_reason_to_reject_it() {
    let mut trial = Trial::new();
    trial.poison("p");
    trial.bury("renderer", "p");
    rejected(
        RULE,
        &trial,
        &["p"],
        "message p (bad-json): never published to renderer, never delivered to renderer; in the dead-letter queue of \
         renderer, but its consumer there has no reason to reject it",
    );
}

#[test]
fn a_dead_letter_that_nobody_sent() {
    let mut trial = Trial::new();
    let letter = trial.bury("tags", "x");
    letter.key = None;
    rejected(
        RULE,
        &trial,
        &[],
        "the dead-letter queue of tags holds 9 bytes that nobody sent (hash hash-of-x)",
    );
}

#[test]
fn poison_ends_in_each_dead_letter_queue_and_is_known_by_its_body_too() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.poison("p");
    trial.end.dead.get_mut("tags").unwrap()[0].key = None;
    accepted(&trial);
}

#[test]
fn a_rejection_that_a_killed_broker_forgot_leaves_two() {
    let mut trial = Trial::new();
    trial.poison("p");
    trial.kill_broker();
    let again = trial.deliver("tags", "p");
    trial.nack(again, false);
    trial.bury("tags", "p");
    accepted(&trial);
}

#[test]
fn what_was_rejected_a_moment_before_a_kill_may_be_buried_with_the_broker() {
    let mut trial = Trial::new();
    trial.poison("p");
    trial.kill_broker();
    trial.end.dead.get_mut("tags").unwrap().clear();
    accepted(&trial);
}

#[test]
fn poison_that_was_not_confirmed_may_be_there_or_not() {
    let mut trial = Trial::new();
    for key in ["p", "q"] {
        trial.plan_poison(key, &["tags"]);
        trial.publish(key);
    }
    let delivery = trial.deliver("tags", "p");
    trial.nack(delivery, false);
    trial.bury("tags", "p");
    accepted(&trial);
}

#[test]
fn a_retry_that_was_doubled_dies_twice() {
    let mut trial = Trial::new();
    trial.plan_poison("late", &["tags"]);
    trial.inject("late");
    trial.deliver("tags", "late");
    trial.retry("tags", "tags", "late", 1);
    trial.cut("tags");
    for _ in 0..2 {
        trial.wait_ms(1000);
        let delivery = trial.deliver_retry("tags", "late", Some(3));
        trial.nack(delivery, false);
        trial.bury("tags", "late");
    }
    assert!(found(RULE, &trial).is_empty());
    trial.bury("tags", "late");
    assert_eq!(found(RULE, &trial).len(), 1);
}
