//! What every finding says besides what its rule has to say.

use crate::event::FaultChange;
use crate::fault::{FaultKind, Target};
use crate::invariant::judge;
use crate::invariant::testing::Trial;

/// What is said of the only finding.
fn told(trial: &Trial) -> String {
    let findings = judge(&trial.evidence());
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings[0].what.clone()
}

fn ends(trial: &Trial, end: &str) {
    let told = told(trial);
    assert!(told.ends_with(end), "{told}");
}

/// The broker is killed and comes back.
fn kill(trial: &mut Trial, id: &str) -> (u64, u64) {
    trial.plan_kill(id, Target::Broker, None);
    trial.fault(id, FaultChange::Armed);
    trial.kill_broker();
    let bitten = trial.bitten(id);
    trial.container("broker", "started", None);
    (bitten, trial.healed(id))
}

#[test]
fn the_fault_in_force() {
    let mut trial = Trial::new();
    trial.report(1);
    let bitten = trial.begin(
        "f",
        FaultKind::OutOfMemory {
            service: "renderer".into(),
        },
    );
    let delivery = trial.deliver("tags", 1);
    trial.ack(delivery);
    let healed = trial.healed("f");
    trial.recovered(1);
    ends(
        &trial,
        &format!(
            "; while out of memory in renderer (f, bitten at #{bitten}, healed at #{healed}) was in force"
        ),
    );
}

#[test]
fn the_nearest_fault() {
    let mut trial = Trial::new();
    trial.report(1);
    let (bitten, healed) = kill(&mut trial, "f");
    trial.container("tags", "exited", Some(1));
    trial.recovered(1);
    let f = format!("SIGKILL of broker (f, bitten at #{bitten}, healed at #{healed})");
    ends(&trial, &format!("; after {f}"));
    // Another one comes, but much later; and then one that comes at once.
    trial.report(2);
    kill(&mut trial, "g");
    trial.recovered(1);
    ends(&trial, &format!("; after {f}"));

    let mut trial = Trial::new();
    trial.report(1);
    kill(&mut trial, "f");
    trial.report(2);
    trial.container("tags", "exited", Some(1));
    let (bitten, healed) = kill(&mut trial, "g");
    trial.recovered(1);
    ends(
        &trial,
        &format!("; before SIGKILL of broker (g, bitten at #{bitten}, healed at #{healed})"),
    );
}

#[test]
fn one_that_the_rule_has_named_is_not_named_again() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.inject(1);
    trial.analysed(1);
    trial.rendered(1);
    trial.begin(
        "f",
        FaultKind::OutOfMemory {
            service: "renderer".into(),
        },
    );
    trial.wait_ms(60_000);
    trial.tagged(1);
    trial.healed("f");
    trial.recovered(1);
    assert_eq!(told(&trial).matches("(f").count(), 1);
}

#[test]
fn without_faults_there_is_none_to_name() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.end.links.pop();
    let said = judge(&trial.evidence());
    let last = trial.last();
    // The tag's count, too, is wrong then.
    assert!(
        said[0].what.ends_with(&format!(
            "missing: full; last seen at #{last}: acknowledged by renderer"
        )),
        "{said:#?}"
    );
    assert_eq!(said[0].events, [last]);
}

#[test]
fn where_to_look_if_the_rule_names_no_event() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.rows(1);
    let said = judge(&trial.evidence());
    assert!(said[0].what.ends_with("; see #7"), "{said:#?}");
}

#[test]
fn what_makes_a_trial_invalid_stays_as_it_is() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.plan_kill("f", Target::Broker, None);
    trial.recovered(1);
    ends(&trial, "never took effect");
}
