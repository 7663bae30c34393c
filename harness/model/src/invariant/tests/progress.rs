//! `progress`.

use crate::event::{Backend, Fate};
use crate::fault::{Cut, FaultKind, Target};
use crate::invariant::testing::{Trial, accepted, found, rejected};

const RULE: &str = "progress";

/// The link of the analyzer to the broker is dead.
fn half_open() -> FaultKind {
    FaultKind::CutLink {
        service: "analyzer".into(),
        backend: Backend::Broker,
        how: Cut::HalfOpen,
    }
}

/// Reports from 1 on that wait in the queues of analyzer and tags.
fn waiting(trial: &mut Trial, reports: u64) {
    for seq in 1..=reports {
        trial.plan_report(seq, &[]);
        trial.inject(seq);
    }
}

fn done(trial: &mut Trial, reports: u64) {
    trial.healed("f");
    trial.recovered(1);
    for seq in 1..=reports {
        trial.analysed(seq);
        trial.rendered(seq);
    }
}

#[test]
fn a_service_that_stands_still_while_another_one_is_cut_off() {
    let mut trial = Trial::new();
    waiting(&mut trial, 2);
    let bitten = trial.begin("f", half_open());
    trial.wait_ms(9_000);
    trial.tagged(1);
    let last = trial.last();
    trial.wait_ms(10_000);
    let delivery = trial.deliver("tags", 2);
    let ack = trial.ack(delivery);
    done(&mut trial, 2);
    assert!(bitten < last);
    rejected(
        RULE,
        &trial,
        &["2"],
        &format!(
            "tags settled nothing on queue tags for 10002 ms from #{last} to #{ack}, while half-open on the \
             link from analyzer to the broker (f) was in force, which does not touch it; report 2 waited there meanwhile"
        ),
    );
}

#[test]
fn slow_is_not_still() {
    let mut trial = Trial::new();
    waiting(&mut trial, 2);
    trial.begin("f", half_open());
    trial.wait_ms(9_000);
    trial.tagged(1);
    trial.wait_ms(9_000);
    trial.tagged(2);
    trial.wait_ms(60_000);
    done(&mut trial, 2);
    accepted(&trial);
}

#[test]
fn without_work_there_is_nothing_to_do() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.begin("f", half_open());
    trial.wait_ms(60_000);
    // Not confirmed yet, so it may not be there.
    let publish = trial.publish(1);
    trial.wait_ms(60_000);
    trial.confirm(publish);
    trial.tagged(1);
    done(&mut trial, 1);
    accepted(&trial);
}

#[test]
fn what_waits_for_its_retry_does_not_wait_for_the_service() {
    let mut trial = Trial::new();
    waiting(&mut trial, 1);
    let delivery = trial.deliver("tags", 1);
    trial.retry("tags", "tags", 1, 1);
    trial.ack(delivery);
    trial.begin("f", half_open());
    trial.wait_ms(60_000);
    let delivery = trial.deliver_retry("tags", 1, Some(1));
    trial.ack(delivery);
    done(&mut trial, 1);
    accepted(&trial);
}

#[test]
fn what_a_fault_touches_may_stand_still_and_needs_time_to_recover() {
    let kill = || FaultKind::Kill {
        target: Target::Broker,
    };
    let story = |after: u64| {
        let mut trial = Trial::new();
        waiting(&mut trial, 1);
        trial.begin("f", half_open());
        trial.begin("g", kill());
        trial.wait_ms(60_000);
        trial.healed("g");
        trial.wait_ms(after);
        trial.tagged(1);
        done(&mut trial, 1);
        found(RULE, &trial).len()
    };
    // 30 s to recover, 10 s to stand still.
    assert_eq!((story(39_900), story(40_100)), (0, 1));
}

#[test]
fn the_service_that_is_touched_is_not_judged() {
    let mut trial = Trial::new();
    waiting(&mut trial, 1);
    trial.tagged(1);
    trial.begin("f", half_open());
    trial.wait_ms(60_000);
    done(&mut trial, 1);
    accepted(&trial);
}

#[test]
fn frames_that_are_held_or_lost_excuse_whoever_waits_for_them() {
    let story = |fate: Option<Fate>| {
        let mut trial = Trial::new();
        waiting(&mut trial, 1);
        let delivery = trial.deliver("tags", 1);
        if let Some(fate) = fate {
            trial.fate(delivery, fate);
        }
        trial.begin("f", half_open());
        trial.wait_ms(60_000);
        trial.healed("f");
        found(RULE, &trial).len()
    };
    assert_eq!((story(None), story(Some(Fate::Forwarded))), (1, 1));
    assert_eq!(story(Some(Fate::Dropped)), 0);
}

/// A message is put back as often as it is delivered, every 300 ms.
fn put_back(trial: &mut Trial, key: u64, times: usize) -> (u64, u64) {
    let mut ends = (0, 0);
    for i in 0..times {
        trial.wait_ms(300);
        let delivery = trial.deliver("tags", key);
        trial.nack(delivery, true);
        ends = (if i == 1 { delivery } else { ends.0 }, delivery);
    }
    ends
}

#[test]
fn a_message_that_blocks_the_head_of_a_queue() {
    let mut trial = Trial::new();
    waiting(&mut trial, 3);
    let (first, last) = put_back(&mut trial, 1, 21);
    rejected(
        RULE,
        &trial,
        &["1", "2", "3"],
        &format!(
            "report 1: delivered to tags from queue tags again and again, 20 times from #{first} to #{last}, and nothing was \
             settled there for 5738 ms; report 2 and report 3 waited behind it"
        ),
    );
}

#[test]
fn a_message_that_comes_back_while_others_are_settled_blocks_nobody() {
    let mut trial = Trial::new();
    waiting(&mut trial, 3);
    for seq in 2..=3 {
        put_back(&mut trial, 1, 15);
        trial.tagged(seq);
    }
    assert!(found(RULE, &trial).is_empty());
    // Nor does one that is alone.
    put_back(&mut trial, 1, 40);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn a_fault_may_block_a_queue() {
    let mut trial = Trial::new();
    waiting(&mut trial, 3);
    trial.begin("f", FaultKind::ReadOnly);
    put_back(&mut trial, 1, 40);
    trial.healed("f");
    assert!(found(RULE, &trial).is_empty());
}
