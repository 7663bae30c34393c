//! `no-loss`.

use crate::event::Fate;
use crate::invariant::testing::{Trial, accepted, found, rejected};

const RULE: &str = "no-loss";

#[test]
fn a_report_that_dies_in_the_analyzers_hands_is_told_with_where_it_died() {
    let mut trial = Trial::new();
    trial.plan_report(17, &[]);
    trial.inject(17);
    trial.tagged(17);
    trial.deliver("analysis", 17);
    trial.cut("analyzer");
    rejected(
        RULE,
        &trial,
        &["17"],
        "report 17: confirmed at #4, delivered to analyzer at #11, never acknowledged; its connection was reset by \
         a fault at #12; no analysis row, not in the dead-letter queue",
    );
}

#[test]
fn acknowledged_before_the_work_and_then_lost() {
    let mut trial = Trial::new();
    trial.plan_report(17, &[]);
    trial.inject(17);
    trial.tagged(17);
    let delivery = trial.deliver("analysis", 17);
    trial.ack(delivery);
    rejected(
        RULE,
        &trial,
        &["17"],
        "report 17: confirmed at #4, delivered to analyzer at #11, acknowledged at #12; no analysis row, not in the \
         dead-letter queue",
    );
}

#[test]
fn a_report_that_the_broker_lost_was_never_delivered() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan_report(2, &["bin"]);
    trial.inject(2);
    let kill = trial.kill_broker();
    let findings = found(RULE, &trial);
    let told: Vec<_> = findings.iter().map(|finding| finding.what.as_str()).collect();
    let trail = format!("the broker was killed at #{kill}");
    assert_eq!(
        told,
        [
            format!(
                "report 2: confirmed at #34, never delivered to analyzer, {trail}; no analysis row, not in the \
                 dead-letter queue"
            ),
            format!(
                "report 2: confirmed at #34, never delivered to tags, {trail}; no tags, not in the dead-letter queue"
            ),
        ]
    );
}

#[test]
fn a_retry_that_went_nowhere() {
    let mut trial = Trial::new();
    trial.plan_report(3, &[]);
    trial.inject(3);
    trial.tagged(3);
    let delivery = trial.deliver("analysis", 3);
    let retry = trial.retry("analyzer", "analysis", 3, 1);
    let returned = trial.give_back(retry);
    let ack = trial.ack(delivery);
    rejected(
        RULE,
        &trial,
        &["3"],
        &format!(
            "report 3: confirmed at #4, delivered to analyzer at #{delivery}, published for retry 1 at #{retry} and \
             returned as unroutable at #{returned}, acknowledged at #{ack}; no analysis row, not in the dead-letter \
             queue"
        ),
    );
}

#[test]
fn rows_without_an_event() {
    let mut trial = Trial::new();
    trial.plan_report(4, &[]);
    trial.inject(4);
    trial.tagged(4);
    let delivery = trial.deliver("analysis", 4);
    trial.write("analyzer", 4);
    trial.rows(4);
    trial.ack(delivery);
    rejected(
        RULE,
        &trial,
        &["4"],
        "report 4: never published to renderer, never delivered to renderer; not among the renderer's points, not in \
         the dead-letter queue",
    );
}

#[test]
fn an_event_that_the_renderer_swallowed_without_a_trace() {
    let mut trial = Trial::new();
    trial.plan_report(4, &[]);
    trial.inject(4);
    trial.tagged(4);
    trial.analysed(4);
    trial.digital(4, "Acme");
    rejected(
        RULE,
        &trial,
        &["4"],
        "report 4: published by analyzer and confirmed at #20, never delivered to renderer; the queue renderer does \
         not hold it any more, and it is not in the dead-letter queue",
    );
}

#[test]
fn rows_in_some_languages_only() {
    let mut trial = Trial::new();
    trial.report(5);
    trial.end.analysis.retain(|row| row.language == "en");
    rejected(
        RULE,
        &trial,
        &["5"],
        "report 5: confirmed at #4, delivered to analyzer at #7, acknowledged at #17; analysis rows only in en, not in \
         the dead-letter queue",
    );
}

