//! `progress`: what a fault does not touch keeps going, and no message stops those behind it.
//!
//! Two things are judged, for each service that consumes a queue.
//!  - While a fault is in force that does not touch the service (nor what it needs: see [`Outage::touches`]), it goes on
//!    settling what is there for it. It has broken the rule when a message that was confirmed on its queue before waits
//!    all the time, and it settles nothing at all for [`STALL`]. Time in which any other fault touches it does not count,
//!    nor the time that it may take afterwards to recover.
//!  - A message that comes back again and again does not keep others from being settled. The rule is broken when a service
//!    is given [`AGAIN`] deliveries that it has had before, over at least [`BLOCKED`], settles nothing meanwhile, and a
//!    message that is not one of these waits all the time.
//!
//! A message that was handed over to a retry queue is settled here: it is not waiting for the service but for its time.
//! How fast a service is, as long as it does something, is not judged.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::{Key, Name};
use crate::verdict::{Finding, Kind};

use super::case::{Case, HARNESS, How, Moment, Outage};
use super::story;

/// The rule's name.
pub(super) const ID: &str = "progress";

/// A service that nothing touches settles within milliseconds, and within seconds on a machine that is starved by what
/// else runs on it; after this many nanoseconds it stands still.
const STALL: u64 = 10_000_000_000;

/// So many deliveries of what it has had before: more than any honest service is given in a row without settling one, for
/// it has retries, and waits before it puts something back.
const AGAIN: usize = 20;

/// The shortest time, in nanoseconds, after which those who wait behind are blocked.
const BLOCKED: u64 = 5_000_000_000;

/// Most reports that are named.
const NAMED: usize = 5;

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, described) in &case.topology().services {
        if let Some(queue) = &described.consumes {
            let consumer = Consumer::of(case, service, queue);
            findings.extend(consumer.stalled());
            findings.extend(consumer.blocked());
        }
    }
    findings
}

/// A message that waits for a service.
struct Waiting<'a> {
    key: &'a Key,
    /// The broker has promised to have it on the queue since then.
    since: Moment,
    /// It is settled for the first time.
    until: Option<Moment>,
}

/// A service and the queue that it consumes.
struct Consumer<'c, 'a> {
    case: &'c Case<'a>,
    service: &'a Name,
    queue: &'a Name,
    /// What it settles for good, in order.
    settled: Vec<Moment>,
    waiting: Vec<Waiting<'a>>,
}

impl<'c, 'a> Consumer<'c, 'a> {
    fn of(case: &'c Case<'a>, service: &'a Name, queue: &'a Name) -> Self {
        let mut settled = Vec::new();
        let mut until: BTreeMap<&Key, Moment> = BTreeMap::new();
        for delivery in case
            .deliveries
            .iter()
            .filter(|delivery| delivery.queue == Some(queue))
        {
            let Some(done) = delivery.settled.filter(|settled| settled.how != How::Requeue) else {
                continue;
            };
            let done = Moment {
                n: done.n,
                at: done.at,
            };
            if delivery.svc.is_some_and(|svc| *svc != HARNESS) {
                settled.push(done);
            }
            if let Some(key) = &delivery.message.key {
                let first = until.entry(key).or_insert(done);
                *first = (*first).min(done);
            }
        }
        settled.sort_unstable();
        let mut since: BTreeMap<&'a Key, Moment> = BTreeMap::new();
        for publish in case
            .publishes
            .iter()
            .filter(|publish| !publish.waits && publish.promised())
        {
            let confirmed = publish.confirm.and_then(|(n, _)| case.event(n)).map(Moment::of);
            if let (Some(key), Some(confirmed)) = (&publish.message.key, confirmed)
                && publish.queues.contains(&queue)
            {
                since.entry(key).or_insert(confirmed);
            }
        }
        let waiting = since.into_iter().map(|(key, since)| Waiting {
            key,
            since,
            until: until.get(key).copied(),
        });
        Self {
            case,
            service,
            queue,
            settled,
            waiting: waiting.collect(),
        }
    }

    /// The last event of the trial.
    fn end(&self) -> Moment {
        self.case
            .events()
            .next_back()
            .map_or(Moment { n: 0, at: 0 }, Moment::of)
    }

    /// Times without a settlement from one moment to another.
    fn gaps(&self, from: Moment, to: Moment) -> Vec<(Moment, Moment)> {
        let inside = self
            .settled
            .iter()
            .copied()
            .filter(|done| (from..=to).contains(done));
        let ends: Vec<_> = std::iter::once(from).chain(inside).chain([to]).collect();
        ends.windows(2).map(|ends| (ends[0], ends[1])).collect()
    }

