//! `recovered`: after the last fault was healed the pipeline works again by itself, soon enough.
//!
//! Proof is a canary that came through the whole pipeline after the healing, not a port that answers. Every queue that
//! a service consumes has a consumer again for each of its instances. Whether the queues are empty is `at-rest`'s question.

use crate::event::{FaultChange, Step};
use crate::verdict::{Finding, Kind};

use super::case::Case;

/// The rule's name.
pub(super) const ID: &str = "recovered";

/// The phase in which the canary is sent.
const CANARY: &str = "canary";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings: Vec<_> = canary(case).into_iter().collect();
    let topology = case.topology();
    for (role, queue) in &topology.queues {
        let wanted: u64 = topology
            .services
            .values()
            .filter(|service| service.consumes.as_ref() == Some(role))
            .map(|service| u64::from(service.instances))
            .sum();
        let Some(state) = case.end().queues.get(&queue.name) else {
            continue;
        };
        if state.consumers < wanted {
            let what = format!(
                "queue {role} ({}) has {} of {wanted} consumers at the end",
                queue.name, state.consumers
            );
            let last = case.events().rfind(|event| match &event.step {
                Step::Consume { queue: found, .. } => *found == queue.name,
                Step::Cancel { queue: found, .. } => found.as_ref() == Some(&queue.name),
                _ => false,
            });
            findings.push(Finding::new(Kind::Fail, ID, what).shown_by(last.map(|event| event.n)));
        }
    }
    findings
}

fn canary(case: &Case<'_>) -> Option<Finding> {
    let (mut disturbed, mut since) = (!case.plan().faults.is_empty(), None);
    let mut came = None;
    for event in case.events() {
        match &event.step {
            Step::Fault {
                change: FaultChange::Bitten { .. },
                ..
            } => {
                disturbed = true;
                (since, came) = (Some(event.n), None);
            }
            Step::Fault {
                change: FaultChange::Healed { .. },
                ..
            } => (since, came) = (Some(event.n), None),
            Step::Phase { name } if *name == CANARY => (since, came) = (Some(event.n), None),
            Step::Recovered { key, ms } => came = Some((event.n, key, *ms)),
            _ => {}
        }
    }
    let budget = case.plan().recovery_budget_ms;
    match came {
        Some((n, key, ms)) if ms > budget => {
            let what =
                format!("canary {key} came through {ms} ms after the last healing; {budget} ms were allowed");
            Some(
                Finding::new(Kind::Fail, ID, what)
                    .about([key.clone()])
                    .shown_by([n]),
            )
        }
        None if disturbed || since.is_some() => {
            let after = since.map_or(String::new(), |n| format!(" after #{n}"));
            let what = format!("no canary came through the pipeline{after}; {budget} ms were allowed");
            let canaries = case.plan().injected.iter().filter(|injected| injected.canary);
            let keys = canaries.map(|injected| injected.key.clone());
            Some(Finding::new(Kind::Fail, ID, what).about(keys).shown_by(since))
        }
        _ => None,
    }
}
