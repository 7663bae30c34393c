//! `reconnects-bounded`.

use crate::event::{Backend, Side, Step, StepKind};
use crate::fault::{Cut, FaultKind, FrameAction, Pattern, Target};
use crate::invariant::testing::{Trial, accepted, found, rejected};

const RULE: &str = "reconnects-bounded";

/// The broker is killed, and comes back after all that `meanwhile` tells.
fn outage(meanwhile: impl FnOnce(&mut Trial)) -> Trial {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan_kill("f", Target::Broker, None);
    trial.fault("f", crate::event::FaultChange::Armed);
    trial.kill_broker();
    trial.bitten("f");
    meanwhile(&mut trial);
    trial.container("broker", "started", None);
    trial.healed("f");
    trial.recovered(1);
    trial
}

/// Dials with these pauses between them, in milliseconds; each dial takes two.
fn dials(trial: &mut Trial, to: Backend, pauses: impl IntoIterator<Item = u64>) -> (u64, u64) {
    let first = trial.dial_in_vain("tags", to);
    let mut last = first;
    for pause in pauses {
        trial.wait_ms(pause);
        last = trial.dial_in_vain("tags", to);
    }
    (first, last)
}

#[test]
fn dialled_again_at_once() {
    let mut ends = (0, 0);
    let trial = outage(|trial| ends = dials(trial, Backend::Broker, [8; 60]));
    let (first, last) = ends;
    rejected(
        RULE,
        &trial,
        &[],
        &format!(
            "tags dialled the broker 61 times within 600 ms, from #{first} to #{last}, and did not get through; a service \
             that waits in between makes at most 25 for 1 connection"
        ),
    );
}

/// An outage in which a service dials like this.
fn dialled(to: Backend, pauses: impl IntoIterator<Item = u64>) -> Trial {
    outage(|trial| {
        dials(trial, to, pauses);
    })
}

#[test]
fn any_waiting_will_do() {
    let doubling = (0..20).map(|i| 100 << i.min(5));
    accepted(&dialled(Backend::Broker, doubling));
    accepted(&dialled(Backend::Broker, [98; 300]));
    accepted(&dialled(Backend::Broker, [1000; 30]));
    // Two roles that wait for themselves, in step.
    accepted(&dialled(Backend::Broker, [0, 98].repeat(100)));
}

#[test]
fn pools_begin_with_short_waits_and_begin_again() {
    let pauses = (0..80).map(|i| 1 << (i % 10));
    accepted(&dialled(Backend::Database, pauses));
}

#[test]
fn what_comes_of_use_is_not_counted() {
    let trial = outage(|trial| {
        for _ in 0..100 {
            trial.query("tags", crate::event::Verb::Select, &[], false);
            trial.hang_up("tags", Backend::Database);
        }
    });
    accepted(&trial);
}

#[test]
fn let_in_and_left_again_without_any_use() {
    let loop_of = |trial: &mut Trial, count: u32| {
        for _ in 0..count {
            let opened = Step::AmqpOpened {
                vhost: "v".into(),
                heartbeat: 10,
                frame_max: 0,
            };
            trial.on("tags", opened);
            let (by, text) = (Side::Server, "no queue".into());
            trial.on("tags", Step::ChannelClosed { by, code: 404, text });
            trial.leave("tags");
        }
    };
    let mut trial = Trial::new();
    loop_of(&mut trial, 20);
    accepted(&trial);
    loop_of(&mut trial, 20);
    assert_eq!(found(RULE, &trial).len(), 1);
}

#[test]
fn dials_that_waited_for_a_dead_link_come_all_at_once() {
    let cut = |service: &str| FaultKind::CutLink {
        service: service.into(),
        backend: Backend::Broker,
        how: Cut::HalfOpen,
    };
    for (service, findings) in [("tags", 0), ("analyzer", 1)] {
        let mut trial = Trial::new();
        trial.report(1);
        trial.begin("f", cut(service));
        trial.wait_ms(60_000);
        trial.healed("f");
        dials(&mut trial, Backend::Broker, [0; 100]);
        assert_eq!(found(RULE, &trial).len(), findings, "{service}");
        dials(&mut trial, Backend::Broker, [0; 100]);
    }
}

#[test]
fn dials_that_a_fault_resets_are_counted() {
    let lose = FaultKind::Frames {
        on: Pattern {
            by: Some("tags".into()),
            ..Pattern::new(StepKind::Connect)
        },
        does: FrameAction::Drop,
        every: None,
        limit: None,
    };
    let mut trial = Trial::new();
    trial.report(1);
    trial.begin("f", lose);
    dials(&mut trial, Backend::Broker, [0; 100]);
    assert_eq!(found(RULE, &trial).len(), 1);
}
