//! Of `effects-once`: where the harness plays what a service asks for its analyses, none may be stored that nobody gave.
//!
//! A service that saves something of its own when the answer fails turns a failure into a result, and everything after it
//! looks well. What is stored is not compared with the answer: a service may make of it what it likes.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::Step;
use crate::fault::{FaultKind, Misbehaviour};
use crate::name::{Key, Name};
use crate::verdict::Finding;

use super::case::Case;
use super::{effects, story};

/// Requests about one report that had no good answer.
#[derive(Default)]
struct Asked {
    events: Vec<u64>,
    /// What was answered last.
    status: u16,
}

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let topology = case.topology();
    let consumer = case.roles.analysis.and_then(|queue| topology.consumer_of(queue));
    let analyzer = consumer.map(|(service, _)| service);
    let mut failed: BTreeMap<&Key, Asked> = BTreeMap::new();
    let mut answered: BTreeSet<&Key> = BTreeSet::new();
    for event in case.events() {
        let Step::Upstream {
            name,
            key,
            status,
            fault,
        } = &event.step
        else {
            continue;
        };
        if topology.upstreams.get(name).map(|upstream| &upstream.service) != analyzer {
            continue;
        }
        let good = (200..300).contains(status) && !fault.as_ref().is_some_and(|fault| spoils(case, fault));
        match (key, good) {
            (Some(key), true) => {
                answered.insert(key);
            }
            (Some(key), false) => {
                let asked = failed.entry(key).or_default();
                asked.events.push(event.n);
                asked.status = *status;
            }
            // It may have been about any report.
            (None, true) => return Vec::new(),
            (None, false) => {}
        }
    }
    let unanswered = failed.into_iter().filter(|(key, _)| !answered.contains(key));
    let stored = unanswered.filter(|(key, _)| {
        let seq = case.injected(key).and_then(|injected| injected.seq);
        seq.is_some_and(|seq| !case.rows(seq).is_empty())
    });
    stored
        .map(|(key, asked)| {
            let last = match asked.status {
                0 => "the last had no whole answer".to_owned(),
                status => format!("the last was answered {status}"),
            };
            let what = format!(
                "{}: an analysis is stored that nobody gave; {} for it failed, {last}",
                story::name(case, key),
                story::counted(asked.events.len() as u64, "request"),
            );
            effects::fail(what, [key.clone()]).shown_by(asked.events)
        })
        .collect()
}

/// The fault puts something else in the place of a good answer, instead of only making it late.
fn spoils(case: &Case<'_>, fault: &Name) -> bool {
    let plan = case.plan().faults.iter().find(|plan| plan.id == *fault);
    matches!(
        plan.map(|plan| &plan.what),
        Some(FaultKind::Upstream {
            does: Misbehaviour::Status(_) | Misbehaviour::Garbage | Misbehaviour::CutBody,
            ..
        })
    )
}