#[test]
fn both_places_at_once_are_wrong() {
    let mut trial = Trial::new();
    trial.report(6);
    trial.bury("tags", 6);
    rejected(
        RULE,
        &trial,
        &["6"],
        "report 6: confirmed at #4, delivered to tags at #20, acknowledged at #28; tagged, and in the dead-letter \
         queue of tags as well; one of both would have been right",
    );
}

#[test]
fn poison_that_was_acknowledged_and_dropped() {
    let mut trial = Trial::new();
    trial.plan_poison("p", &["tags"]);
    trial.inject("p");
    let delivery = trial.deliver("tags", "p");
    trial.ack(delivery);
    rejected(
        RULE,
        &trial,
        &["p"],
        "message p (bad-json): confirmed at #4, delivered to tags at #7, acknowledged at #8; not in the dead-letter \
         queue of tags, where it belongs",
    );
}

#[test]
fn what_was_not_confirmed_may_have_vanished() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan_report(2, &["bin"]);
    trial.publish(2);
    trial.plan_report(3, &["bin"]);
    let publish = trial.publish(3);
    let confirm = trial.confirm(publish);
    trial.fate(confirm, Fate::Cut);
    accepted(&trial);
}

#[test]
fn what_was_not_confirmed_may_have_been_processed() {
    let mut trial = Trial::new();
    trial.plan_report(2, &["bin"]);
    trial.publish(2);
    trial.processed(2);
    accepted(&trial);
}

#[test]
fn a_returned_publish_is_no_promise() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan_report(2, &["bin"]);
    let publish = trial.publish(2);
    trial.give_back(publish);
    accepted(&trial);
}

#[test]
fn one_acknowledgement_for_many_settles_each() {
    let mut trial = Trial::new();
    let seqs = [1, 2, 3];
    for seq in seqs {
        trial.plan_report(seq, &[]);
        trial.inject(seq);
    }
    let deliveries: Vec<_> = seqs.iter().map(|seq| trial.deliver("tags", *seq)).collect();
    trial.ack_all(&deliveries);
    for seq in seqs {
        trial.analysed(seq);
        trial.rendered(seq);
    }
    accepted(&trial);
}

#[test]
fn a_report_that_is_not_public_ends_with_its_rows() {
    let mut trial = Trial::new();
    trial.plan_report(8, &["bin"]);
    trial.expect(8, false, false);
    trial.inject(8);
    let delivery = trial.deliver("analysis", 8);
    trial.write("analyzer", 8);
    trial.rows(8);
    trial.ack(delivery);
    trial.tagged(8);
    accepted(&trial);
}

#[test]
fn a_rejection_that_the_broker_forgot_may_leave_both() {
    let mut trial = Trial::new();
    trial.plan_report(9, &["bin"]);
    trial.inject(9);
    trial.analysed(9);
    trial.rendered(9);
    let delivery = trial.deliver("tags", 9);
    trial.nack(delivery, false);
    trial.bury("tags", 9);
    trial.kill_broker();
    trial.tagged(9);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn a_digital_report_is_done_when_the_renderer_has_acknowledged_its_event() {
    let mut trial = Trial::new();
    trial.plan_report(4, &[]);
    trial.inject(4);
    trial.tagged(4);
    trial.analysed(4);
    trial.digital(4, "Acme");
    let delivery = trial.deliver("renderer", 4);
    let retry = trial.retry("renderer", "renderer", 4, 1);
    trial.ack(delivery);
    // The acknowledgement of a delivery that was handed over for a retry is not the end.
    let told = found(RULE, &trial);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0]
            .what
            .contains(&format!("published for retry 1 at #{retry}")),
        "{}",
        told[0].what
    );
    trial.wait_ms(1000);
    let delivery = trial.deliver_retry("renderer", 4, Some(1));
    trial.ack(delivery);
    assert!(found(RULE, &trial).is_empty());
}
