//! A lane for each service, each queue, broker and database: which state it was in, and when that changed.

use std::collections::BTreeSet;

use harness_model::event::{Backend, Event, Step};
use harness_model::name::Name;

use super::super::span::{Span, seconds};
use super::{Lane, count};

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

pub(super) fn service_lane(events: &[Event], svc: &Name, whole: Span) -> Lane {
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
    lane.note
        .push_str(&troubles(&lane, "dial failed", "dials failed"));
    lane
}

pub(super) fn queue_lane(events: &[Event], role: &Name, queue: &Name, whole: Span) -> Lane {
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

pub(super) fn backend_lane(events: &[Event], backend: Backend, name: &str, whole: Span) -> Lane {
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
    let (one, many) = match backend {
        Backend::Broker => ("time it blocked publishers", "times it blocked publishers"),
        Backend::Database => ("error", "errors"),
    };
    lane.note.push_str(&troubles(&lane, one, many));
    lane
}

/// How many of its marks are trouble, after what else its note says; nothing if there is none.
fn troubles(lane: &Lane, one: &str, many: &str) -> String {
    match lane.marks.iter().filter(|mark| mark.look == "trouble").count() {
        0 => String::new(),
        n => format!(", {}", count(n, one, many)),
    }
}
