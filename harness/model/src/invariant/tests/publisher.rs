//! `publisher-honest`.

use crate::event::{Fate, Step};
use crate::invariant::testing::{Trial, accepted, found, rejected};

const RULE: &str = "publisher-honest";

/// A report that the tags service has done, whose rows the analyzer has written.
fn written(trial: &mut Trial) -> u64 {
    trial.plan_report(1, &[]);
    trial.inject(1);
    trial.tagged(1);
    let delivery = trial.deliver("analysis", 1);
    trial.write("analyzer", 1);
    trial.rows(1);
    delivery
}

/// What is found when the analyzer has acknowledged: all but the reason.
fn told(trial: &Trial, delivery: u64, event: u64, ack: u64, why: &str) {
    rejected(
        RULE,
        trial,
        &["1"],
        &format!(
            "report 1: analyzer acknowledged it at #{ack}, delivered at #{delivery}; because of it it had published to \
             exchange \"cleanapp\" with key report.analysed at #{event}, {why}"
        ),
    );
}

#[test]
fn acknowledged_before_the_confirm() {
    let mut trial = Trial::new();
    let delivery = written(&mut trial);
    let event = trial.announce(1);
    let ack = trial.ack(delivery);
    told(&trial, delivery, event, ack, "and it was never confirmed");
    let confirm = trial.confirm(event);
    let late = format!("and it was confirmed only at #{confirm}");
    told(&trial, delivery, event, ack, &late);
    trial.rendered(1);

    let mut trial = Trial::new();
    let delivery = written(&mut trial);
    let event = trial.announce(1);
    trial.confirm(event);
    trial.ack(delivery);
    trial.rendered(1);
    accepted(&trial);
}

#[test]
fn a_confirm_that_is_held_has_not_come() {
    let mut trial = Trial::new();
    let delivery = written(&mut trial);
    let event = trial.announce(1);
    let confirm = trial.confirm(event);
    trial.say(Step::Held {
        fault: "f".into(),
        event: confirm,
    });
    let ack = trial.ack(delivery);
    let released = trial.say(Step::Released {
        fault: "f".into(),
        event: confirm,
        fate: Fate::Forwarded,
    });
    let held = format!("and its confirm (#{confirm}) came to the service only at #{released}");
    told(&trial, delivery, event, ack, &held);
}

#[test]
fn a_confirm_that_was_dropped_never_came() {
    let mut trial = Trial::new();
    let delivery = written(&mut trial);
    let event = trial.announce(1);
    let confirm = trial.confirm(event);
    trial.fate(confirm, Fate::Dropped);
    let ack = trial.ack(delivery);
    told(&trial, delivery, event, ack, "and it was never confirmed");
}

#[test]
fn returned_or_refused_is_no_success() {
    let mut trial = Trial::new();
    let delivery = written(&mut trial);
    let event = trial.announce(1);
    let returned = trial.give_back(event);
    let ack = trial.ack(delivery);
    let why = format!("and it was returned as unroutable at #{returned}");
    told(&trial, delivery, event, ack, &why);

    let mut trial = Trial::new();
    let delivery = written(&mut trial);
    let event = trial.announce(1);
    let confirm = trial.confirm(event);
    trial.change(confirm, |step| {
        if let Step::Confirm { ok, .. } = step {
            *ok = false;
        }
    });
    let ack = trial.ack(delivery);
    let why = format!("and the broker refused it at #{confirm}");
    told(&trial, delivery, event, ack, &why);
}

#[test]
fn without_confirms_nobody_can_know() {
    let mut trial = Trial::new();
    let delivery = written(&mut trial);
    let event = trial.announce(1);
    trial.change(event, |step| {
        if let Step::Publish { tag, .. } = step {
            *tag = 0;
        }
    });
    trial.rendered(1);
    let ack = trial.ack(delivery);
    told(&trial, delivery, event, ack, "and it had asked for no confirms");
}

#[test]
fn a_retry_without_a_confirm() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.inject(1);
    let delivery = trial.deliver("tags", 1);
    let retry = trial.retry_unconfirmed("tags", "tags", 1, 1);
    let ack = trial.ack(delivery);
    rejected(
        RULE,
        &trial,
        &["1"],
        &format!(
            "report 1: tags acknowledged it at #{ack}, delivered at #{delivery}; because of it it had published to exchange \
             \"cleanapp-retry.report-tags\" with key report.raw at #{retry}, and it was never confirmed"
        ),
    );
    assert_eq!(found(RULE, &trial)[0].events, [delivery, retry, ack]);
}

#[test]
fn what_failed_and_was_repeated_or_handed_over_is_safe() {
    // Published again.
    let mut trial = Trial::new();
    let delivery = written(&mut trial);
    trial.announce(1);
    let event = trial.announce(1);
    trial.confirm(event);
    trial.ack(delivery);
    trial.rendered(1);
    let again = trial.deliver("renderer", 1);
    trial.ack(again);
    accepted(&trial);

    // Handed over to the retry queue.
    let mut trial = Trial::new();
    let delivery = written(&mut trial);
    let lost = trial.announce(1);
    trial.fate(lost, Fate::Dropped);
    trial.retry("analyzer", "analysis", 1, 1);
    trial.ack(delivery);
    trial.wait_ms(1000);
    let delivery = trial.deliver_retry("analysis", 1, Some(1));
    let event = trial.announce(1);
    trial.confirm(event);
    trial.ack(delivery);
    trial.rendered(1);
    accepted(&trial);
}

#[test]
fn put_back_or_rejected_claims_no_success() {
    for requeue in [true, false] {
        let mut trial = Trial::new();
        let delivery = written(&mut trial);
        trial.announce(1);
        trial.nack(delivery, requeue);
        assert!(found(RULE, &trial).is_empty());
    }
}

#[test]
fn of_two_copies_in_hand_nobody_knows_which_one_published() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.inject(1);
    trial.inject(1);
    trial.tagged(1);
    let first = trial.deliver("analysis", 1);
    let second = trial.deliver("analysis", 1);
    trial.write("analyzer", 1);
    trial.rows(1);
    let event = trial.announce(1);
    // The other copy finds that all is done.
    trial.ack(second);
    trial.confirm(event);
    trial.ack(first);
    trial.rendered(1);
    let delivery = trial.deliver("tags", 1);
    trial.ack(delivery);
    accepted(&trial);
}

#[test]
fn what_was_lost_with_a_channel_may_still_be_worked_on_until_the_process_ends() {
    let story = |ended: bool| {
        let mut trial = Trial::new();
        written(&mut trial);
        trial.cut("analyzer");
        if ended {
            trial.container("analyzer", "killed", Some(137));
            trial.container("analyzer", "started", None);
        }
        let again = trial.deliver("analysis", 1);
        trial.announce(1);
        trial.ack(again);
        found(RULE, &trial).len()
    };
    assert_eq!((story(false), story(true)), (0, 1));
}

#[test]
fn a_message_that_the_service_buries_itself_is_not_lost() {
    let mut trial = Trial::new();
    let delivery = written(&mut trial);
    trial.announce(1);
    let grave = trial.announce(1);
    trial.change(grave, |step| {
        if let Step::Publish { message, .. } = step {
            message.exchange = "cleanapp-dlx".into();
            message.routing_key = "report-analyze.dlq".into();
        }
    });
    trial.confirm(grave);
    trial.ack(delivery);
    assert!(found(RULE, &trial).is_empty());
}
