//! What happened to every message of a trial, told for people: its steps, how it ended, which fault was in force.
//!
//! Judges and readers look at the same index, so a report never tells another story than the finding beside it. Nothing
//! is judged here: whether a message that is still open should have come further is what the findings say.

use std::collections::BTreeMap;

use crate::event::{Event, FaultChange, Step};
use crate::evidence::{Evidence, Expect};
use crate::fault::{MessageState, Work};
use crate::name::{Key, Name};
use crate::verdict::{Finding, Kind};

use super::case::{Case, Delivered, How, Moment};
use super::{context, story};

/// An event and its time, in nanoseconds since the ledger was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The event.
    pub n: u64,
    /// Its time.
    pub at: u64,
}

impl From<Moment> for Point {
    fn from(moment: Moment) -> Self {
        Self {
            n: moment.n,
            at: moment.at,
        }
    }
}

impl From<&Event> for Point {
    fn from(event: &Event) -> Self {
        Self {
            n: event.n,
            at: event.at,
        }
    }
}

/// A time at which a fault was in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The fault.
    pub id: Name,
    /// What it is, in words.
    pub what: String,
    /// What it waited for, in words; absent if for nothing.
    pub when: Option<String>,
    /// Since when it was ready to fire.
    pub armed: Option<Point>,
    /// What set it off.
    pub from: Point,
    /// It is proved to have taken effect.
    pub bitten: Option<Point>,
    /// It is proved to be undone.
    pub healed: Option<Point>,
}

/// A step in the life of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Where the message is with it.
    pub state: MessageState,
    /// The event.
    pub point: Point,
}

/// The life of one message on one work queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Role of the queue.
    pub queue: Name,
    /// The message.
    pub key: Key,
    /// Who consumes the queue; absent if nobody does.
    pub consumer: Option<Name>,
    /// Its steps, in order.
    pub stages: Vec<Stage>,
    /// How often it was delivered.
    pub deliveries: usize,
    /// It came to where it belongs: worked off, in the dead-letter queue if it is to end there, or in a queue that
    /// nobody consumes.
    pub ended: bool,
}

/// A message that came, or was to come, into a work queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Role of the queue.
    pub queue: Name,
    /// When it can be delivered at the earliest: behind a retry queue that is after the time to wait.
    pub at: u64,
}

/// A message that was given to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Role of the queue.
    pub queue: Name,
    /// When.
    pub at: u64,
    /// When the broker stopped to wait for an answer; absent if it still does.
    pub until: Option<u64>,
    /// It went back into the queue then.
    pub back: bool,
    /// It was worked off, and so many nanoseconds had passed since it was published to the queue.
    pub latency: Option<u64>,
}

/// A trial, told.
#[derive(Debug)]
pub struct Account<'a> {
    case: Case<'a>,
    /// Times at which faults were in force, in the order of their beginning.
    pub faults: Vec<InForce>,
    /// All messages on all work queues, by queue and key.
    pub lives: Vec<Life>,
    /// Messages that came into queues, in the order of the ledger.
    pub sent: Vec<Sent>,
    /// Deliveries to services, in order.
    pub given: Vec<Given>,
}

impl<'a> Account<'a> {
    /// Tells a trial.
    pub fn of(evidence: &'a Evidence) -> Self {
        let case = Case::new(evidence);
        let mut work = works(&case);
        let pairs: Vec<_> = case.pairs().collect();
        let lives = pairs.into_iter().map(|(queue, key)| {
            let work = work.remove(&(queue, key)).unwrap_or_default();
            life(&case, queue, key, work)
        });
        let lives = lives.collect();
        Self {
            faults: faults(&case),
            lives,
            sent: sent(&case),
            given: case
                .deliveries
                .iter()
                .filter_map(|delivery| given(&case, delivery))
                .collect(),
            case,
        }
    }

    /// What happened to a message, in a sentence.
    pub fn trail(&self, life: &Life) -> String {
        story::trail(&self.case, &life.queue, &life.key).text()
    }

    /// Which faults may have to do with what happened from one event to another, in words.
    pub fn around(&self, from: u64, to: u64) -> Option<String> {
        let events = [from, to];
        context::faults(&self.case, &Finding::new(Kind::Fail, "", "").shown_by(events))
    }
}

/// What consumers did about each message, by queue.
fn works<'a>(case: &Case<'a>) -> BTreeMap<(&'a Name, &'a Key), Vec<Stage>> {
    let keys: BTreeMap<_, _> = case.pairs().map(|(queue, key)| ((queue, key), key)).collect();
    let consumed = case.topology().services.iter();
    let mut queues: BTreeMap<_, _> = consumed
        .filter_map(|(service, described)| Some((service, (described.consumes.as_ref()?, Work::default()))))
        .collect();
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in case.events() {
        let Some((queue, work)) = event.svc.as_ref().and_then(|svc| queues.get_mut(svc)) else {
            continue;
        };
        for (state, key) in work.see(event) {
            if let Some(key) = keys.get(&(*queue, &key)) {
                let point = Point::from(event);
                found
                    .entry((*queue, *key))
                    .or_default()
                    .push(Stage { state, point });
            }
        }
    }
    found
}

