//! Where failing trials part from passing ones: the first step that differs.
//!
//! Two trials never have the same times, keys or interleaving of services. Each service's own course, however, is much
//! the same, so the steps of each service are compared on their own, in a normal form: what happened, on which queue or
//! with which statement, and nothing that is drawn or measured. The course of a failing trial is followed through the
//! courses of all passing ones at once; where none of them goes on as it does, it has parted. Of the services, the one
//! that parts earliest in the failing trial is named.
//!
//! A course is cut after [`LONGEST`] steps and a reader takes one event at a time, so that memory stays bounded. Steps
//! that say nothing about the course are left out: heartbeats, readings of queues, health.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Step};

/// The most steps of one service that are kept.
pub const LONGEST: usize = 20_000;

/// Who did the steps that are on no link.
const HARNESS: &str = "harness";

/// The steps of each service in one trial, in normal form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    services: BTreeMap<String, Vec<(u64, String)>>,
    cut: bool,
}

impl Course {
    /// Takes the next event of the ledger.
    pub fn see(&mut self, event: &Event) {
        let Some(step) = normal(event) else { return };
        let service = event.svc.as_ref().map_or(HARNESS, |svc| svc.as_str());
        let steps = self.services.entry(service.to_owned()).or_default();
        if steps.len() < LONGEST {
            steps.push((event.n, step));
        } else {
            self.cut = true;
        }
    }

    /// Some of the steps were too many to be kept.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

impl<'a> FromIterator<&'a Event> for Course {
    fn from_iter<T: IntoIterator<Item = &'a Event>>(events: T) -> Self {
        let mut course = Self::default();
        events.into_iter().for_each(|event| course.see(event));
        course
    }
}

/// Where a failing trial parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// The service.
    pub service: String,
    /// The event of the failing trial; absent where its course ends too early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// What it did; absent where its course ends too early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What passing trials do there, the most frequent first.
    pub passing: Vec<String>,
    /// How many steps of the service are the same before.
    pub same: usize,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { service, same, .. } = self;
        match (&self.found, self.event) {
            (Some(found), Some(event)) => write!(f, "{service}, event {event}: {found}")?,
            _ => write!(f, "{service}: nothing more after {same} steps")?,
        }
        match self.passing.first() {
            Some(passing) => write!(f, "; where it passes: {passing}"),
            None => f.write_str("; where it passes: nothing more"),
        }
    }
}

/// The first step of `failing` that no passing trial has at its place. None without passing trials, or if one of them
/// has the same course.
pub fn first(passing: &[Course], failing: &Course) -> Option<Divergence> {
    if passing.is_empty() {
        return None;
    }
    let empty = Vec::new();
    let services = passing.iter().flat_map(|course| course.services.keys());
    let services: std::collections::BTreeSet<_> = services.chain(failing.services.keys()).collect();
    let parted = services.into_iter().filter_map(|service| {
        let found = failing.services.get(service).unwrap_or(&empty);
        let of = |course: &'_ Course| course.services.get(service).cloned().unwrap_or_default();
        part(service, &passing.iter().map(of).collect::<Vec<_>>(), found)
    });
    // One that ends too early shows itself last: anything that was done is nearer to the cause.
    parted.min_by_key(|parted| (parted.event.unwrap_or(u64::MAX), parted.service.clone()))
}

fn part(service: &str, passing: &[Vec<(u64, String)>], failing: &[(u64, String)]) -> Option<Divergence> {
    let mut with: Vec<&Vec<(u64, String)>> = passing.iter().collect();
    let mut same = 0;
    loop {
        let here = failing.get(same);
        let go_on = |course: &&&Vec<(u64, String)>| {
            course.get(same).map(|(_, step)| step) == here.map(|(_, step)| step)
        };
        let next: Vec<_> = with.iter().filter(go_on).copied().collect();
        if next.is_empty() {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for (_, step) in with.iter().filter_map(|course| course.get(same)) {
                *counts.entry(step).or_default() += 1;
            }
            let mut counts: Vec<_> = counts.into_iter().collect();
            counts.sort_by_key(|(step, count)| (std::cmp::Reverse(*count), *step));
            return Some(Divergence {
                service: service.to_owned(),
                event: here.map(|(event, _)| *event),
                found: here.map(|(_, step)| step.clone()),
                passing: counts
                    .into_iter()
                    .take(3)
                    .map(|(step, _)| step.to_owned())
                    .collect(),
                same,
            });
        }
        here?;
        with = next;
        same += 1;
    }
}

