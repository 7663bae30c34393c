//! One trial, indexed once for all of its judges.
//!
//! A tap writes a frame down *before* it forwards it. So a frame in the ledger was sent by one side, and whether it
//! came to the other is a second question, which [`Published::reached`] and [`Settled::arrived`] answer as far as it
//! can be answered: a held frame that was dropped, cut with its connection or never let go did not arrive; anything
//! else on a connection that later broke may or may not have, unless the broker has shown afterwards that it did.
//! Judges give every doubt that is left to the pipeline.
//!
//! Messages whose key is unknown are in the lists, but belong to no report.

mod connections;
mod doubt;
mod faults;
mod index;

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, Fate, Message, Step};
use crate::evidence::{AnalysisRow, EndState, Evidence, Injected, Plan};
use crate::name::{Key, Name};
use crate::topology::Topology;

use super::roles::Roles;
use index::{Held, Index};

pub(super) use connections::{Connection, is_end, word};
pub(super) use faults::{Moment, Outage, is_instance};

/// The name of the harness' own link.
pub(super) const HARNESS: &str = "harness";

/// The name of the broker's container.
pub(super) const BROKER: &str = "broker";

/// The name of the database's container.
pub(super) const DATABASE: &str = "database";

/// After this long without traffic (in nanoseconds) a classic queue has written all of its acknowledgements down, so
/// that a SIGKILL forgets none of them. Measured on RabbitMQ 4.0.5: all are forgotten under steady traffic, none after
/// 2 s of quiet; the rest is for the kill itself, which is recorded up to 0.7 s after it began.
const QUIET: u64 = 3_000_000_000;

/// A broker that gives up a connection may deliver its messages elsewhere before the tap has seen the connection end;
/// by so many nanoseconds at most.
const SLACK: u64 = 1_000_000_000;

/// The phase in which the scenario itself runs; what comes before it is start-up.
pub(super) const BODY: &str = "body";

/// Phases that begin when the trial has come to rest: what happens from there on is the harness tidying up.
const AFTER_REST: [&str; 2] = ["collect", "close"];

/// A `basic.publish` and what became of it.
#[derive(Debug)]
pub(super) struct Published<'a> {
    /// The event.
    pub(super) n: u64,
    /// Its time.
    pub(super) at: u64,
    /// Who published.
    pub(super) svc: Option<&'a Name>,
    /// What.
    pub(super) message: &'a Message,
    /// Roles of the work queues that it leads to.
    pub(super) queues: Vec<&'a Name>,
    /// It goes through a retry queue first.
    pub(super) waits: bool,
    /// How often it may have come to the broker: 0 when the frame was taken out, 2 when it was sent twice.
    pub(super) reached: u32,
    /// Its sequence number on the channel; 0 if the publisher asked for no confirms.
    pub(super) tag: u64,
    /// The confirm that reached the publisher, and whether it is positive.
    pub(super) confirm: Option<(u64, bool)>,
    /// The event since which the publisher can know of that confirm: it may have been held.
    pub(super) answered: Option<u64>,
    /// The return.
    pub(super) returned: Option<u64>,
}

impl Published<'_> {
    /// The broker has told the publisher that it has it, and has not given it back.
    pub(super) fn promised(&self) -> bool {
        matches!(self.confirm, Some((_, true))) && self.returned.is_none()
    }

    /// It was published by the harness.
    pub(super) fn by_harness(&self) -> bool {
        self.svc.is_some_and(|svc| *svc == HARNESS)
    }

    /// Its retry counter; 0 without one.
    pub(super) fn retry(&self) -> i64 {
        self.message.retry.unwrap_or(0)
    }
}

/// How a consumer settled a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Acknowledged.
    Ack,
    /// Rejected for good: dropped, or dead-lettered.
    Reject,
    /// Put back.
    Requeue,
}

/// A settlement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    /// The event.
    pub(super) n: u64,
    /// Its time.
    pub(super) at: u64,
    /// How.
    pub(super) how: How,
    /// Nothing is known to have kept it from the broker.
    pub(super) arrived: bool,
    /// When it went on to the broker, if it did.
    passed: Moment,
    /// The broker is known to have taken it: what it delivered afterwards shows that.
    taken: bool,
}

/// The end of the channel on which something was delivered, by itself or with its connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// The event.
    pub(super) n: u64,
    /// Its time.
    at: u64,
    /// The client closed it, so that the broker has taken all that was sent before.
    orderly: bool,
}

/// A `basic.deliver` and what became of it.
#[derive(Debug)]
pub(super) struct Delivered<'a> {
    /// The event.
    pub(super) n: u64,
    /// Its time.
    pub(super) at: u64,
    /// To whom.
    pub(super) svc: Option<&'a Name>,
    /// Connection and channel.
    pub(super) channel: (u32, u16),
    /// The event at which its consumer began; 0 if that was not seen.
    pub(super) consumer: u64,
    /// Role of the work queue that it comes from; absent for other queues.
    pub(super) queue: Option<&'a Name>,
    /// What.
    pub(super) message: &'a Message,
    /// The consumer asked for no acknowledgements.
    pub(super) auto: bool,
    /// The settlement.
    pub(super) settled: Option<Settled>,
    /// The end of its channel, whether it was settled before or not.
    pub(super) end: Option<End>,
}

