//! `health-truth`.

use crate::event::{Backend, Ending, FaultChange, Side, Step};
use crate::fault::{Cut, FaultKind, Target};
use crate::invariant::testing::{Trial, accepted, found, rejected};

const RULE: &str = "health-truth";

/// A service has opened its connections: one to consume, one to publish if it has one apart, one to the database.
fn connected(trial: &mut Trial, svc: &str, apart: bool) {
    if apart {
        trial.on(svc, Step::ConfirmSelect);
        trial.set_aside(svc);
    }
    trial.on(svc, opened());
    trial.on(svc, consume());
    ping(trial, svc);
}

fn opened() -> Step {
    Step::AmqpOpened {
        vhost: "v".into(),
        heartbeat: 10,
        frame_max: 0,
    }
}

fn consume() -> Step {
    Step::Consume {
        queue: "report-tags".into(),
        consumer: "c".into(),
        no_ack: false,
    }
}

fn ping(trial: &mut Trial, svc: &str) {
    trial.query(svc, crate::event::Verb::Select, &[], false);
}

/// The tags service is connected and well.
fn well(apart: bool) -> Trial {
    let mut trial = Trial::new();
    connected(&mut trial, "tags", apart);
    trial.health("tags", 200);
    trial
}

/// Something else happens, so much later.
fn later(trial: &mut Trial, ms: u64) -> u64 {
    trial.wait_ms(ms);
    trial.say(Step::Note { text: "later".into() })
}

/// The broker is down for so long; what the service says meanwhile is told by `meanwhile`.
fn broker_down(trial: &mut Trial, ms: u64, meanwhile: impl FnOnce(&mut Trial)) -> (u64, u64) {
    trial.plan_kill("f", Target::Broker, None);
    trial.fault("f", FaultChange::Armed);
    let lost = trial.last() + 1;
    trial.kill_broker();
    trial.bitten("f");
    meanwhile(trial);
    trial.wait_ms(ms);
    trial.container("broker", "started", None);
    let dialled = trial.last() + 2;
    connected(trial, "tags", false);
    trial.healed("f");
    trial.recovered(1);
    (lost, dialled)
}

#[test]
fn healthy_without_a_broker() {
    let mut trial = well(false);
    let said = trial.last();
    let (lost, back) = broker_down(&mut trial, 8_000, |_| {});
    rejected(
        RULE,
        &trial,
        &[],
        &format!(
            "tags says that it is healthy (200) from #{said} on, but had lost the broker at #{lost}, and had it back at \
             #{back}; 5000 ms after a loss it has to say so"
        ),
    );
}

#[test]
fn an_outage_that_is_told_of_or_too_short_to_be() {
    let mut trial = well(false);
    broker_down(&mut trial, 6_500, |_| {});
    accepted(&trial);

    let mut trial = well(false);
    broker_down(&mut trial, 60_000, |trial| {
        trial.wait_ms(4_900);
        trial.health("tags", 503);
    });
    trial.wait_ms(1_000);
    trial.health("tags", 200);
    later(&mut trial, 20_000);
    accepted(&trial);

    // One that does not answer does not say that it is well.
    let mut trial = well(false);
    broker_down(&mut trial, 60_000, |trial| {
        trial.health("tags", 0);
    });
    trial.health("tags", 200);
    accepted(&trial);
}

#[test]
fn healthy_again_before_the_broker_is() {
    let story = |before: u64| {
        let mut trial = well(false);
        broker_down(&mut trial, before, |trial| {
            trial.health("tags", 503);
            trial.wait_ms(10_000);
            trial.health("tags", 200);
        });
        found(RULE, &trial).len()
    };
    assert_eq!((story(6_000), story(8_000)), (0, 1));
}

