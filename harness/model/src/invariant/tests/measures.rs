//! What is counted and timed in any trial.

use std::collections::BTreeMap;

use crate::event::{Backend, FaultChange};
use crate::fault::Target;
use crate::invariant::testing::Trial;
use crate::invariant::{Case, measures};

fn measured(trial: &Trial) -> BTreeMap<String, u64> {
    measures(&Case::new(&trial.evidence()))
}

fn expected(trial: &Trial, numbers: &[(&str, u64)]) {
    let numbers = numbers.iter().map(|(name, number)| ((*name).to_owned(), *number));
    assert_eq!(measured(trial), numbers.collect());
}

#[test]
fn a_quiet_trial() {
    let mut trial = Trial::new();
    trial.report(1);
    expected(
        &trial,
        &[
            ("events", trial.last()),
            ("deliveries", 3),
            ("duplicates_explained", 0),
            ("duplicates_unexplained", 0),
            ("retries", 0),
            ("dead_letters", 0),
        ],
    );
}

#[test]
fn a_trial_with_some_of_everything() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.poison("p");
    trial.plan_report(2, &[]);
    trial.inject(2);
    let delivery = trial.deliver("tags", 2);
    trial.retry("tags", "tags", 2, 1);
    trial.ack(delivery);
    trial.deliver_retry("tags", 2, Some(1));
    trial.plan_kill("f", Target::Broker, None);
    trial.fault("f", FaultChange::Armed);
    trial.kill_broker();
    let bitten = trial.bitten("f");
    // The tags service dials after 98 ms, and the analyzer is seen to be unwell after 299.
    trial.wait_ms(97);
    let dial = trial.dial_in_vain("tags", Backend::Broker);
    trial.wait_ms(199);
    trial.health("analyzer", 503);
    trial.healed("f");
    // Explained by the kill, and then by nothing.
    let again = trial.deliver_retry("tags", 2, Some(1));
    trial.ack(again);
    trial.deliver("renderer", 1);
    trial.deliver("renderer", 1);
    trial.recovered(1_200);
    trial.recovered(700);
    assert!(bitten < dial);
    let all = measured(&trial);
    let of = |name: &str| all[name];
    assert_eq!((of("recovery_ms"), of("detection_ms")), (1_200, 299));
    assert_eq!((of("retries"), of("dead_letters"), of("deliveries")), (1, 2, 10));
    assert_eq!((of("duplicates_explained"), of("duplicates_unexplained")), (3, 1));
}

#[test]
fn what_the_harness_takes_is_no_delivery() {
    let mut trial = Trial::new();
    trial.report(1);
    let before = measured(&trial);
    let n = trial.deliver("tags", 1);
    trial.hand_to("harness", n);
    let after = measured(&trial);
    assert_eq!(before["deliveries"], after["deliveries"]);
}