/// A step without what differs from trial to trial; none for one that says nothing about the course.
fn normal(event: &Event) -> Option<String> {
    let kind = event.step.kind();
    let text = match &event.step {
        // The last: the harness asks again and again, and by chance.
        Step::Heartbeat { .. }
        | Step::Depth { .. }
        | Step::Health { .. }
        | Step::Note { .. }
        | Step::Declare { passive: true, .. } => return None,
        Step::Connect { to } | Step::DialFailed { to, .. } => format!("{kind} {to:?}"),
        Step::Disconnect { to, by, how } => format!("{kind} {to:?} by {by:?}, {how:?}"),
        Step::AmqpClosed { by, code, .. } | Step::ChannelClosed { by, code, .. } => {
            format!("{kind} {code} by {by:?}")
        }
        Step::Consume { queue, .. } => format!("{kind} {queue}"),
        Step::Publish { message, .. } => {
            format!("{kind} to {}{}", message.routing_key, retried(message.retry))
        }
        Step::Return { code, message, .. } => format!("{kind} {code} of {}", message.routing_key),
        Step::Deliver {
            queue,
            redelivered,
            message,
            ..
        } => {
            let queue = queue.as_ref().map_or("?", |queue| queue.as_str());
            let again = if *redelivered { ", again" } else { "" };
            format!("{kind} from {queue}{again}{}", retried(message.retry))
        }
        Step::Confirm { ok, .. } => format!("{kind} {}", if *ok { "ack" } else { "nack" }),
        Step::Nack { requeue, .. } => format!("{kind}{}", if *requeue { ", to the queue" } else { "" }),
        Step::Statement { verb, .. } | Step::DbOk { verb, .. } => format!("{kind} {verb:?}"),
        Step::DbErr { verb, code, .. } => format!("{kind} {code} {verb:?}"),
        Step::Phase { name } => format!("{kind} {name}"),
        Step::Container { name, change, exit } => {
            let exit = exit.map_or(String::new(), |exit| format!(" {exit}"));
            format!("{kind} {name} {change}{exit}")
        }
        Step::Upstream { name, status, .. } => format!("{kind} {name} {status:?}"),
        _ => kind.to_string(),
    };
    Some(text)
}

fn retried(retry: Option<i64>) -> String {
    retry
        .filter(|retry| *retry > 0)
        .map_or(String::new(), |retry| format!(", retry {retry}"))
}

#[cfg(test)]
mod tests {
    use super::{Course, first};
    use crate::event::{Event, Message, Step};

    fn events(steps: &[(&str, Step)]) -> Vec<Event> {
        let event = |((svc, step), n): (&(&str, Step), u64)| Event {
            n,
            at: n,
            svc: Some((*svc).into()),
            conn: Some(1),
            chan: Some(1),
            step: step.clone(),
        };
        steps.iter().zip(1..).map(event).collect()
    }

    fn publish(key: &str, route: &str) -> Step {
        let message = Message {
            key: Some(key.into()),
            routing_key: route.to_owned(),
            ..Message::default()
        };
        Step::Publish {
            tag: 1,
            mandatory: true,
            message,
        }
    }

    fn ack() -> Step {
        Step::Ack { covers: Vec::new() }
    }

    fn nack() -> Step {
        Step::Nack {
            requeue: false,
            covers: Vec::new(),
        }
    }

    #[test]
    fn the_first_step_that_no_passing_trial_has_is_named_with_its_service() {
        // The two passing trials differ in the interleaving of services, and in keys.
        let one = events(&[("a", publish("1", "done")), ("b", ack()), ("a", ack())]);
        let two = events(&[("a", publish("9", "done")), ("a", ack()), ("b", ack())]);
        let passing: Vec<Course> = [&one, &two].map(|events| events.iter().collect()).into();
        let failing = events(&[("a", publish("5", "done")), ("b", ack()), ("a", nack())]);
        let found = first(&passing, &failing.iter().collect()).unwrap();
        assert_eq!(found.to_string(), "a, event 3: nack; where it passes: ack");
        assert_eq!(found.same, 1);
        // The course of a trial that passes is nowhere different.
        assert_eq!(first(&passing, &passing[1]), None);
        assert_eq!(first(&[], &passing[1]), None);
    }

    #[test]
    fn a_course_that_ends_too_early_comes_after_what_was_done() {
        let passing: Course = events(&[("a", ack()), ("b", ack())]).iter().collect();
        let failing: Course = events(&[("a", ack())]).iter().collect();
        let found = first(std::slice::from_ref(&passing), &failing).unwrap();
        assert_eq!(
            found.to_string(),
            "b: nothing more after 0 steps; where it passes: ack"
        );
        let failing: Course = events(&[("a", ack()), ("a", nack())]).iter().collect();
        let found = first(&[passing], &failing).unwrap();
        assert_eq!(
            found.to_string(),
            "a, event 2: nack; where it passes: nothing more"
        );
    }
}
