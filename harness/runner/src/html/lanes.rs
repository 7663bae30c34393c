//! The timeline: a lane for the trial's phases, each fault, each service, each queue, broker and database.
//!
//! A lane is made of bars (a state that lasts), marks (a step worth pointing at) and, for what is done often, a density.
//! Everything is told from the ledger; without a plan, services and queues are those that the ledger names.
//!
//! `faults`: what faults did, and those that never fired; `states`: how services, queues and backends fared.

mod faults;
mod states;

use std::collections::{BTreeMap, BTreeSet};

use harness_model::event::{Backend, Event, Step};
use harness_model::evidence::Plan;
use harness_model::invariant::InForce;
use harness_model::name::Name;

use self::faults::fault_lanes;
pub use self::faults::{Idle, idle};
use self::states::{backend_lane, queue_lane, service_lane};
use super::span::{Span, phases, seconds};

/// Parts of a density.
pub const BINS: usize = 160;

/// The name of the harness' own link.
const HARNESS: &str = "harness";

/// What lasts for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// From when to when.
    pub span: Span,
    /// What it is: the class that gives its look.
    pub look: &'static str,
    /// What it says.
    pub title: String,
}

/// A step worth pointing at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: u64,
    /// What it is: the class that gives its look.
    pub look: &'static str,
    /// What it says.
    pub title: String,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// What it is about: `phase`, `fault`, `service`, `queue` or `backend`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What it says in words.
    pub note: String,
    /// Bars, in order.
    pub bars: Vec<Bar>,
    /// Marks, in order.
    pub marks: Vec<Mark>,
    /// Times of what is done often.
    pub often: Vec<u64>,
}

impl Lane {
    pub(super) fn new(kind: &'static str, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            note: String::new(),
            bars: Vec::new(),
            marks: Vec::new(),
            often: Vec::new(),
        }
    }

    pub(super) fn bar(&mut self, from: u64, to: u64, look: &'static str, title: String) {
        if from < to {
            let span = Span { from, to };
            self.bars.push(Bar { span, look, title });
        }
    }

    pub(super) fn mark(&mut self, at: u64, look: &'static str, title: String) {
        self.marks.push(Mark { at, look, title });
    }

    /// How often it was done in each part of this span.
    pub fn density(&self, span: Span) -> Vec<u32> {
        let mut density = vec![0; BINS];
        for bin in self.often.iter().filter_map(|at| span.bin(*at, BINS)) {
            density[bin] += 1;
        }
        density
    }
}

/// All lanes.
pub fn lanes(events: &[Event], plan: Option<&Plan>, faults: &[InForce]) -> Vec<Lane> {
    let topology = plan.map(|plan| &plan.topology);
    let whole = Span::of(events);
    let mut lanes = vec![phase_lane(events)];
    // What comes after is the harness taking everything down.
    let rest = events
        .iter()
        .position(|event| matches!(&event.step, Step::Phase { name } if name == "collect"));
    let (all, events) = (events, &events[..rest.unwrap_or(events.len())]);
    lanes.extend(fault_lanes(all, faults, whole));
    for idle in idle(all, plan, faults) {
        let mut lane = Lane::new("fault", idle.id.to_string());
        lane.bar(idle.armed, whole.to, "armed", idle.words.clone());
        lane.note = idle.words;
        lanes.push(lane);
    }
    let seen: BTreeSet<_> = events.iter().filter_map(|event| event.svc.clone()).collect();
    let services: BTreeSet<Name> = match topology {
        Some(topology) => topology.services.keys().cloned().collect(),
        None => seen.into_iter().filter(|svc| *svc != HARNESS).collect(),
    };
    lanes.extend(services.iter().map(|svc| service_lane(events, svc, whole)));
    let queues: BTreeMap<Name, Name> = if let Some(topology) = topology {
        let queues = topology.queues.iter();
        queues
            .map(|(role, queue)| (role.clone(), queue.name.clone()))
            .collect()
    } else {
        let named = events.iter().filter_map(|event| match &event.step {
            Step::Consume { queue, .. } => Some((queue.clone(), queue.clone())),
            _ => None,
        });
        named.collect()
    };
    lanes.extend(
        queues
            .iter()
            .map(|(role, name)| queue_lane(events, role, name, whole)),
    );
    lanes.push(backend_lane(events, Backend::Broker, "broker", whole));
    lanes.push(backend_lane(events, Backend::Database, "database", whole));
    lanes
}

fn phase_lane(events: &[Event]) -> Lane {
    let mut lane = Lane::new("phase", "phases");
    for ((name, span), shade) in phases(events).into_iter().zip(["a", "b"].into_iter().cycle()) {
        let title = format!("{name}, {}", seconds(span.length()));
        let look = if name == "body" { "body" } else { shade };
        lane.bar(span.from, span.to, look, title);
    }
    lane.note
        .push_str("start-up until the body begins, then each phase");
    lane
}

/// A number of things.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text} {}", if n == 1 { one } else { many })
}
