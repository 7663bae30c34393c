//! `not-vacuous`: the trial has exercised what it is for, so that a pass means something.
//!
//! All that is planned happened: every must-see step (one that the pipeline takes once the scenario has begun: neither the
//! harness' own traffic nor what services do when they start shows anything), every fault from its trigger to its healing, with what the wire
//! and the containers must show of it. And all that the other judges look at was collected: a reading of every queue
//! and service, and a decoded link. What is missing here makes a trial invalid, not failed: it says nothing about the
//! pipeline.

use crate::event::{Ending, Event, FaultChange, Side, Step, StepKind};
use crate::fault::{Cut, FaultKind, FaultPlan, Matcher};
use crate::name::Name;
use crate::verdict::{Finding, Kind};

use super::case::{BODY, Case, HARNESS, is_instance};
use super::fidelity;

/// The rule's name.
pub(super) const ID: &str = "not-vacuous";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let body = case
        .events()
        .find(|event| matches!(&event.step, Step::Phase { name } if *name == BODY))
        .map_or(0, |event| event.n);
    for kind in &case.plan().must_see {
        let seen = |event: &Event| event.n >= body && !of_harness(event) && event.step.kind() == *kind;
        if !case.events().any(seen) {
            findings.push(invalid(format!(
                "no {kind} was seen, and the scenario is about one"
            )));
        }
    }
    for fault in &case.plan().faults {
        findings.extend(fault_life(case, fault));
    }
    held(case, &mut findings);
    collected(case, &mut findings);
    decoded(case, &mut findings);
    findings
}

/// It is seen on the harness' own links.
fn of_harness(event: &Event) -> bool {
    event.conn.is_some() && event.svc.as_ref().is_some_and(|svc| *svc == HARNESS)
}

fn invalid(what: String) -> Finding {
    Finding::new(Kind::Invalid, ID, what)
}

/// The events of a fault's life.
#[derive(Default)]
struct Life {
    armed: Option<u64>,
    fired: Option<u64>,
    bitten: Option<(u64, bool)>,
    healed: Option<(u64, bool)>,
}

fn life(case: &Case<'_>, id: &Name) -> Life {
    let mut life = Life::default();
    for event in case.events() {
        let Step::Fault { id: found, change } = &event.step else {
            continue;
        };
        if found != id {
            continue;
        }
        match change {
            FaultChange::Armed => life.armed = Some(event.n),
            FaultChange::Fired { .. } => life.fired = Some(event.n),
            FaultChange::Bitten { proof } => life.bitten = Some((event.n, !proof.is_empty())),
            FaultChange::Healed { proof } => life.healed = Some((event.n, !proof.is_empty())),
        }
    }
    life
}

fn fault_life(case: &Case<'_>, fault: &FaultPlan) -> Option<Finding> {
    let life = life(case, &fault.id);
    let name = format!("fault {} ({})", fault.id, fault.what);
    let from = life.fired.or(life.armed);
    let (what, events) = match (&fault.when, life.bitten, life.healed) {
        (Some(trigger), ..) if life.fired.is_none() => {
            let mut matcher = Matcher::new(trigger.clone());
            let seen: u64 = case.events().map(|event| matcher.see(event).count).sum();
            (
                format!("{name} never fired: it waits for {trigger}, and the ledger holds {seen} of them"),
                vec![],
            )
        }
        (_, None, _) => (format!("{name} never took effect"), from.into_iter().collect()),
        (_, Some((n, false)), _) => (
            format!("{name} is said to have taken effect at #{n}, without proof"),
            vec![n],
        ),
        (_, Some((n, _)), None) => (
            format!("{name} took effect at #{n} and was never healed"),
            vec![n],
        ),
        (_, _, Some((n, false))) => (
            format!("{name} is said to be healed at #{n}, without proof"),
            vec![n],
        ),
        (_, Some((bitten, _)), Some((healed, _))) if healed < bitten => (
            format!("{name} took effect at #{bitten}, after it was healed at #{healed}"),
            vec![healed, bitten],
        ),
        (_, Some((bitten, _)), Some(_)) => {
            let why = shown(case, &fault.what, from.unwrap_or(0))?;
            (format!("{name}: {why}"), vec![bitten])
        }
    };
    Some(invalid(what).shown_by(events))
}