impl Delivered<'_> {
    /// The broker still waits for its settlement.
    pub(super) fn outstanding(&self) -> bool {
        self.end.is_none() && self.settled.is_none_or(|settled| !settled.arrived)
    }

    /// After this event its consumer has it and owes its settlement.
    pub(super) fn is_held_at(&self, n: u64) -> bool {
        self.n <= n
            && self.settled.is_none_or(|settled| settled.n > n)
            && self.end.is_none_or(|end| end.n > n)
    }

    /// It went to the harness.
    pub(super) fn to_harness(&self) -> bool {
        self.svc.is_some_and(|svc| *svc == HARNESS)
    }

    /// Its retry counter; 0 without one.
    pub(super) fn retry(&self) -> i64 {
        self.message.retry.unwrap_or(0)
    }
}

/// The messages of one report on one work queue.
#[derive(Debug, Default)]
struct Traffic {
    publishes: Vec<usize>,
    deliveries: Vec<usize>,
}

/// A trial before its judges.
#[derive(Debug)]
pub struct Case<'a> {
    evidence: &'a Evidence,
    /// Who is answerable for which effect.
    pub(super) roles: Roles<'a>,
    /// All publishes, in order.
    pub(super) publishes: Vec<Published<'a>>,
    /// All deliveries, in order.
    pub(super) deliveries: Vec<Delivered<'a>>,
    /// Events at which the broker ended without a chance to write anything down.
    pub(super) kills: Vec<u64>,
    traffic: BTreeMap<&'a Name, BTreeMap<&'a Key, Traffic>>,
    sent: BTreeMap<&'a Key, Vec<usize>>,
    injected: BTreeMap<&'a Key, &'a Injected>,
    /// By classic queue: the events, from and to, whose settlements a kill may have made undone, and the kill's time.
    forgotten: BTreeMap<&'a Name, Vec<(u64, u64, u64)>>,
    outages: Vec<Outage<'a>>,
    /// Connections from which the broker has stopped reading at some time.
    blocked: BTreeSet<u32>,
    connections: Vec<Connection<'a>>,
    held: BTreeMap<u64, Held>,
    rows: BTreeMap<u64, Vec<&'a AnalysisRow>>,
    links: BTreeMap<u64, Vec<&'a str>>,
    rest: u64,
}

impl<'a> Case<'a> {
    /// Indexes `evidence`.
    pub fn new(evidence: &'a Evidence) -> Self {
        let topology = &evidence.plan.topology;
        let events = evidence.ledger.events();
        let rest = events
            .iter()
            .find(|event| matches!(&event.step, Step::Phase { name } if AFTER_REST.contains(&name.as_str())))
            .map_or(u64::MAX, |event| event.n);
        let mut index = Index::new(topology, index::held(events));
        for event in events.iter().take_while(|event| event.n < rest) {
            index.take(event);
        }
        let mut traffic: BTreeMap<_, BTreeMap<_, Traffic>> = BTreeMap::new();
        let mut sent: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (i, publish) in index.publishes.iter().enumerate() {
            let Some(key) = &publish.message.key else { continue };
            for queue in &publish.queues {
                traffic
                    .entry(*queue)
                    .or_default()
                    .entry(key)
                    .or_default()
                    .publishes
                    .push(i);
            }
            if publish.by_harness() {
                sent.entry(key).or_default().push(i);
            }
        }
        // What the harness takes out of a queue to look at it is no delivery to the pipeline.
        let services = index
            .deliveries
            .iter()
            .enumerate()
            .filter(|(_, delivery)| !delivery.to_harness());
        for (i, delivery) in services {
            if let (Some(queue), Some(key)) = (delivery.queue, &delivery.message.key) {
                traffic
                    .entry(queue)
                    .or_default()
                    .entry(key)
                    .or_default()
                    .deliveries
                    .push(i);
            }
        }
        let mut rows: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in &evidence.end.analysis {
            rows.entry(row.seq).or_default().push(row);
        }
        let mut links: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (seq, tag) in &evidence.end.links {
            links.entry(*seq).or_default().push(tag.as_str());
        }
        Self {
            evidence,
            roles: Roles::of(topology),
            kills: index.kills.iter().map(|(n, _)| *n).collect(),
            forgotten: index.forgotten(),
            publishes: index.publishes,
            deliveries: index.deliveries,
            traffic,
            sent,
            injected: evidence
                .plan
                .injected
                .iter()
                .map(|injected| (&injected.key, injected))
                .collect(),
            outages: faults::outages(&evidence.plan, events.iter().take_while(|event| event.n < rest)),
            blocked: index.blocked,
            connections: connections::connections(events.iter().take_while(|event| event.n < rest)),
            held: index.held,
            rows,
            links,
            rest,
        }
    }