#[test]
fn unwell_and_yet_connected_to_a_broker_that_is_gone() {
    let mut trial = Trial::new();
    connected(&mut trial, "analyzer", false);
    trial.about(
        "analyzer",
        Step::Health {
            status: 503,
            broker: Some(true),
        },
    );
    trial.hang_up("analyzer", Backend::Broker);
    later(&mut trial, 8_000);
    let told = found(RULE, &trial);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0]
            .what
            .starts_with("analyzer says that it is connected to the broker from #"),
        "{told:?}"
    );

    // Where the body tells of the broker, the status need not.
    let mut trial = Trial::new();
    connected(&mut trial, "analyzer", false);
    trial.health("analyzer", 200);
    trial.hang_up("analyzer", Backend::Broker);
    trial.about(
        "analyzer",
        Step::Health {
            status: 200,
            broker: Some(false),
        },
    );
    later(&mut trial, 8_000);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn a_dead_link_may_take_three_heartbeats() {
    let silence = |how| FaultKind::CutLink {
        service: "tags".into(),
        backend: Backend::Broker,
        how,
    };
    let story = |how: Cut, ms: u64| {
        let mut trial = well(false);
        trial.begin("f", silence(how));
        if how == Cut::Silent {
            trial.cut("tags");
        }
        later(&mut trial, ms);
        trial.healed("f");
        found(RULE, &trial).len()
    };
    // Two seconds to see it, and two more where the end of it may have been before it is told.
    assert_eq!((story(Cut::Silent, 31_900), story(Cut::Silent, 32_100)), (0, 1));
    assert_eq!(
        (story(Cut::HalfOpen, 33_900), story(Cut::HalfOpen, 34_100)),
        (0, 1)
    );
    assert_eq!(
        (
            story(Cut::HalfOpenToService, 33_900),
            story(Cut::HalfOpenToService, 34_100)
        ),
        (0, 1)
    );
    // It hears heartbeats for as long as the broker waits for its own.
    assert_eq!(story(Cut::HalfOpenFromService, 34_100), 0);
    // A reset is seen at once.
    assert_eq!((story(Cut::Rst, 100), story(Cut::Silent, 7_100)), (0, 0));
}

#[test]
fn short_heartbeats_leave_the_time_that_clients_add() {
    let story = |ms: u64| {
        let mut trial = well(false);
        for n in 1..=trial.last() {
            trial.change(n, |step| {
                if let Step::AmqpOpened { heartbeat, .. } = step {
                    *heartbeat = 5;
                }
            });
        }
        trial.begin(
            "f",
            FaultKind::CutLink {
                service: "tags".into(),
                backend: Backend::Broker,
                how: Cut::Silent,
            },
        );
        trial.cut("tags");
        later(&mut trial, ms);
        trial.healed("f");
        found(RULE, &trial).len()
    };
    assert_eq!((story(21_900), story(22_100)), (0, 1));
}

#[test]
fn without_heartbeats_nobody_notices() {
    let mut trial = well(false);
    for n in 1..=trial.last() {
        trial.change(n, |step| {
            if let Step::AmqpOpened { heartbeat, .. } = step {
                *heartbeat = 0;
            }
        });
    }
    trial.container("broker", "paused", None);
    later(&mut trial, 600_000);
    trial.container("broker", "resumed", None);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn a_database_that_is_gone_or_stands_still() {
    for (change, ms, findings) in [
        ("killed", 6_900, 0),
        ("killed", 7_100, 1),
        ("paused", 8_900, 0),
        ("paused", 9_100, 1),
    ] {
        let mut trial = well(false);
        let target = Target::Database;
        let what = if change == "killed" {
            FaultKind::Kill { target }
        } else {
            FaultKind::Pause { target }
        };
        trial.begin("f", what);
        trial.container("database", change, None);
        later(&mut trial, ms);
        let back = if change == "killed" { "started" } else { "resumed" };
        trial.container("database", back, None);
        trial.healed("f");
        let told = found(RULE, &trial);
        assert_eq!(told.len(), findings, "{change} {ms} {told:?}");
        assert!(told.iter().all(|finding| finding.what.contains("the database")));
    }
    // One that uses none has nothing to tell.
    let mut trial = Trial::new();
    trial.on("tags", consume());
    trial.health("tags", 200);
    trial.container("database", "killed", None);
    later(&mut trial, 60_000);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn a_publisher_that_does_not_come_back() {
    let story = |apart: bool, again: bool| {
        let mut trial = well(apart);
        trial.lose_aside("tags");
        if again {
            trial.wait_ms(3_000);
            trial.set_aside("tags");
            trial.on("tags", Step::ConfirmSelect);
        }
        later(&mut trial, 60_000);
        found(RULE, &trial)
    };
    let told = story(true, false);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].what.contains("had lost the publisher at #"), "{told:?}");
    assert!(story(true, true).is_empty());
    // Whoever publishes where it consumes, or opens what it needs when it needs it, has lost nothing.
    assert!(story(false, false).is_empty());
}

