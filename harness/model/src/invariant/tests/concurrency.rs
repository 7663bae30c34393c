//! `prefetch-bounded`: the declared concurrency, which is 4.

use crate::event::{Step, Verb};
use crate::fault::{FaultKind, Misbehaviour};
use crate::invariant::testing::{Trial, found, rejected};
use crate::name::Key;

const RULE: &str = "prefetch-bounded";

/// So many reports in the hands of the analyzer.
fn given(reports: u64) -> Trial {
    let mut trial = Trial::new();
    for seq in 1..=reports {
        trial.plan_report(seq, &[]);
        trial.inject(seq);
    }
    for seq in 1..=reports {
        trial.deliver("analysis", seq);
    }
    trial
}

/// The analyzer reads the rows of these reports.
fn begin(trial: &mut Trial, seqs: impl IntoIterator<Item = u64>) -> u64 {
    let mut first = None;
    for seq in seqs {
        let n = trial.db(
            "analyzer",
            Step::Statement {
                verb: Verb::Select,
                sql: "SELECT seq FROM reports WHERE seq = ?".into(),
                prepared: true,
                keys: vec![Key::from(seq)],
            },
        );
        first.get_or_insert(n);
    }
    first.unwrap()
}

/// Time passes until something else happens.
fn later(trial: &mut Trial, ms: u64) {
    trial.wait_ms(ms);
    trial.say(Step::Note { text: "later".into() });
}

#[test]
fn one_for_a_long_time() {
    let mut trial = given(6);
    let delivery = trial.last() - 5;
    let begun = begin(&mut trial, [1]);
    later(&mut trial, 5_000);
    trial.ack(delivery);
    begin(&mut trial, [2]);
    rejected(
        RULE,
        &trial,
        &["1"],
        &format!(
            "analyzer was at work for 5000 ms from #{begun} on, one after the other, on report 1, and had 4 or more deliveries \
             in hand all the time; it was never at work on more than 1 message at once, and 4 are declared"
        ),
    );
    assert_eq!(found(RULE, &trial)[0].events, [delivery, begun]);
}

/// One report after the other, each for so long, with a pause between.
fn serial(trial: &mut Trial, first: u64, reports: u64, ms: u64, pause: u64) {
    for seq in 1..=reports {
        begin(trial, [seq]);
        trial.wait_ms(ms);
        trial.ack(first + seq - 1);
        trial.wait_ms(pause);
    }
}

#[test]
fn one_after_the_other() {
    let story = |ms: u64, pause: u64| {
        let mut trial = given(8);
        let first = trial.last() - 7;
        serial(&mut trial, first, 4, ms, pause);
        later(&mut trial, 1);
        found(RULE, &trial)
    };
    let told = story(1_300, 20);
    assert_eq!(told.len(), 1, "{told:#?}");
    let keys: Vec<_> = told[0].keys.iter().map(Key::as_str).collect();
    assert_eq!(keys, ["1", "2", "3", "4"]);
    // Too much of the time it may be at work on others, where nobody sees it.
    assert!(story(1_300, 300).is_empty());
    // From the fifth report on there are fewer in hand than are declared.
    let mut trial = given(8);
    let first = trial.last() - 7;
    for n in first..first + 4 {
        trial.ack(n);
    }
    begin(&mut trial, [5]);
    trial.wait_ms(3_000);
    trial.ack(first + 4);
    begin(&mut trial, [6]);
    later(&mut trial, 3_000);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn four_at_once_even_if_only_once() {
    let mut trial = given(6);
    begin(&mut trial, [1]);
    later(&mut trial, 20_000);
    assert_eq!(found(RULE, &trial).len(), 1);
    begin(&mut trial, [2, 3, 4]);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn too_little_to_do_or_for_too_short_a_time() {
    let mut trial = given(3);
    begin(&mut trial, [1]);
    later(&mut trial, 60_000);
    assert!(found(RULE, &trial).is_empty());

    let mut trial = given(6);
    begin(&mut trial, [1]);
    later(&mut trial, 4_900);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn short_work_that_shows_late_proves_nothing() {
    let mut trial = given(8);
    let first = trial.last() - 7;
    for seq in 1..=4 {
        later(&mut trial, 6_000);
        begin(&mut trial, [seq]);
        trial.ack(first + seq - 1);
    }
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn one_that_declares_no_more_is_not_asked_for_it() {
    let mut trial = given(6);
    trial
        .plan
        .topology
        .services
        .get_mut("analyzer")
        .unwrap()
        .concurrency = 1;
    begin(&mut trial, [1]);
    later(&mut trial, 60_000);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn a_slow_model_makes_the_work_long_and_other_faults_excuse() {
    let slow = FaultKind::Upstream {
        name: "model".into(),
        does: Misbehaviour::Slow(10_000),
        limit: None,
    };
    for (what, findings) in [(slow, 1), (FaultKind::LockTable, 0)] {
        let mut trial = given(6);
        trial.begin("f", what);
        begin(&mut trial, [1]);
        later(&mut trial, 10_000);
        trial.healed("f");
        assert_eq!(found(RULE, &trial).len(), findings);
    }
}
