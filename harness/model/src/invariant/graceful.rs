//! `graceful-stop`: a service that is told to stop finishes what it has begun, begins nothing new, and exits with 0.
//!
//! It is told by SIGTERM, some time between the firing of the fault that does it and the exit of its container. Judged is
//! what holds whenever that was:
//!  - the exit code is 0;
//!  - a delivery on which the service was at work before it did anything about the signal (before it cancels a consumer,
//!    closes a channel or leaves the broker) is acknowledged or rejected before the exit, and is not delivered again to
//!    anybody;
//!  - what is delivered to it long after the fault has fired ([`HEARD`]) is not worked on.
//!
//! What it had not begun may go back to the queue or be finished, as it likes. Work that took so long that the service
//! gave up after a fair time ([`GRACE`]) is not held against it; nor is anything, if another fault touched it or one of
//! its frames did not get through before its exit, for then it may not have been able to finish.

use std::collections::BTreeSet;

use crate::event::{Backend, Fate, Side, Step};
use crate::fault::{FaultKind, Target};
use crate::name::Name;
use crate::verdict::{Finding, Kind};

use super::case::{Case, Delivered, How, Moment, Outage, is_instance};
use super::story;
use super::work::Work;

/// The rule's name.
pub(super) const ID: &str = "graceful-stop";

/// The least time, in nanoseconds, that a service has to give to what it has begun. Engines kill after ten seconds, and
/// from those it needs some for parting.
const GRACE: u64 = 5_000_000_000;

/// After this many nanoseconds a signal has come to its process, and the process has told the broker to send no more.
const HEARD: u64 = 3_000_000_000;

/// A tap may see the end of a connection so much later than the engine tells the exit, in nanoseconds.
const PARTING: u64 = 2_000_000_000;

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in case.topology().services.keys() {
        for event in case.events() {
            let Step::Container { name, change, exit } = &event.step else {
                continue;
            };
            if change != "stopped" || !is_instance(name, service) {
                continue;
            }
            if let Some(code) = exit.filter(|code| *code != 0) {
                let what = format!(
                    "{name} exited with code {code} at #{} after SIGTERM; 0 would be right",
                    event.n
                );
                findings.push(Finding::new(Kind::Fail, ID, what).shown_by([event.n]));
            }
            let asked = case.outages().iter().rfind(|outage| {
                matches!(outage.what, Some(FaultKind::Restart { target: Target::Service(found) }) if found == name)
                    && outage.overlaps(event.n, event.n)
            });
            if let Some(outage) = asked {
                let stop = Stop {
                    case,
                    service,
                    outage,
                    exit: Moment::of(event),
                };
                findings.extend(stop.judge());
            }
        }
    }
    findings
}

/// One stop of a service.
struct Stop<'c, 'a> {
    case: &'c Case<'a>,
    service: &'c Name,
    outage: &'c Outage<'a>,
    exit: Moment,
}