/// What the ledger must show of a fault besides its own word, and does not.
fn shown(case: &Case<'_>, what: &FaultKind, from: u64) -> Option<String> {
    let changes = |target: &crate::fault::Target| {
        let target = target.to_string();
        case.events()
            .filter(move |event| event.n >= from)
            .filter_map(move |event| match &event.step {
                Step::Container { name, change, exit } if *name == *target => Some((change.as_str(), *exit)),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    match what {
        FaultKind::Kill { target } => {
            let changes = changes(target);
            let Some(end) = changes
                .iter()
                .position(|(change, _)| matches!(*change, "killed" | "exited"))
            else {
                return Some(format!("no container of {target} was seen to be killed"));
            };
            match changes[end].1 {
                // 128 + SIGKILL, as every engine says it.
                Some(exit) if exit != 137 => Some(format!(
                    "{target} ended with exit code {exit}, so it was not SIGKILL"
                )),
                None => Some(format!("{target} ended, and nobody knows with which exit code")),
                _ if !changes[end..].iter().any(|(change, _)| *change == "started") => {
                    Some(format!("{target} was not seen to be started again"))
                }
                _ => None,
            }
        }
        FaultKind::Restart { target } => {
            let changes = changes(target);
            let Some(end) = changes.iter().position(|(change, _)| *change != "started") else {
                return Some(format!("no container of {target} was seen to end"));
            };
            (!changes[end..].iter().any(|(change, _)| *change == "started"))
                .then(|| format!("{target} was not seen to be started again"))
        }
        FaultKind::CutLink {
            service,
            backend,
            how,
        } => {
            let wanted = match how {
                Cut::Fin => Ending::Fin,
                Cut::Rst | Cut::Silent => Ending::Rst,
                Cut::HalfOpen | Cut::HalfOpenToService | Cut::HalfOpenFromService => return None,
            };
            let cut = case.events().filter(|event| event.n >= from && event.svc.as_ref() == Some(service)).any(|event| {
                matches!(&event.step, Step::Disconnect { to, by: Side::Tap, how } if to == backend && *how == wanted)
            });
            (!cut).then(|| format!("no connection of {service} was cut by it"))
        }
        // What they do leaves no trace on a link that is the same for every pipeline: their proof has to do.
        _ => None,
    }
}

/// Frames that were held and never let go.
fn held(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let released: std::collections::BTreeSet<_> = case
        .events()
        .filter_map(|event| match event.step {
            Step::Released { event, .. } => Some(event),
            _ => None,
        })
        .collect();
    for event in case.events() {
        if let Step::Held { fault, event: frame } = &event.step
            && !released.contains(frame)
        {
            findings.push(
                invalid(format!("fault {fault} held #{frame} and never let it go"))
                    .shown_by([event.n, *frame]),
            );
        }
    }
}

/// What the judges of the end state need.
fn collected(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let (topology, end) = (case.topology(), case.end());
    let mut missing = Vec::new();
    for (role, queue) in &topology.queues {
        let retry = queue.retry.as_ref().map(|retry| &retry.queue);
        for name in [&queue.name].into_iter().chain(retry) {
            if !end.queues.contains_key(name) {
                missing.push(format!("queue {name}"));
            }
        }
        if queue.dead_letter.is_some() && !end.dead.contains_key(role) {
            missing.push(format!("the dead letters of queue {role}"));
        }
    }
    for (service, described) in &topology.services {
        let found = end
            .services
            .keys()
            .filter(|name| is_instance(name, service))
            .count();
        if found < usize::from(described.instances) {
            missing.push(if described.instances == 1 {
                format!("service {service}")
            } else {
                format!(
                    "all but {found} of the {} instances of service {service}",
                    described.instances
                )
            });
        }
    }
    let effects = &topology.effects;
    if end.rendered.is_none()
        && (effects.points.is_some() || effects.brands.is_some() || effects.totals.is_some())
    {
        missing.push("what the renderer shows".into());
    }
    let seqs = case.plan().injected.iter().filter_map(|injected| injected.seq);
    if seqs.clone().count() > 0 && !seqs.clone().any(|seq| end.source_before.contains_key(&seq)) {
        missing.push(format!("the rows of {} before the trial", effects.source.table));
    }
    if let Some(event) = &topology.event
        && let Some(publish) = case
            .publishes
            .iter()
            .find(|publish| publish.message.body.is_none() && fidelity::is_event(case, event, publish))
    {
        missing.push(format!("the bodies of events, for example #{}", publish.n));
    }
    if !missing.is_empty() {
        findings.push(invalid(format!("not collected: {}", missing.join(", "))));
    }
}

/// Links of which nothing is known from some point on.
fn decoded(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if case.plan().must_see.contains(&StepKind::Opaque) {
        return;
    }
    for event in case.events() {
        if let Step::Opaque { why, .. } = &event.step {
            let what = format!(
                "connection {} of {} could not be decoded from #{} on ({why}), so nothing on it was judged",
                event.conn.unwrap_or(0),
                event.svc.as_ref().map_or("somebody", |svc| svc),
                event.n
            );
            findings.push(invalid(what).shown_by([event.n]));
        }
    }
}