fn faults(case: &Case<'_>) -> Vec<InForce> {
    let tell = |outage: &super::case::Outage<'_>| {
        let planned = case.plan().faults.iter().find(|fault| fault.id == *outage.id);
        let armed = case.events().find(
            |event| matches!(&event.step, Step::Fault { id, change: FaultChange::Armed } if id == outage.id),
        );
        InForce {
            id: outage.id.clone(),
            what: outage
                .what
                .map_or_else(|| "a fault".to_owned(), ToString::to_string),
            when: planned.and_then(|fault| Some(fault.when.as_ref()?.to_string())),
            armed: armed.map(Point::from),
            from: outage.from.into(),
            bitten: outage.bitten.map(Point::from),
            healed: outage.healed.map(Point::from),
        }
    };
    case.outages().iter().map(tell).collect()
}

fn life(case: &Case<'_>, queue: &Name, key: &Key, work: Vec<Stage>) -> Life {
    use MessageState as M;
    let at = |n: u64| Point {
        n,
        at: case.event(n).map_or(0, |event| event.at),
    };
    let mut stages = work;
    let mut stage = |state, n| stages.push(Stage { state, point: at(n) });
    let delivered = case.deliveries_from(queue, key).next().map(|delivery| delivery.n);
    for publish in case.publishes_to(queue, key) {
        let (sent, confirmed) = if publish.waits {
            (M::R0, M::R1)
        } else {
            (M::P0, M::P1)
        };
        stage(sent, publish.n);
        // A publisher may hear of it only after the message was delivered; by then it is further.
        if let Some((n, true)) = publish.confirm
            && (publish.waits || delivered.is_none_or(|delivered| n < delivered))
        {
            stage(confirmed, n);
        }
    }
    for delivery in case.deliveries_from(queue, key) {
        stage(M::D, delivery.n);
        let Some(settled) = delivery.settled else { continue };
        match (settled.how, settled.arrived) {
            (How::Ack, true) => stage(M::A1, settled.n),
            (How::Ack, false) => stage(M::A0, settled.n),
            (How::Reject, true) => stage(M::X0, settled.n),
            (How::Reject, false) => stage(M::N0, settled.n),
            (How::Requeue, _) => {}
        }
    }
    stages.sort_by_key(|stage| (stage.point, stage.state));
    let consumer = case
        .topology()
        .consumer_of(queue)
        .map(|(service, _)| service.clone());
    Life {
        queue: queue.clone(),
        key: key.clone(),
        ended: ended(case, queue, key, consumer.is_some()),
        consumer,
        stages,
        deliveries: case.deliveries_from(queue, key).count(),
    }
}

fn ended(case: &Case<'_>, queue: &Name, key: &Key, consumed: bool) -> bool {
    let last = case.deliveries_from(queue, key).next_back();
    let open = |n: u64| {
        case.publishes_to(queue, key)
            .any(|publish| publish.waits && publish.n > n && publish.reached > 0)
    };
    let to_be_buried = case.injected(key).is_some_and(
        |injected| matches!(&injected.expect, Expect::DeadLetter { queues, .. } if queues.contains(queue)),
    );
    match last {
        None => !consumed,
        Some(Delivered {
            n,
            settled: Some(settled),
            ..
        }) if settled.arrived => match settled.how {
            How::Ack => !open(*n),
            How::Reject => to_be_buried,
            How::Requeue => false,
        },
        Some(_) => false,
    }
}

fn sent(case: &Case<'_>) -> Vec<Sent> {
    let mut sent = Vec::new();
    for publish in &case.publishes {
        for queue in &publish.queues {
            let described = case
                .topology()
                .queue(queue)
                .and_then(|queue| queue.retry.as_ref());
            let wait = described
                .filter(|_| publish.waits)
                .map_or(0, |retry| retry.ttl_ms * 1_000_000);
            let once = Sent {
                queue: (*queue).clone(),
                at: publish.at.saturating_add(wait),
            };
            sent.extend(std::iter::repeat_n(once, publish.reached as usize));
        }
    }
    sent
}

fn given(case: &Case<'_>, delivery: &Delivered<'_>) -> Option<Given> {
    let queue = delivery.queue.filter(|_| !delivery.to_harness())?;
    let settled = delivery.settled.filter(|settled| settled.arrived);
    let end = delivery
        .end
        .and_then(|end| case.event(end.n))
        .map(|event| event.at);
    let published = delivery.message.key.as_ref().and_then(|key| {
        let mut publishes = case.publishes_to(queue, key);
        publishes
            .rfind(|publish| publish.n < delivery.n)
            .map(|publish| publish.at)
    });
    let acknowledged = settled.filter(|settled| settled.how == How::Ack);
    Some(Given {
        queue: queue.clone(),
        at: delivery.at,
        until: settled.map(|settled| settled.at).or(end),
        back: settled.map_or(end.is_some(), |settled| settled.how == How::Requeue),
        latency: acknowledged.and_then(|settled| Some(settled.at.saturating_sub(published?))),
    })
}