impl<'a> Stop<'_, 'a> {
    fn judge(&self) -> Vec<Finding> {
        if self.hindered(self.outage.from.n, self.exit.n) {
            return Vec::new();
        }
        let work = Work::of(self.case, self.service);
        let obeyed = self.obeyed();
        let begun = self
            .given()
            .filter_map(|delivery| self.begun(&work, delivery, obeyed));
        begun.chain(self.new_ones()).collect()
    }

    /// The first thing that the service does about the signal, or its exit.
    fn obeyed(&self) -> u64 {
        let events = self.case.events().filter(|event| {
            (self.outage.from.n..self.exit.n).contains(&event.n) && event.svc.as_ref() == Some(self.service)
        });
        let mut parting = events.filter(|event| {
            matches!(
                event.step,
                Step::Cancel { by: Side::Client, .. }
                    | Step::ChannelClosed { by: Side::Client, .. }
                    | Step::AmqpClosed { by: Side::Client, .. }
                    | Step::Disconnect {
                        to: Backend::Broker,
                        by: Side::Client,
                        ..
                    }
            )
        });
        parting.next().map_or(self.exit.n, |event| event.n)
    }

    /// Another fault touched the service, or one of its frames did not get through.
    fn hindered(&self, from: u64, to: u64) -> bool {
        let case = self.case;
        let other = case
            .touching(self.service)
            .any(|outage| outage.from != self.outage.from && outage.overlaps(from, to));
        let stuck = case.held(self.service).any(|(begin, fate)| {
            let passed = fate.is_some_and(|(fate, end)| fate == Fate::Forwarded && end.n <= to);
            let over = fate.is_some_and(|(_, end)| end.n < from);
            begin.n <= to && !passed && !over
        });
        other || stuck
    }

    /// Deliveries on the connections that ended with the process.
    fn given(&self) -> impl Iterator<Item = &Delivered<'a>> {
        let late = self.exit.at.saturating_add(PARTING);
        let stopped: BTreeSet<_> = self
            .case
            .connections()
            .iter()
            .filter(|connection| {
                connection.svc == self.service
                    && connection.is_open(self.outage.from.n)
                    && connection.ended.is_some_and(|ended| ended.at <= late)
            })
            .map(|connection| connection.conn)
            .collect();
        self.case.deliveries.iter().filter(move |delivery| {
            stopped.contains(&delivery.channel.0) && delivery.queue.is_some() && !delivery.auto
        })
    }

    /// A delivery on which the service was at work when it obeyed.
    fn begun(&self, work: &Work<'_>, delivery: &Delivered<'_>, obeyed: u64) -> Option<Finding> {
        let (case, from) = (self.case, self.outage.from);
        let key = delivery.message.key.as_ref()?;
        let done = delivery.settled;
        if done.is_some_and(|settled| settled.n < from.n) || delivery.end.is_some_and(|end| end.n < from.n) {
            return None;
        }
        let begun = work.proof(key, delivery.n, obeyed)?;
        let (outcome, events) = story::outcome(case, delivery);
        let (what, again) = match done.filter(|settled| settled.how != How::Requeue) {
            Some(settled) => {
                let again = self.again(delivery, settled.n)?;
                (format!("{outcome}, and delivered again at #{again}"), Some(again))
            }
            None if self.exit.at.saturating_sub(from.at) >= GRACE || self.taken_away(delivery) => {
                return None;
            }
            None => (format!("{outcome}; it was not finished"), None),
        };
        let what = format!(
            "{}: delivered to {} at #{} and begun at #{begun}, which was told to stop after #{}; {what}; the service exited at \
             #{}",
            story::name(case, key),
            self.service,
            delivery.n,
            from.n,
            self.exit.n
        );
        let shown: BTreeSet<_> = [delivery.n, begun, from.n, self.exit.n]
            .into_iter()
            .chain(events)
            .chain(again)
            .collect();
        Some(
            Finding::new(Kind::Fail, ID, what)
                .about([key.clone()])
                .shown_by(shown),
        )
    }

    /// The channel was not ended by the service.
    fn taken_away(&self, delivery: &Delivered<'_>) -> bool {
        let end = delivery.end.and_then(|end| self.case.event(end.n));
        end.is_some_and(|end| match &end.step {
            Step::Disconnect { by, .. } | Step::AmqpClosed { by, .. } | Step::ChannelClosed { by, .. } => {
                *by != Side::Client
            }
            _ => true,
        })
    }

    /// The next delivery of a message that was settled, if nothing else than the stop can be its cause.
    fn again(&self, delivery: &Delivered<'_>, settled: u64) -> Option<u64> {
        let (queue, key) = (delivery.queue?, delivery.message.key.as_ref()?);
        let next = self
            .case
            .deliveries_from(queue, key)
            .find(|next| next.n > settled && next.n > self.exit.n)?;
        let copies = self.case.publishes_to(queue, key).count();
        (copies == 1 && !self.hindered(settled, next.n)).then_some(next.n)
    }

    /// Deliveries that came when the service had long been told.
    fn new_ones(&self) -> Option<Finding> {
        // What was held before it kept everything behind it from the broker, the wish for no more deliveries included.
        let passed = self
            .case
            .held(self.service)
            .filter_map(|(_, fate)| fate)
            .map(|(_, end)| end)
            .filter(|end| *end < self.exit);
        let told = passed.chain([self.outage.from]).max().unwrap_or(self.outage.from);
        let late = told.at.saturating_add(HEARD);
        let worked: Vec<_> = self
            .given()
            .filter(|delivery| {
                delivery.at > late && delivery.settled.is_some_and(|settled| settled.how == How::Ack)
            })
            .collect();
        let first = worked.first()?;
        let what = format!(
            "{}: delivered to {} at #{}, {} ms after it was told to stop (#{}), and worked on{}",
            first
                .message
                .key
                .as_ref()
                .map_or("a message".into(), |key| story::name(self.case, key)),
            self.service,
            first.n,
            first.at.saturating_sub(self.outage.from.at) / 1_000_000,
            self.outage.from.n,
            match worked.len() - 1 {
                0 => String::new(),
                more => format!("; {more} more after it"),
            },
        );
        let keys = worked.iter().filter_map(|delivery| delivery.message.key.clone());
        Some(
            Finding::new(Kind::Fail, ID, what)
                .about(keys.collect::<BTreeSet<_>>())
                .shown_by([self.outage.from.n, first.n, self.exit.n]),
        )
    }
}
