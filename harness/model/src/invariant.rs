//! The promises that a pipeline has to keep in every trial, as pure functions of the evidence.
//!
//! Each module holds one rule (or two that belong together) and says at its top what it demands, what it allows, and
//! what it leaves to others. An invariant looks at nothing but the [`Case`], gives every doubt to the pipeline, and says
//! what it finds in a sentence that can be acted upon: which report, what is wrong, what would have been right, and
//! where in the ledger it was last seen. Which fault was in force is added in one place, `context`. None of them panics
//! or stops another one, whatever the evidence is.
//!
//! [`judge`] runs all of [`ALL`] that the plan does not waive. [`Account`] tells people what judges have to go by.

mod account;
mod ack;
mod answered;
mod atomic;
mod case;
mod concurrency;
pub(crate) mod context;
mod dead;
mod duplicates;
mod durable;
mod effects;
mod fidelity;
mod graceful;
mod health;
mod loss;
mod measures;
mod phantoms;
mod prefetch;
mod process;
mod progress;
mod publisher;
mod reconnects;
mod recovered;
mod rest;
mod retries;
mod roles;
mod source;
mod story;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod vacuous;
mod work;

use std::fmt;

use crate::evidence::{Evidence, Plan};
use crate::verdict::{Finding, Kind};

pub use account::{Account, Given, InForce, Life, Point, Sent, Stage};
pub use case::Case;
pub use measures::measures;

/// One rule.
#[derive(Clone, Copy)]
pub struct Invariant {
    /// Its name: what findings carry and waivers use.
    pub id: &'static str,
    /// What it demands, in a sentence.
    pub what: &'static str,
    /// Finds what breaks it.
    pub judge: fn(&Case<'_>) -> Vec<Finding>,
}

impl fmt::Debug for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invariant")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// All rules, in the order in which their findings are read best: what was lost first.
pub const ALL: &[Invariant] = &[
    Invariant {
        id: loss::ID,
        what: "a confirmed report ends in exactly one terminal place: its effect or a dead-letter queue",
        judge: loss::judge,
    },
    Invariant {
        id: dead::ID,
        what: "each dead-letter queue holds exactly the messages that belong there, unharmed and with a reason",
        judge: dead::judge,
    },
    Invariant {
        id: effects::ID,
        what: "each report has had each of its effects once: rows, tags, counts, points, totals",
        judge: effects::judge,
    },
    Invariant {
        id: atomic::ID,
        what: "a report is analysed as a whole or not at all: its rows, its event, its time of publication",
        judge: atomic::judge,
    },
    Invariant {
        id: phantoms::ID,
        what: "nothing has an effect that was not injected",
        judge: phantoms::judge,
    },
    Invariant {
        id: source::ID,
        what: "the rows of the reports themselves are the same before and after",
        judge: source::judge,
    },
    Invariant {
        id: fidelity::ID,
        what: "every field of an emitted event equals what the database holds for that report",
        judge: fidelity::judge,
    },
    Invariant {
        id: duplicates::ID,
        what: "a report that is delivered more than once has a cause in the ledger",
        judge: duplicates::judge,
    },
    Invariant {
        id: ack::ID,
        what: "the effect of a report is durable before the report is acknowledged",
        judge: ack::judge,
    },
    Invariant {
        id: publisher::ID,
        what: "what a service publishes because of a message is safe before it acknowledges that message",
        judge: publisher::judge,
    },
    Invariant {
        id: retries::BOUNDED,
        what: "retries are counted, spaced and limited",
        judge: retries::bounded,
    },
    Invariant {
        id: retries::ISOLATION,
        what: "a retry on one queue changes nothing on another",
        judge: retries::isolation,
    },
    Invariant {
        id: progress::ID,
        what: "what a fault does not touch keeps going, and no message stops those behind it",
        judge: progress::judge,
    },
    Invariant {
        id: prefetch::ID,
        what: "unacknowledged deliveries never exceed the declared prefetch, and the declared concurrency is reached",
        judge: prefetch::judge,
    },
    Invariant {
        id: durable::ID,
        what: "queues, exchanges and messages are durable",
        judge: durable::judge,
    },
    Invariant {
        id: process::ID,
        what: "no service exits or restarts unless a fault did it",
        judge: process::judge,
    },
    Invariant {
        id: health::ID,
        what: "a service says that it is not well soon after a loss, and that it is well soon after it has all back",
        judge: health::judge,
    },
    Invariant {
        id: graceful::ID,
        what: "a service that is told to stop finishes what it has begun, begins nothing new, and exits with 0",
        judge: graceful::judge,
    },
    Invariant {
        id: reconnects::ID,
        what: "a service that cannot get through to a backend waits before it dials again",
        judge: reconnects::judge,
    },
    Invariant {
        id: recovered::ID,
        what: "after the last healing every queue has its consumers and a canary comes through within the budget",
        judge: recovered::judge,
    },
    Invariant {
        id: rest::ID,
        what: "at the end nothing is unacknowledged, and queues are empty and stable",
        judge: rest::judge,
    },
    Invariant {
        id: vacuous::ID,
        what: "every must-see step was seen, every fault left its proof, and all evidence was collected",
        judge: vacuous::judge,
    },
];

/// Judges a trial by all rules that its plan does not waive.
///
/// A waiver of something that is no rule is a mistake that would hide nothing and mislead a reader, so it makes the
/// trial invalid.
pub fn judge(evidence: &Evidence) -> Vec<Finding> {
    let waived = &evidence.plan.waived;
    let case = Case::new(evidence);
    let asked = ALL.iter().filter(|invariant| !waived.contains_key(invariant.id));
    let found = asked.flat_map(|invariant| (invariant.judge)(&case));
    let mut findings: Vec<_> = found.map(|finding| context::add(&case, finding)).collect();
    for id in waived.keys().filter(|id| find(id).is_none()) {
        let what = format!("the scenario waives {id}, and there is no such invariant");
        findings.push(Finding::new(Kind::Invalid, vacuous::ID, what));
    }
    findings
}

/// The rule with this name.
pub fn find(id: &str) -> Option<&'static Invariant> {
    ALL.iter().find(|invariant| invariant.id == id)
}

/// The rules that a plan waives, each with the scenario's reason.
pub fn waivers(plan: &Plan) -> impl Iterator<Item = (&'static Invariant, &str)> {
    plan.waived
        .iter()
        .filter_map(|(id, reason)| Some((find(id)?, reason.as_str())))
}
