//! `graceful-stop`.

use crate::event::{Backend, Ending, Fate, Side, Step, Verb};
use crate::event::{FaultChange, StepKind};
use crate::fault::{FaultKind, FaultPlan, Pattern, Target, Trigger};
use crate::invariant::testing::{Trial, accepted, found, rejected};
use crate::name::Key;

const RULE: &str = "graceful-stop";

/// Reports that wait for the tags service, and its restart, planned for the 2nd delivery to it.
fn planned(reports: u64) -> Trial {
    let mut trial = Trial::new();
    for seq in 1..=reports {
        trial.plan_report(seq, &[]);
        trial.inject(seq);
    }
    trial.plan.faults.push(FaultPlan {
        id: "f".into(),
        what: FaultKind::Restart {
            target: Target::Service("tags".into()),
        },
        when: Some(Trigger::nth(2, Pattern::new(StepKind::Deliver))),
    });
    trial.fault("f", FaultChange::Armed);
    trial
}

/// The service reads the report's row.
fn begin(trial: &mut Trial, seq: u64) -> u64 {
    select(trial, "reports", &[seq])
}

fn select(trial: &mut Trial, table: &str, keys: &[u64]) -> u64 {
    trial.db(
        "tags",
        Step::Statement {
            verb: Verb::Select,
            sql: format!("SELECT ts FROM {table} WHERE seq = ?"),
            prepared: true,
            keys: keys.iter().map(|seq| Key::from(*seq)).collect(),
        },
    )
}

fn fired(trial: &mut Trial) -> u64 {
    trial.fault("f", FaultChange::Fired { by: 1 })
}

/// The service closes its connection in good order and exits.
fn stopped(trial: &mut Trial, code: i64) -> u64 {
    trial.leave("tags");
    trial.hang_up("tags", Backend::Database);
    trial.container("tags", "stopped", Some(code))
}

/// The service is started again and does what is left, as all others do.
fn done(trial: &mut Trial, reports: u64, left: &[u64]) {
    trial.bitten("f");
    trial.container("tags", "started", None);
    trial.healed("f");
    for seq in left {
        trial.tagged(*seq);
    }
    for seq in 1..=reports {
        trial.analysed(seq);
        trial.rendered(seq);
    }
    trial.recovered(1);
}

#[test]
fn what_was_begun_is_dropped() {
    let mut trial = planned(1);
    let delivery = trial.deliver("tags", 1);
    let begun = begin(&mut trial, 1);
    let fired = fired(&mut trial);
    let closed = trial.last() + 1;
    let exit = stopped(&mut trial, 0);
    done(&mut trial, 1, &[1]);
    rejected(
        RULE,
        &trial,
        &["1"],
        &format!(
            "report 1: delivered to tags at #{delivery} and begun at #{begun}, which was told to stop after #{fired}; never \
             acknowledged; its connection was closed by the service (200) at #{closed}; it was not finished; the service \
             exited at #{exit}"
        ),
    );
}

#[test]
fn what_was_begun_is_put_back() {
    let mut trial = planned(1);
    let delivery = trial.deliver("tags", 1);
    begin(&mut trial, 1);
    fired(&mut trial);
    trial.nack(delivery, true);
    stopped(&mut trial, 0);
    done(&mut trial, 1, &[1]);
    let told = found(RULE, &trial);
    assert!(told[0].what.contains("put back at #"), "{told:?}");
}

#[test]
fn what_was_begun_is_finished_and_what_was_not_goes_back() {
    let mut trial = planned(2);
    let delivery = trial.deliver("tags", 1);
    begin(&mut trial, 1);
    trial.deliver("tags", 2);
    fired(&mut trial);
    trial.wait_ms(2_000);
    trial.ack(delivery);
    stopped(&mut trial, 0);
    done(&mut trial, 2, &[2]);
    accepted(&trial);
}

#[test]
fn what_came_just_after_the_signal_may_be_done_as_well() {
    let mut trial = planned(2);
    let first = trial.deliver("tags", 1);
    begin(&mut trial, 1);
    fired(&mut trial);
    trial.wait_ms(2_900);
    let second = trial.deliver("tags", 2);
    trial.wait_ms(4_000);
    trial.ack_all(&[first, second]);
    stopped(&mut trial, 0);
    done(&mut trial, 2, &[]);
    accepted(&trial);
}

#[test]
fn what_came_long_after_the_signal_is_not_to_be_done() {
    let mut trial = planned(3);
    let fired = fired_with_a_link(&mut trial);
    trial.wait_ms(3_100);
    let late = trial.deliver("tags", 2);
    let later = trial.deliver("tags", 3);
    trial.ack_all(&[late, later]);
    stopped(&mut trial, 0);
    done(&mut trial, 3, &[]);
    rejected(
        RULE,
        &trial,
        &["2", "3"],
        &format!(
            "report 2: delivered to tags at #{late}, 3101 ms after it was told to stop (#{fired}), and worked on; 1 more \
             after it"
        ),
    );
}

