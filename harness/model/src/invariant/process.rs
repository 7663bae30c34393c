//! `process-alive`: no service ends unless a fault was aimed at it, and all run and are healthy at the end.
//!
//! A service that ends because the broker or the database is gone breaks the rule: it has to wait for them.

use crate::event::{FaultChange, Step};
use crate::fault::{FaultKind, Target};
use crate::name::Name;
use crate::verdict::{Finding, Kind};

use super::case::Case;

/// The rule's name.
pub(super) const ID: &str = "process-alive";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, declared) in &case.topology().services {
        findings.extend(exits(case, service));
        let Some(state) = case.end().services.get(service) else {
            continue;
        };
        let what = if !state.running {
            let exit = state
                .exit
                .map_or_else(|| "an unknown code".into(), |exit| format!("code {exit}"));
            format!("{service} does not run at the end; it exited with {exit}")
        } else if state.health != declared.health.status {
            let health = if state.health == 0 {
                "nothing".into()
            } else {
                state.health.to_string()
            };
            format!(
                "{service} answers {health} for its health at the end, not {}",
                declared.health.status
            )
        } else {
            continue;
        };
        findings.push(Finding::new(Kind::Fail, ID, what));
    }
    findings
}

/// Ends of a service's container that no fault asked for.
fn exits(case: &Case<'_>, service: &Name) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut aimed_at, mut ended_by_us) = (0_u32, false);
    for event in case.events() {
        match &event.step {
            Step::Fault { id, change } => {
                let Some(fault) = case
                    .plan()
                    .faults
                    .iter()
                    .find(|fault| fault.id == *id && aims_at(&fault.what, service))
                else {
                    continue;
                };
                match change {
                    FaultChange::Armed if fault.when.is_none() => aimed_at += 1,
                    FaultChange::Fired { .. } if fault.when.is_some() => aimed_at += 1,
                    FaultChange::Healed { .. } => aimed_at = aimed_at.saturating_sub(1),
                    _ => {}
                }
            }
            Step::Container { name, change, exit } if name == service => match change.as_str() {
                "killed" | "stopped" => ended_by_us = true,
                "exited" if aimed_at == 0 && !ended_by_us => {
                    let code = exit.map_or_else(|| "an unknown code".into(), |exit| format!("code {exit}"));
                    let what = format!(
                        "{service} exited with {code} at #{}, and no fault was aimed at it",
                        event.n
                    );
                    findings.push(Finding::new(Kind::Fail, ID, what).shown_by([event.n]));
                }
                "started" => ended_by_us = false,
                _ => {}
            },
            _ => {}
        }
    }
    findings
}

fn aims_at(fault: &FaultKind, service: &Name) -> bool {
    match fault {
        FaultKind::Kill { target } | FaultKind::Restart { target } => {
            *target == Target::Service(service.clone())
        }
        FaultKind::CutLink { .. } => false,
    }
}
