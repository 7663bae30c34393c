//! When each fault of a trial was in force, and what it touches.
//!
//! A fault that nobody knows, because the plan does not hold it, is taken to touch everything: judges give every doubt
//! to the pipeline.

use crate::event::{Event, Fate, FaultChange, Step};
use crate::evidence::Plan;
use crate::fault::{FaultKind, Target};
use crate::name::{Key, Name};
use crate::topology::{Service, Topology};

use super::{Case, Delivered, How, QUIET, SLACK, Settled};

/// An event and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::invariant) struct Moment {
    /// The event.
    pub(in crate::invariant) n: u64,
    /// Its time.
    pub(in crate::invariant) at: u64,
}

impl Moment {
    /// When this event happened.
    pub(in crate::invariant) fn of(event: &Event) -> Self {
        Self {
            n: event.n,
            at: event.at,
        }
    }
}

/// A fault in force: from the step that set it off to its healing.
#[derive(Debug)]
pub(in crate::invariant) struct Outage<'a> {
    /// The fault.
    pub(in crate::invariant) id: &'a Name,
    /// What it is; absent if the plan does not say.
    pub(in crate::invariant) what: Option<&'a FaultKind>,
    /// It fired, or was armed without anything to wait for. What it does comes after this.
    pub(in crate::invariant) from: Moment,
    /// It is proved to have taken effect.
    pub(in crate::invariant) bitten: Option<Moment>,
    /// It is proved to be undone.
    pub(in crate::invariant) healed: Option<Moment>,
}

/// All times at which a fault was in force, in the order of their beginning.
pub(super) fn outages<'a>(plan: &'a Plan, events: impl Iterator<Item = &'a Event>) -> Vec<Outage<'a>> {
    let mut outages: Vec<Outage<'a>> = Vec::new();
    for event in events {
        let Step::Fault { id, change } = &event.step else {
            continue;
        };
        let planned = plan.faults.iter().find(|fault| fault.id == *id);
        let now = Moment::of(event);
        let open = outages
            .iter_mut()
            .rfind(|outage| outage.id == id && outage.healed.is_none());
        let begin = |bitten| Outage {
            id,
            what: planned.map(|fault| &fault.what),
            from: now,
            bitten,
            healed: None,
        };
        match (change, open) {
            // One that waits for its trigger does nothing yet.
            (FaultChange::Armed, None) if planned.is_none_or(|fault| fault.when.is_none()) => {
                outages.push(begin(None));
            }
            (FaultChange::Fired { .. }, None) => outages.push(begin(None)),
            (FaultChange::Bitten { .. }, None) => outages.push(begin(Some(now))),
            (FaultChange::Bitten { .. }, Some(open)) => open.bitten = open.bitten.or(Some(now)),
            (FaultChange::Healed { .. }, Some(open)) => open.healed = Some(now),
            _ => {}
        }
    }
    outages
}

/// The container with this name is one of the service with this role: the second instance of `tags` is `tags-2`.
pub(in crate::invariant) fn is_instance(container: &str, role: &str) -> bool {
    container.strip_prefix(role).is_some_and(|rest| {
        rest.is_empty()
            || rest
                .strip_prefix('-')
                .is_some_and(|number| number.parse::<u16>().is_ok())
    })
}

impl Outage<'_> {
    /// What it is called in a sentence.
    pub(in crate::invariant) fn name(&self) -> String {
        match self.what {
            Some(what) => format!("{what} ({})", self.id),
            None => format!("a fault ({})", self.id),
        }
    }

    /// It is in force at some time from one event to another.
    pub(in crate::invariant) fn overlaps(&self, from: u64, to: u64) -> bool {
        self.from.n <= to && self.healed.is_none_or(|healed| healed.n >= from)
    }

    /// It ends or stops a container of this service.
    pub(in crate::invariant) fn aims_at(&self, service: &str) -> bool {
        match self.what {
            Some(
                FaultKind::Kill { target } | FaultKind::Restart { target } | FaultKind::Pause { target },
            ) => matches!(target, Target::Service(name) if is_instance(name, service)),
            Some(FaultKind::OutOfMemory { service: starved }) => is_instance(starved, service),
            Some(_) => false,
            None => true,
        }
    }

    /// It may change how fast, or whether, this service does its work.
    pub(in crate::invariant) fn touches(&self, topology: &Topology, service: &str) -> bool {
        let described = topology.service(service);
        // A queue's faults are felt by who consumes it and by who publishes to it.
        let queue = |queue: &Name| described.is_none_or(|described| uses(topology, described, queue));
        match self.what {
            Some(
                FaultKind::Kill {
                    target: Target::Service(name),
                }
                | FaultKind::Restart {
                    target: Target::Service(name),
                }
                | FaultKind::Pause {
                    target: Target::Service(name),
                }
                | FaultKind::OutOfMemory { service: name }
                | FaultKind::CutLink { service: name, .. }
                | FaultKind::ShapeLink { service: name, .. }
                | FaultKind::CloseChannel { service: name },
            ) => is_instance(name, service),
            Some(FaultKind::Frames { on, .. }) => {
                on.by.as_ref().is_none_or(|by| *by == service)
                    && on.queue.as_ref().is_none_or(|name| {
                        topology.queue_role(name).is_none_or(|role| {
                            described.is_some_and(|service| service.consumes.as_ref() == Some(role))
                        })
                    })
            }
            Some(
                FaultKind::DeleteQueue { queue: role }
                | FaultKind::RedeclareQueue { queue: role }
                | FaultKind::PurgeQueue { queue: role }
                | FaultKind::DropPolicy { queue: role }
                | FaultKind::DropRetryQueue { queue: role },
            ) => queue(role),
            Some(FaultKind::Upstream { name, .. }) => topology
                .upstreams
                .get(name)
                .is_none_or(|upstream| upstream.service == service),
            // A backend as a whole, and what all services share on it.
            Some(_) | None => true,
        }
    }
}