fn fired_with_a_link(trial: &mut Trial) -> u64 {
    trial.tagged(1);
    fired(trial)
}

#[test]
fn an_exit_with_an_error() {
    let mut trial = planned(1);
    fired_with_a_link(&mut trial);
    let exit = stopped(&mut trial, 3);
    done(&mut trial, 1, &[]);
    rejected(
        RULE,
        &trial,
        &[],
        &format!("tags exited with code 3 at #{exit} after SIGTERM; 0 would be right"),
    );
}

#[test]
fn work_that_takes_too_long_may_be_given_up() {
    let story = |ms: u64| {
        let mut trial = planned(1);
        trial.deliver("tags", 1);
        begin(&mut trial, 1);
        fired(&mut trial);
        trial.wait_ms(ms);
        stopped(&mut trial, 0);
        done(&mut trial, 1, &[1]);
        found(RULE, &trial).len()
    };
    assert_eq!((story(4_900), story(5_000)), (1, 0));
}

#[test]
fn a_frame_that_is_held_excuses_until_it_goes_on() {
    let story = |released: Option<Fate>| {
        let mut trial = planned(1);
        trial.deliver("tags", 1);
        let statement = begin(&mut trial, 1);
        trial.say(Step::Held {
            fault: "f".into(),
            event: statement,
        });
        fired(&mut trial);
        let release = |fate| Step::Released {
            fault: "f".into(),
            event: statement,
            fate,
        };
        if let Some(fate) = released {
            trial.say(release(fate));
        }
        stopped(&mut trial, 0);
        if released.is_none() {
            trial.say(release(Fate::Cut));
        }
        done(&mut trial, 1, &[1]);
        found(RULE, &trial).len()
    };
    assert_eq!(story(None), 0);
    assert_eq!(story(Some(Fate::Cut)), 0);
    assert_eq!(story(Some(Fate::Forwarded)), 1);
}

#[test]
fn another_fault_excuses() {
    let mut trial = planned(1);
    trial.deliver("tags", 1);
    begin(&mut trial, 1);
    trial.begin("g", FaultKind::ReadOnly);
    fired(&mut trial);
    stopped(&mut trial, 0);
    trial.healed("g");
    done(&mut trial, 1, &[1]);
    accepted(&trial);
}

#[test]
fn a_number_that_is_not_a_reports_proves_no_work() {
    let mut trial = planned(2);
    trial.deliver("tags", 1);
    let second = trial.deliver("tags", 2);
    begin(&mut trial, 2);
    // The row of a tag whose id is 1, and a row of report 2 that has a 1 in it.
    select(&mut trial, "tags", &[1]);
    select(&mut trial, "reports", &[1, 2]);
    fired(&mut trial);
    trial.ack(second);
    stopped(&mut trial, 0);
    done(&mut trial, 2, &[1]);
    accepted(&trial);
}

#[test]
fn acknowledged_and_delivered_again_because_nobody_said_goodbye() {
    let story = |orderly: bool| {
        let mut trial = planned(1);
        let delivery = trial.deliver("tags", 1);
        begin(&mut trial, 1);
        fired(&mut trial);
        trial.ack(delivery);
        if orderly {
            stopped(&mut trial, 0);
        } else {
            trial.hang_up("tags", Backend::Broker);
            trial.container("tags", "stopped", Some(0));
        }
        done(&mut trial, 1, &[]);
        let again = trial.deliver("tags", 1);
        trial.ack(again);
        ["explained-duplicates", RULE].map(|rule| found(rule, &trial).len())
    };
    assert_eq!((story(true), story(false)), ([1, 1], [0, 1]));
}

#[test]
fn a_link_that_the_broker_ends_is_not_the_services_doing() {
    let mut trial = planned(1);
    trial.deliver("tags", 1);
    begin(&mut trial, 1);
    fired(&mut trial);
    trial.on(
        "tags",
        Step::Disconnect {
            to: Backend::Broker,
            by: Side::Server,
            how: Ending::Rst,
        },
    );
    trial.container("tags", "stopped", Some(0));
    trial.hang_up("tags", Backend::Broker);
    done(&mut trial, 1, &[1]);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn what_is_begun_until_the_service_obeys_is_to_be_finished_too() {
    let story = |before: bool| {
        let mut trial = planned(1);
        trial.deliver("tags", 1);
        fired(&mut trial);
        if before {
            begin(&mut trial, 1);
        }
        let (by, consumer) = (Side::Client, "c".into());
        trial.on(
            "tags",
            Step::Cancel {
                by,
                consumer,
                queue: None,
            },
        );
        if !before {
            begin(&mut trial, 1);
        }
        stopped(&mut trial, 0);
        done(&mut trial, 1, &[1]);
        found(RULE, &trial).len()
    };
    assert_eq!((story(true), story(false)), (1, 0));
}