    /// What was asked for.
    pub(super) fn plan(&self) -> &'a Plan {
        &self.evidence.plan
    }

    /// What was under test.
    pub(super) fn topology(&self) -> &'a Topology {
        &self.evidence.plan.topology
    }

    /// What is left.
    pub(super) fn end(&self) -> &'a EndState {
        &self.evidence.end
    }

    /// The analysis rows of a report.
    pub(super) fn rows(&self, seq: u64) -> &[&'a AnalysisRow] {
        self.rows.get(&seq).map_or(&[], Vec::as_slice)
    }

    /// The tags that a report is linked to, as often as it is.
    pub(super) fn links(&self, seq: u64) -> &[&'a str] {
        self.links.get(&seq).map_or(&[], Vec::as_slice)
    }

    /// All events up to the point where the trial had come to rest.
    pub(super) fn events(&self) -> impl DoubleEndedIterator<Item = &'a Event> {
        let rest = self.rest;
        self.evidence
            .ledger
            .events()
            .iter()
            .filter(move |event| event.n < rest)
    }

    /// The whole ledger.
    pub(super) fn all(&self) -> &'a [Event] {
        self.evidence.ledger.events()
    }

    /// All dials of services, in order.
    pub(super) fn connections(&self) -> &[Connection<'a>] {
        &self.connections
    }

    /// One event.
    pub(super) fn event(&self, n: u64) -> Option<&'a Event> {
        self.evidence.ledger.get(n)
    }

    /// What became of a frame that a trigger held; absent if it was not held, or never let go.
    pub(super) fn fate(&self, n: u64) -> Option<Fate> {
        self.held.get(&n)?.fate.map(|(fate, _)| fate)
    }

    /// Nothing is known to have kept this frame from its receiver.
    pub(super) fn passed(&self, n: u64) -> bool {
        self.held.get(&n).is_none_or(|held| {
            held.fate
                .is_some_and(|(fate, _)| !matches!(fate, Fate::Dropped | Fate::Cut))
        })
    }

    /// What was injected under this key.
    pub(super) fn injected(&self, key: &Key) -> Option<&'a Injected> {
        self.injected.get(key).copied()
    }

    /// The work queues and keys between which anything was seen, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'a Name, &'a Key)> {
        self.traffic
            .iter()
            .flat_map(|(queue, keys)| keys.keys().map(|key| (*queue, *key)))
    }

    /// Publishes of this key that lead to this work queue, retries included.
    pub(super) fn publishes_to(
        &self,
        queue: &Name,
        key: &Key,
    ) -> impl DoubleEndedIterator<Item = &Published<'a>> {
        self.traffic(queue, key)
            .map_or(&[][..], |traffic| &traffic.publishes)
            .iter()
            .map(|i| &self.publishes[*i])
    }

    /// Deliveries of this key from this work queue to services.
    pub(super) fn deliveries_from(
        &self,
        queue: &Name,
        key: &Key,
    ) -> impl DoubleEndedIterator<Item = &Delivered<'a>> {
        self.traffic(queue, key)
            .map_or(&[][..], |traffic| &traffic.deliveries)
            .iter()
            .map(|i| &self.deliveries[*i])
    }

    fn traffic(&self, queue: &Name, key: &Key) -> Option<&Traffic> {
        self.traffic.get(queue)?.get(key)
    }

    /// What the harness published under this key.
    pub(super) fn sent(&self, key: &Key) -> impl Iterator<Item = &Published<'a>> {
        self.sent
            .get(key)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .map(|i| &self.publishes[*i])
    }

    /// The broker has promised the harness to keep this message.
    pub(super) fn promised(&self, key: &Key) -> bool {
        self.sent(key).any(Published::promised)
    }

    /// A service puts a message back that came from this queue: through a retry queue, or as the queue's own consumer.
    pub(super) fn is_retry(&self, queue: &Name, publish: &Published<'_>) -> bool {
        (publish.waits && !publish.by_harness()) || self.by_consumer(queue, publish)
    }

    /// A service that consumes this queue published it.
    pub(super) fn by_consumer(&self, queue: &Name, publish: &Published<'_>) -> bool {
        publish
            .svc
            .and_then(|svc| self.topology().service(svc))
            .is_some_and(|service| service.consumes.as_ref() == Some(queue))
    }

    /// How often this message may have been put into this work queue, not counting retries.
    pub(super) fn published(&self, queue: &Name, key: &Key) -> u64 {
        self.publishes_to(queue, key)
            .filter(|publish| !self.is_retry(queue, publish))
            .map(|publish| u64::from(publish.reached))
            .sum()
    }

    /// The message is among the dead letters of this work queue, by its key or by its body.
    pub(super) fn is_dead(&self, queue: &Name, key: &Key) -> bool {
        let hashes: BTreeSet<_> = self
            .publishes_to(queue, key)
            .map(|publish| publish.message.hash.as_str())
            .filter(|hash| !hash.is_empty())
            .collect();
        self.end().dead.get(queue).is_some_and(|dead| {
            dead.iter().any(|letter| match &letter.key {
                Some(found) => found == key,
                None => hashes.contains(letter.hash.as_str()),
            })
        })
    }
}