    /// Messages that wait from one time to another, without being settled.
    fn waits(&self, from: u64, to: u64) -> impl Iterator<Item = &Waiting<'a>> {
        self.waiting.iter().filter(move |waiting| {
            waiting.since.at <= from
                && waiting.until.is_none_or(|until| until.at >= to)
                && !self.case.may_have_vanished(self.queue, waiting.key)
                && !self.stuck(waiting.key)
        })
    }

    /// A fault took it out of the stream on its way to the service, which cannot know.
    fn stuck(&self, key: &Key) -> bool {
        self.case
            .deliveries_from(self.queue, key)
            .any(|delivery| !self.case.passed(delivery.n))
    }

    fn stalled(&self) -> Option<Finding> {
        let case = self.case;
        let disturbed = self.disturbed();
        let elsewhere = case
            .outages()
            .iter()
            .filter(|outage| !outage.touches(case.topology(), self.service));
        for outage in elsewhere {
            let Some(bitten) = outage.bitten else { continue };
            for (last, next) in self.gaps(bitten, outage.healed.unwrap_or_else(|| self.end())) {
                let waiting: Vec<_> = self
                    .waits(next.at, next.at)
                    .filter(|waiting| {
                        // From when on nothing disturbs the service for long enough.
                        let mut from = last.at.max(waiting.since.at);
                        while let Some((_, to)) = disturbed
                            .iter()
                            .find(|(begin, end)| *begin < from.saturating_add(STALL) && *end > from)
                        {
                            from = *to;
                        }
                        from.saturating_add(STALL) <= next.at
                    })
                    .collect();
                if !waiting.is_empty() {
                    return Some(self.stall(outage, last, next, &waiting));
                }
            }
        }
        None
    }

    /// When the service is touched by a fault, or may still be recovering from one.
    fn disturbed(&self) -> Vec<(u64, u64)> {
        let recovery = self.case.plan().recovery_budget_ms.saturating_mul(1_000_000);
        self.case
            .disturbances(self.service)
            .into_iter()
            .map(|(from, to)| {
                let to = to.map_or(u64::MAX, |to| to.at.saturating_add(recovery));
                (from.at, to)
            })
            .collect()
    }

    fn stall(&self, outage: &Outage<'_>, last: Moment, next: Moment, waiting: &[&Waiting<'_>]) -> Finding {
        let what = format!(
            "{} settled nothing on queue {} for {} ms from #{} to #{}, while {} was in force, which does not touch it; \
             {} waited there meanwhile",
            self.service,
            self.queue,
            next.at.saturating_sub(last.at) / 1_000_000,
            last.n,
            next.n,
            outage.name(),
            self.named(waiting),
        );
        let first = waiting.iter().map(|waiting| waiting.since.n).min();
        let shown: BTreeSet<_> = first.into_iter().chain([last.n, next.n]).collect();
        Finding::new(Kind::Fail, ID, what)
            .about(waiting.iter().map(|waiting| waiting.key.clone()))
            .shown_by(shown)
    }

    fn named(&self, waiting: &[&Waiting<'_>]) -> String {
        let mut names: Vec<_> = waiting
            .iter()
            .take(NAMED)
            .map(|waiting| story::name(self.case, waiting.key))
            .collect();
        if waiting.len() > NAMED {
            names.push(format!("{} more", waiting.len() - NAMED));
        }
        story::list(names)
    }

    fn blocked(&self) -> Option<Finding> {
        let begin = Moment { n: 0, at: 0 };
        self.gaps(begin, self.end())
            .into_iter()
            .find_map(|(last, next)| self.block(last, next))
    }

    fn block(&self, last: Moment, next: Moment) -> Option<Finding> {
        let mut seen = BTreeSet::new();
        let mut again: BTreeMap<&Key, Vec<Moment>> = BTreeMap::new();
        let given = self.case.deliveries.iter().filter(|delivery| {
            delivery.queue == Some(self.queue)
                && delivery.svc == Some(self.service)
                && (last.n..=next.n).contains(&delivery.n)
        });
        for delivery in given {
            if let Some(key) = &delivery.message.key
                && !seen.insert(key)
            {
                let now = Moment {
                    n: delivery.n,
                    at: delivery.at,
                };
                again.entry(key).or_default().push(now);
            }
        }
        let (first, latest) = (
            again.values().flatten().min().copied()?,
            again.values().flatten().max().copied()?,
        );
        let count: usize = again.values().map(Vec::len).sum();
        if count < AGAIN || latest.at.saturating_sub(first.at) < BLOCKED {
            return None;
        }
        if self
            .case
            .disturbances(self.service)
            .iter()
            .any(|(from, to)| *from <= latest && to.is_none_or(|to| to >= first))
        {
            return None;
        }
        let waiting: Vec<_> = self
            .waits(first.at, latest.at)
            .filter(|waiting| !again.contains_key(waiting.key))
            .collect();
        if waiting.is_empty() {
            return None;
        }
        let most = again.iter().max_by_key(|(_, times)| times.len())?;
        let what = format!(
            "{}: delivered to {} from queue {} again and again, {} times from #{} to #{}, and nothing was settled there for \
             {} ms; {} waited behind it",
            story::name(self.case, most.0),
            self.service,
            self.queue,
            most.1.len(),
            first.n,
            latest.n,
            latest.at.saturating_sub(first.at) / 1_000_000,
            self.named(&waiting),
        );
        let keys =
            std::iter::once((*most.0).clone()).chain(waiting.iter().map(|waiting| waiting.key.clone()));
        Some(
            Finding::new(Kind::Fail, ID, what)
                .about(keys)
                .shown_by([first.n, latest.n]),
        )
    }
}