#[test]
fn unwell_long_after_all_is_back() {
    let mut trial = well(false);
    broker_down(&mut trial, 20_000, |trial| {
        trial.health("tags", 503);
    });
    ping(&mut trial, "tags");
    later(&mut trial, 11_900);
    assert!(found(RULE, &trial).is_empty());
    later(&mut trial, 200);
    let told = found(RULE, &trial);
    assert_eq!(told.len(), 1, "{told:?}");
    let what = &told[0].what;
    assert!(
        what.starts_with("tags says that it is not well (503) from #"),
        "{told:?}"
    );
    trial.health("tags", 200);
    assert_eq!(found(RULE, &trial).len(), 1);
}

#[test]
fn what_is_not_back_excuses() {
    // The consumer.
    let mut trial = well(false);
    let (by, consumer) = (Side::Server, "c".into());
    let cancelled = trial.on(
        "tags",
        Step::Cancel {
            by,
            consumer,
            queue: None,
        },
    );
    trial.health("tags", 503);
    ping(&mut trial, "tags");
    later(&mut trial, 60_000);
    assert!(found(RULE, &trial).is_empty());
    trial.change(cancelled, |step| *step = Step::Unblocked);
    assert_eq!(found(RULE, &trial).len(), 1);

    // The broker takes no messages.
    let mut trial = well(false);
    let reason = "low on memory".into();
    trial.on("tags", Step::Blocked { reason });
    trial.health("tags", 503);
    ping(&mut trial, "tags");
    later(&mut trial, 60_000);
    assert!(found(RULE, &trial).is_empty());

    // The database has not answered since.
    let mut trial = well(false);
    let (to, by, how) = (Backend::Database, Side::Server, Ending::Rst);
    trial.db("tags", Step::Disconnect { to, by, how });
    trial.health("tags", 503);
    later(&mut trial, 60_000);
    assert!(found(RULE, &trial).is_empty());

    // A fault that touches it.
    let mut trial = well(false);
    trial.begin("f", FaultKind::ReadOnly);
    trial.health("tags", 503);
    ping(&mut trial, "tags");
    later(&mut trial, 60_000);
    trial.healed("f");
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn a_doubt_is_forgiven_and_a_habit_is_not() {
    let doubt = |trial: &mut Trial, status: u16, ms: u64| {
        later(trial, 12_000);
        trial.health("tags", status);
        trial.wait_ms(ms);
        trial.health("tags", 200)
    };
    let mut trial = well(false);
    doubt(&mut trial, 503, 1_900);
    doubt(&mut trial, 0, 5_900);
    doubt(&mut trial, 503, 100);
    accepted(&trial);
    let mut long = trial.clone();
    doubt(&mut long, 503, 2_100);
    assert_eq!(found(RULE, &long).len(), 1);
    doubt(&mut trial, 503, 100);
    let told = found(RULE, &trial);
    assert!(
        told[0]
            .what
            .starts_with("tags says 3 times that it is not well, first at #"),
        "{told:?}"
    );
}

#[test]
fn a_service_that_a_fault_ends_or_one_of_several_is_not_judged() {
    let mut trial = well(false);
    let target = Target::Service("tags".into());
    trial.begin("f", FaultKind::Pause { target });
    trial.hang_up("tags", Backend::Broker);
    later(&mut trial, 60_000);
    trial.healed("f");
    assert!(found(RULE, &trial).is_empty());

    let mut trial = well(false);
    trial.hang_up("tags", Backend::Broker);
    later(&mut trial, 60_000);
    assert_eq!(found(RULE, &trial).len(), 1);
    trial.plan.topology.services.get_mut("tags").unwrap().instances = 2;
    assert!(found(RULE, &trial).is_empty());
}
