//! `process-alive`: no service ends unless a fault was aimed at it, and all run and are healthy at the end.
//!
//! A service that ends because the broker or the database is gone breaks the rule: it has to wait for them.

use std::collections::BTreeSet;

use crate::event::Step;
use crate::evidence::ServiceState;
use crate::name::Name;
use crate::topology::Service;
use crate::verdict::{Finding, Kind};

use super::case::{Case, is_instance};

/// The rule's name.
pub(super) const ID: &str = "process-alive";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, declared) in &case.topology().services {
        findings.extend(exits(case, service));
        let states = case.end().services.iter();
        for (name, state) in states.filter(|(name, _)| is_instance(name, service)) {
            findings.extend(at_the_end(name, declared, state));
        }
    }
    findings
}

/// What is wrong with a container when all is over.
fn at_the_end(name: &Name, declared: &Service, state: &ServiceState) -> Option<Finding> {
    let what = if !state.running {
        let exit = state
            .exit
            .map_or_else(|| "an unknown code".into(), |exit| format!("code {exit}"));
        format!("{name} does not run at the end; it exited with {exit}")
    } else if state.health != declared.health.status {
        let health = if state.health == 0 {
            "nothing".into()
        } else {
            state.health.to_string()
        };
        format!(
            "{name} answers {health} for its health at the end, not {}",
            declared.health.status
        )
    } else {
        return None;
    };
    Some(Finding::new(Kind::Fail, ID, what))
}

/// Ends of a service's containers that no fault asked for.
fn exits(case: &Case<'_>, service: &Name) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut ended_by_us = BTreeSet::new();
    for event in case.events() {
        let Step::Container { name, change, exit } = &event.step else {
            continue;
        };
        if !is_instance(name, service) {
            continue;
        }
        match change.as_str() {
            "killed" | "stopped" => drop(ended_by_us.insert(name)),
            "started" => drop(ended_by_us.remove(name)),
            "exited" if !ended_by_us.contains(name) && !asked_for(case, service, event.n) => {
                let code = exit.map_or_else(|| "an unknown code".into(), |exit| format!("code {exit}"));
                let what = format!(
                    "{name} exited with {code} at #{}, and no fault was aimed at it",
                    event.n
                );
                findings.push(Finding::new(Kind::Fail, ID, what).shown_by([event.n]));
            }
            _ => {}
        }
    }
    findings
}

fn asked_for(case: &Case<'_>, service: &Name, n: u64) -> bool {
    case.outages()
        .iter()
        .any(|outage| outage.overlaps(n, n) && outage.aims_at(service))
}
