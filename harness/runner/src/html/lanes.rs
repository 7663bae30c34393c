//! The timeline: a lane for the trial's phases, each fault, each service, each queue, broker and database.
//!
//! A lane is made of bars (a state that lasts), marks (a step worth pointing at) and, for what is done often, a density.
//! Everything is told from the ledger; without a plan, services and queues are those that the ledger names.

use std::collections::{BTreeMap, BTreeSet};

use harness_model::event::{Backend, Event, FaultChange, Step};
use harness_model::evidence::Plan;
use harness_model::invariant::InForce;
use harness_model::name::Name;

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
    fn new(kind: &'static str, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            note: String::new(),
            bars: Vec::new(),
            marks: Vec::new(),
            often: Vec::new(),
        }
    }

    fn bar(&mut self, from: u64, to: u64, look: &'static str, title: String) {
        if from < to {
            let span = Span { from, to };
            self.bars.push(Bar { span, look, title });
        }
    }

    fn mark(&mut self, at: u64, look: &'static str, title: String) {
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

fn fault_lanes(events: &[Event], faults: &[InForce], whole: Span) -> Vec<Lane> {
    let recovered = |after: u64| {
        let mut events = events.iter().filter(|event| event.n > after);
        events
            .find(|event| matches!(event.step, Step::Recovered { .. }))
            .map(|event| event.at)
    };
    let mut lanes: Vec<Lane> = Vec::new();
    for fault in faults {
        let mut lane = Lane::new("fault", fault.id.to_string());
        let when = fault
            .when
            .as_ref()
            .map_or_else(String::new, |when| format!(", at {when}"));
        if let Some(armed) = fault.armed {
            lane.bar(armed.at, fault.from.at, "armed", format!("armed{when}"));
        }
        let bitten = fault.bitten.map_or(whole.to, |bitten| bitten.at);
        lane.bar(
            fault.from.at,
            bitten,
            "fired",
            format!("fired at {}", seconds(fault.from.at)),
        );
        lane.note = match (fault.bitten, fault.healed) {
            (None, _) => format!(
                "{}{when}: fired at {}, no proof that it bit",
                fault.what,
                seconds(fault.from.at)
            ),
            (Some(bitten), None) => format!(
                "{}{when}: bitten at {}, never healed",
                fault.what,
                seconds(bitten.at)
            ),
            (Some(bitten), Some(healed)) => {
                let (at, to) = (seconds(bitten.at), seconds(healed.at));
                format!("{}{when}: bitten at {at}, healed at {to}", fault.what)
            }
        };
        if let Some(bitten) = fault.bitten {
            let until = fault.healed.map_or(whole.to, |healed| healed.at);
            lane.bar(bitten.at, until, "force", lane.note.clone());
            lane.mark(bitten.at, "bite", format!("#{} bitten", bitten.n));
        }
        if let Some(healed) = fault.healed {
            let back = recovered(healed.n);
            let title = back.map_or_else(
                || "healed; no canary came through afterwards".to_owned(),
                |back| {
                    format!(
                        "recovering for {} until the canary came through",
                        seconds(back - healed.at)
                    )
                },
            );
            lane.bar(healed.at, back.unwrap_or(whole.to), "recovery", title);
        }
        lanes.push(lane);
    }
    lanes
}

/// A fault that was armed and never fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// The fault.
    pub id: Name,
    /// Since when it waited.
    pub armed: u64,
    /// What it is, and what it waited for.
    pub words: String,
}