fn uses(topology: &Topology, service: &Service, queue: &Name) -> bool {
    let bound = topology.queue(queue).map_or(&[][..], |queue| &queue.bind);
    service.consumes.as_ref() == Some(queue) || service.produces.iter().any(|route| bound.contains(route))
}

impl<'a> Case<'a> {
    /// All times at which a fault was in force.
    pub(in crate::invariant) fn outages(&self) -> &[Outage<'a>] {
        &self.outages
    }

    /// Faults that touch this service, while they were in force.
    pub(in crate::invariant) fn touching(&self, service: &str) -> impl Iterator<Item = &Outage<'a>> {
        self.outages
            .iter()
            .filter(move |outage| outage.touches(self.topology(), service))
    }

    /// Frames of this service's links that did not simply pass: since when, and what became of them.
    pub(in crate::invariant) fn held(
        &self,
        service: &str,
    ) -> impl Iterator<Item = (Moment, Option<(Fate, Moment)>)> {
        let ours = move |frame: &u64| {
            self.event(*frame)
                .is_some_and(|event| event.svc.as_deref() == Some(service))
        };
        self.held
            .iter()
            .filter(move |(frame, _)| ours(frame))
            .map(|(_, held)| (held.from, held.fate))
    }

    /// From when to when something may keep this service from its work: a fault that touches it, or a held frame of its
    /// links. What has no end lasts to the end of the trial.
    pub(in crate::invariant) fn disturbances(&self, service: &str) -> Vec<(Moment, Option<Moment>)> {
        let held = self
            .held(service)
            .map(|(from, fate)| (from, fate.map(|(_, end)| end)));
        self.touching(service)
            .map(|outage| (outage.from, outage.healed))
            .chain(held)
            .collect()
    }

    /// A fault may have taken this message out of the queue or its surroundings without the pipeline's doing: thrown away
    /// with its queue, rejected while nobody was there to collect it, or rejected a moment before the broker was killed:
    /// RabbitMQ dead-letters at most once, and forgets what is on its way from one queue to the other.
    pub(in crate::invariant) fn may_have_vanished(&self, queue: &Name, key: &Key) -> bool {
        let dead = self
            .topology()
            .queue(queue)
            .and_then(|queue| queue.dead_letter.as_ref());
        let rejections = || {
            self.deliveries_from(queue, key)
                .filter_map(|delivery| delivery.settled.filter(|settled| settled.how == How::Reject))
        };
        let buried_by_a_kill = rejections().any(|settled| {
            self.kills_after(settled.n)
                .any(|at| at.saturating_sub(settled.at) <= QUIET)
        });
        buried_by_a_kill
            || self.outages.iter().any(|outage| {
                let end = outage.healed.map_or(u64::MAX, |healed| healed.n);
                let published = |waits: bool| {
                    self.publishes_to(queue, key)
                        .any(|publish| publish.n <= end && (publish.waits || !waits))
                };
                let acknowledged = |settled: Settled| settled.how == How::Ack && settled.n < outage.from.n;
                // A purge takes what waits: neither what a consumer holds, nor what is delivered afterwards. What is
                // made in the place of a deleted queue goes at the healing, so there only that is afterwards.
                let kept = |delivery: &Delivered<'_>| match outage.what {
                    Some(FaultKind::PurgeQueue { .. }) => {
                        delivery.n > outage.from.n || delivery.is_held_at(outage.from.n)
                    }
                    _ => delivery.n > end,
                };
                let emptied = || {
                    published(false)
                        && !self
                            .deliveries_from(queue, key)
                            .any(|delivery| delivery.settled.is_some_and(acknowledged) || kept(delivery))
                };
                let uncollected = || {
                    rejections()
                        .any(|settled| settled.at.saturating_add(SLACK) >= outage.from.at && settled.n <= end)
                };
                match outage.what {
                    Some(
                        FaultKind::PurgeQueue { queue: role }
                        | FaultKind::DeleteQueue { queue: role }
                        | FaultKind::RedeclareQueue { queue: role },
                    ) => role == queue && emptied(),
                    Some(FaultKind::DropRetryQueue { queue: role }) => role == queue && published(true),
                    Some(FaultKind::DropPolicy { queue: role }) => role == queue && uncollected(),
                    Some(FaultKind::DeleteExchange { exchange }) => {
                        dead.is_some_and(|dead| dead.exchange == *exchange) && uncollected()
                    }
                    _ => false,
                }
            })
    }
}
