//! `not-vacuous`.

use crate::event::{Backend, Ending, FaultChange, Side, Step, StepKind};
use crate::fault::{Cut, FaultKind, FaultPlan, Pattern, Target, Trigger};
use crate::invariant::testing::{Trial, accepted, found, rejected};

const RULE: &str = "not-vacuous";

/// What is told of a kill of the broker at the 2nd acknowledgement, of which these steps were seen.
fn kill(steps: &[&str]) -> Trial {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan_kill(
        "f",
        Target::Broker,
        Some(Trigger::nth(2, Pattern::new(StepKind::Ack))),
    );
    for step in steps {
        match *step {
            "armed" => trial.fault("f", FaultChange::Armed),
            "fired" => trial.fault("f", FaultChange::Fired { by: 1 }),
            "killed" => trial.kill_broker(),
            "stopped" => trial.container("broker", "killed", Some(0)),
            "gone" => trial.container("broker", "killed", None),
            "bitten" => trial.bitten("f"),
            "claimed" => trial.fault("f", FaultChange::Bitten { proof: String::new() }),
            "started" => trial.container("broker", "started", None),
            "healed" => trial.healed("f"),
            "recovered" => trial.recovered(1),
            _ => panic!("{step}"),
        };
    }
    trial
}

#[test]
fn a_fault_has_a_whole_life() {
    accepted(&kill(&[
        "armed",
        "fired",
        "killed",
        "bitten",
        "started",
        "healed",
        "recovered",
    ]));

    let name = "fault f (SIGKILL of broker)";
    let told = |steps: &[&str], what: &str| rejected(RULE, &kill(steps), &[], &format!("{name}{what}"));
    told(
        &["armed"],
        " never fired: it waits for ack number 2, and the ledger holds 3 of them",
    );
    told(&["armed", "fired"], " never took effect");
    told(
        &["fired", "killed", "claimed"],
        " is said to have taken effect at #39, without proof",
    );
    told(
        &["fired", "killed", "bitten", "started"],
        " took effect at #39 and was never healed",
    );
    told(
        &["fired", "healed", "killed", "bitten"],
        " took effect at #40, after it was healed at #34",
    );
    told(
        &["fired", "bitten", "healed"],
        ": no container of broker was seen to be killed",
    );
    told(
        &["fired", "killed", "bitten", "healed"],
        ": broker was not seen to be started again",
    );
    // A kill that was a graceful stop.
    told(
        &["fired", "stopped", "bitten", "started", "healed"],
        ": broker ended with exit code 0, so it was not SIGKILL",
    );
    told(
        &["fired", "gone", "bitten", "started", "healed"],
        ": broker ended, and nobody knows with which exit code",
    );
}

#[test]
fn a_cut_shows_on_the_wire() {
    let mut trial = Trial::new();
    trial.report(1);
    let what = FaultKind::CutLink {
        service: "tags".into(),
        backend: Backend::Broker,
        how: Cut::Rst,
    };
    trial.plan.faults.push(FaultPlan {
        id: "f".into(),
        what,
        when: None,
    });
    trial.fault("f", FaultChange::Armed);
    let mut without = trial.clone();
    without.on(
        "tags",
        Step::Disconnect {
            to: Backend::Broker,
            by: Side::Client,
            how: Ending::Fin,
        },
    );
    without.bitten("f");
    without.healed("f");
    rejected(
        RULE,
        &without,
        &[],
        "fault f (RST on the link from tags to the broker): no connection of tags was cut by it",
    );
    trial.cut("tags");
    trial.bitten("f");
    trial.healed("f");
    trial.recovered(1);
    accepted(&trial);
}

#[test]
fn what_must_be_seen() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan.must_see = [StepKind::Ack, StepKind::Nack].into();
    rejected(
        RULE,
        &trial,
        &[],
        "no nack was seen, and the scenario is about one",
    );
}

#[test]
fn what_the_harness_does_itself_or_a_service_at_its_start_shows_nothing() {
    let mut trial = Trial::new();
    trial.on("tags", Step::ConfirmSelect);
    trial.say(Step::Phase { name: "body".into() });
    let n = trial.on("harness", Step::ConfirmSelect);
    trial.report(1);
    trial.plan.must_see = [StepKind::ConfirmSelect, StepKind::Phase].into();
    rejected(
        RULE,
        &trial,
        &[],
        "no confirm_select was seen, and the scenario is about one",
    );
    trial.hand_to("tags", n);
    accepted(&trial);
}

#[test]
fn every_instance_has_to_be_looked_at() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan.topology.services.get_mut("tags").unwrap().instances = 2;
    trial.end.queues.get_mut("report-tags").unwrap().consumers = 2;
    rejected(
        RULE,
        &trial,
        &[],
        "not collected: all but 1 of the 2 instances of service tags",
    );
    let state = trial.end.services["tags"].clone();
    trial.end.services.insert("tags-2".into(), state);
    accepted(&trial);
}

#[test]
fn a_frame_that_is_still_held() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.say(Step::Held {
        fault: "f".into(),
        event: 7,
    });
    rejected(RULE, &trial, &[], "fault f held #7 and never let it go");
}

#[test]
fn evidence_that_was_not_collected() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.end.queues.remove("report-tags.retry");
    trial.end.dead.remove("renderer");
    trial.end.services.remove("tags");
    trial.end.rendered = None;
    trial.end.source_before.clear();
    trial.change(15, |step| {
        if let Step::Publish { message, .. } = step {
            message.body = None;
        }
    });
    rejected(
        RULE,
        &trial,
        &[],
        "not collected: the dead letters of queue renderer, queue report-tags.retry, service tags, what the renderer \
         shows, the rows of reports before the trial, the bodies of events, for example #15",
    );
}

#[test]
fn a_link_that_was_not_decoded() {
    let mut trial = Trial::new();
    trial.report(1);
    let n = trial.on(
        "tags",
        Step::Opaque {
            to: Backend::Broker,
            why: "TLS".into(),
        },
    );
    rejected(
        RULE,
        &trial,
        &[],
        &format!("connection 4 of tags could not be decoded from #{n} on (TLS), so nothing on it was judged"),
    );
    trial.plan.must_see = [StepKind::Opaque].into();
    assert!(found(RULE, &trial).is_empty());
}