/// The faults that never fired.
pub fn idle(events: &[Event], plan: Option<&Plan>, faults: &[InForce]) -> Vec<Idle> {
    let armed = events.iter().filter_map(|event| match &event.step {
        Step::Fault {
            id,
            change: FaultChange::Armed,
        } => Some((id, event.at)),
        _ => None,
    });
    let armed = armed.filter(|(id, _)| !faults.iter().any(|fault| fault.id == **id));
    let told = armed.map(|(id, at)| {
        let planned = plan.and_then(|plan| plan.faults.iter().find(|fault| fault.id == *id));
        let what = planned.map_or_else(|| "a fault".to_owned(), |fault| fault.what.to_string());
        let when = planned.and_then(|fault| fault.when.as_ref());
        let when = when.map_or_else(String::new, |when| format!(", at {when}"));
        Idle {
            id: id.clone(),
            armed: at,
            words: format!("{what}{when}: armed at {}, never fired", seconds(at)),
        }
    });
    told.collect()
}

/// The container with this name belongs to the service with this role, as `tags-2` does to `tags`.
fn is_of(container: &str, role: &str) -> bool {
    container.strip_prefix(role).is_some_and(|rest| {
        let number = rest
            .strip_prefix('-')
            .and_then(|number| number.parse::<u16>().ok());
        rest.is_empty() || number.is_some()
    })
}

/// A state that changes now and then, as bars.
struct State {
    since: u64,
    now: (&'static str, &'static str),
}

impl State {
    fn turn(&mut self, lane: &mut Lane, at: u64, now: (&'static str, &'static str)) {
        if now != self.now {
            let (look, title) = self.now;
            lane.bar(
                self.since,
                at,
                look,
                format!("{title} from {} to {}", seconds(self.since), seconds(at)),
            );
            (self.since, self.now) = (at, now);
        }
    }

    fn end(mut self, lane: &mut Lane, at: u64) {
        self.turn(lane, at, ("", ""));
    }
}

fn service_lane(events: &[Event], svc: &Name, whole: Span) -> Lane {
    let mut lane = Lane::new("service", svc.to_string());
    let mut state = State {
        since: whole.from,
        now: ("off", "not started"),
    };
    let (mut up, mut healthy): (BTreeSet<&Name>, bool) = (BTreeSet::new(), true);
    let mut links: BTreeSet<Option<u32>> = BTreeSet::new();
    let (mut started, mut paused) = (false, false);
    for event in events {
        let ours = event.svc.as_ref() == Some(svc);
        match &event.step {
            Step::Container { name, change, exit } if is_of(name, svc) => {
                started = true;
                paused = change == "paused";
                if matches!(change.as_str(), "killed" | "stopped" | "exited") {
                    up.remove(name);
                    let exit = exit.map_or_else(String::new, |exit| format!(" with {exit}"));
                    lane.mark(event.at, "death", format!("#{} {name} {change}{exit}", event.n));
                } else {
                    up.insert(name);
                    lane.mark(event.at, "birth", format!("#{} {name} {change}", event.n));
                }
            }
            Step::Container { name, change, .. }
                if name == "broker" && matches!(change.as_str(), "killed" | "stopped" | "exited") =>
            {
                links.clear();
            }
            Step::Connect { to: Backend::Broker } if ours => drop(links.insert(event.conn)),
            Step::Disconnect {
                to: Backend::Broker, ..
            } if ours => drop(links.remove(&event.conn)),
            Step::DialFailed { to, .. } if ours => {
                let to = if *to == Backend::Broker {
                    "broker"
                } else {
                    "database"
                };
                lane.mark(
                    event.at,
                    "trouble",
                    format!("#{} could not reach the {to}", event.n),
                );
            }
            Step::Health { status, .. } if ours => healthy = *status == 200,
            Step::Held { fault, event: frame } => {
                let held = usize::try_from(*frame)
                    .ok()
                    .and_then(|n| events.get(n.checked_sub(1)?));
                if let Some(held) = held.filter(|held| held.svc.as_ref() == Some(svc)) {
                    let title = format!("#{frame} {} held for {fault}", held.step.kind());
                    lane.mark(event.at, "held", title);
                }
            }
            Step::Ack { covers } | Step::Nack { covers, .. } if ours => {
                lane.often.extend(covers.iter().map(|_| event.at));
            }
            _ => continue,
        }
        let now = match (started, up.is_empty(), links.is_empty()) {
            (false, ..) => ("off", "not started"),
            (_, true, _) => ("down", "down"),
            _ if paused => ("down", "paused"),
            (.., true) => ("cut", "up, without a connection to the broker"),
            _ if !healthy => ("sick", "connected, says that it is not well"),
            _ => ("up", "up and connected"),
        };
        state.turn(&mut lane, event.at, now);
    }
    state.end(&mut lane, whole.to);
    lane.note = format!("{} settled", count(lane.often.len(), "delivery", "deliveries"));
    lane
}

