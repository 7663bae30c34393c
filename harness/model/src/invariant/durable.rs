//! `durable-topology`: what the services declare and publish survives a broker, and what the topology declares survives the
//! services.
//!
//! Judged is what goes over their links: every queue and exchange that the topology names is declared durable, and
//! every message that goes to one of them is persistent. Judged is also what the broker holds at the end, against what it
//! held before a service had started: nothing may be gone or changed, and no binding or policy may have come that concerns
//! what the topology names. A service may have exchanges and queues of its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, Step};
use crate::evidence::Binding;
use crate::name::Name;
use crate::verdict::{Finding, Kind};

use super::case::{Case, HARNESS};
use super::story;

/// The rule's name.
pub(super) const ID: &str = "durable-topology";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = declarations(case);
    findings.extend(drift(case));
    // One finding for each service and place, however many messages.
    let mut transient: BTreeMap<(&str, &str, &str), Vec<usize>> = BTreeMap::new();
    let exchanges = exchanges(case);
    for (i, publish) in case.publishes.iter().enumerate() {
        let Some(service) = publish.svc.filter(|svc| **svc != HARNESS) else {
            continue;
        };
        let message = publish.message;
        let ours = !publish.queues.is_empty() || exchanges.contains(message.exchange.as_str());
        if ours && !message.persistent {
            transient
                .entry((service, &message.exchange, &message.routing_key))
                .or_default()
                .push(i);
        }
    }
    for ((service, exchange, routing_key), found) in transient {
        let published = found.iter().map(|i| &case.publishes[*i]);
        let what = format!(
            "{service} published {} to exchange \"{exchange}\" with key {routing_key} that would not survive the broker: \
             delivery mode 1, the first at #{}",
            story::counted(found.len() as u64, "message"),
            case.publishes[found[0]].n
        );
        let keys: BTreeSet<_> = published
            .clone()
            .filter_map(|publish| publish.message.key.clone())
            .collect();
        let events = published.map(|publish| publish.n);
        findings.push(Finding::new(Kind::Fail, ID, what).about(keys).shown_by(events));
    }
    findings
}

fn declarations(case: &Case<'_>) -> Vec<Finding> {
    let (queues, exchanges) = (queues(case), exchanges(case));
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    let harness = |event: &&Event| event.svc.as_ref().is_some_and(|svc| *svc == HARNESS);
    for event in case.events().filter(|event| !harness(event)) {
        let Step::Declare {
            what,
            name,
            durable: false,
            passive: false,
        } = &event.step
        else {
            continue;
        };
        let named = if what == "queue" { &queues } else { &exchanges };
        if named.contains(&**name) && told.insert((&event.svc, what, name)) {
            let service = event.svc.as_ref().map_or("somebody", |svc| svc);
            let what = format!(
                "{service} declared {what} {name} at #{}, and not durable",
                event.n
            );
            findings.push(Finding::new(Kind::Fail, ID, what).shown_by([event.n]));
        }
    }
    findings
}

/// What is declared at the end and was not before, or the other way round.
fn drift(case: &Case<'_>) -> Vec<Finding> {
    let end = case.end();
    let (Some(before), Some(after)) = (&end.declared_before, &end.declared_after) else {
        return Vec::new();
    };
    let mut told = Vec::new();
    for (what, before, after) in [
        ("exchange", &before.exchanges, &after.exchanges),
        ("queue", &before.queues, &after.queues),
        ("policy", &before.policies, &after.policies),
    ] {
        for (name, was) in before {
            match after.get(name) {
                None => {
                    let gone = format!("{what} {name} is gone at the end; it was: {was}");
                    told.push(undone(case, gone, |step| {
                        matches!(step, Step::Delete { what: deleted, name: of } if deleted == what && of == name)
                    }));
                }
                Some(is) if is != was => {
                    told.push((format!("{what} {name} is {is} at the end; it was: {was}"), None));
                }
                Some(_) => {}
            }
        }
    }
    let gone = before.bindings.difference(&after.bindings);
    told.extend(gone.map(|binding| {
        undone(case, format!("{binding} is gone at the end"), |step| {
            binding.is_undone_by(step)
        })
    }));
    let named = |binding: &&Binding| {
        before.exchanges.contains_key(&binding.source)
            || before.queues.contains_key(&binding.to)
            || before.exchanges.contains_key(&binding.to)
    };
    let come = after.bindings.difference(&before.bindings).filter(named);
    told.extend(come.map(|binding| {
        (
            format!("{binding} has come, which the topology does not have"),
            None,
        )
    }));
    let policies = after
        .policies
        .iter()
        .filter(|(name, _)| !before.policies.contains_key(*name));
    told.extend(policies.map(|(name, is)| {
        let what = format!("policy {name} has come, which the topology does not have: {is}");
        (what, None)
    }));
    told.into_iter()
        .map(|(what, by)| Finding::new(Kind::Fail, ID, what).shown_by(by))
        .collect()
}

/// What is gone, with the last event on a link that has undone it, if there is one.
fn undone(case: &Case<'_>, gone: String, undoes: impl Fn(&Step) -> bool) -> (String, Option<u64>) {
    let by = case.events().filter(|event| undoes(&event.step)).last();
    match by {
        Some(event) => {
            let who = event.svc.as_ref().map_or("somebody", |svc| svc);
            (
                format!("{gone}; {who} has undone it at #{}", event.n),
                Some(event.n),
            )
        }
        None => (gone, None),
    }
}

fn queues<'a>(case: &Case<'a>) -> BTreeSet<&'a str> {
    let queues = case.topology().queues.values();
    queues
        .flat_map(|queue| {
            let dead = queue.dead_letter.as_ref().map(|dead| &dead.queue);
            [&queue.name]
                .into_iter()
                .chain(dead)
                .chain(queue.retry.as_ref().map(|retry| &retry.queue))
        })
        .map(Name::as_str)
        .collect()
}

fn exchanges<'a>(case: &Case<'a>) -> BTreeSet<&'a str> {
    let topology = case.topology();
    let named = topology.exchanges.values().map(|exchange| &exchange.name);
    let retry = topology
        .queues
        .values()
        .filter_map(|queue| queue.retry.as_ref())
        .map(|retry| &retry.exchange);
    named.chain(retry).map(Name::as_str).collect()
}