fn queue_lane(events: &[Event], role: &Name, queue: &Name, whole: Span) -> Lane {
    let mut lane = Lane::new("queue", role.to_string());
    let mut state = State {
        since: whole.from,
        now: ("off", "no consumer"),
    };
    let mut consumers: BTreeSet<(Option<u32>, Option<u16>, &Name)> = BTreeSet::new();
    let mut ever = false;
    for event in events {
        match &event.step {
            Step::Consume {
                queue: of, consumer, ..
            } if of == queue => {
                consumers.insert((event.conn, event.chan, consumer));
                ever = true;
            }
            Step::Cancel { consumer, .. } => {
                consumers.remove(&(event.conn, event.chan, consumer));
            }
            Step::ChannelClosed { .. } => {
                consumers.retain(|(conn, chan, _)| (*conn, *chan) != (event.conn, event.chan));
            }
            Step::Disconnect { .. } | Step::AmqpClosed { .. } => {
                consumers.retain(|(conn, ..)| *conn != event.conn);
            }
            Step::Container { name, change, .. }
                if name == "broker" && matches!(change.as_str(), "killed" | "stopped" | "exited") =>
            {
                consumers.clear();
            }
            Step::Deliver { queue: Some(of), .. } if of == queue => {
                lane.often.push(event.at);
                continue;
            }
            _ => continue,
        }
        let now = match (consumers.is_empty(), ever) {
            (false, _) => ("up", "consumed"),
            (true, true) => ("cut", "lost its consumer"),
            (true, false) => ("off", "no consumer"),
        };
        state.turn(&mut lane, event.at, now);
    }
    state.end(&mut lane, whole.to);
    lane.note = count(lane.often.len(), "delivery", "deliveries");
    lane
}

fn backend_lane(events: &[Event], backend: Backend, name: &str, whole: Span) -> Lane {
    let mut lane = Lane::new("backend", name);
    let mut state = State {
        since: whole.from,
        now: ("up", "up"),
    };
    for event in events {
        match &event.step {
            Step::Container {
                name: of,
                change,
                exit,
            } if of == name => {
                let now = match change.as_str() {
                    "killed" | "stopped" | "exited" => ("down", "down"),
                    "paused" => ("down", "paused"),
                    _ => ("up", "up"),
                };
                let exit = exit.map_or_else(String::new, |exit| format!(" with {exit}"));
                let look = if now.0 == "up" { "birth" } else { "death" };
                lane.mark(event.at, look, format!("#{} {name} {change}{exit}", event.n));
                state.turn(&mut lane, event.at, now);
            }
            Step::Blocked { .. } if backend == Backend::Broker => {
                lane.mark(event.at, "trouble", format!("#{} blocks publishers", event.n));
            }
            Step::DbErr { code, .. } if backend == Backend::Database => {
                lane.mark(event.at, "trouble", format!("#{} answers error {code}", event.n));
            }
            Step::Publish { .. } if backend == Backend::Broker => lane.often.push(event.at),
            Step::Statement { .. } if backend == Backend::Database => lane.often.push(event.at),
            _ => {}
        }
    }
    state.end(&mut lane, whole.to);
    lane.note = match backend {
        Backend::Broker => count(lane.often.len(), "publish", "publishes"),
        Backend::Database => count(lane.often.len(), "statement", "statements"),
    };
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
