//! One pass over the ledger: which publish was confirmed, which delivery was settled, what ended when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::event::{Event, Fate, Message, Side, Step};
use crate::name::Name;
use crate::topology::{QueueKind, Retry, Topology};

use super::connections::is_end;
use super::{BROKER, Delivered, End, How, Moment, Published, QUIET, Settled};

/// A frame that did not simply pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// When that is first told.
    pub(super) from: Moment,
    /// What became of it, and when; absent while it is held.
    pub(super) fate: Option<(Fate, Moment)>,
}

/// Every frame that did not simply pass.
pub(super) fn held(events: &[Event]) -> BTreeMap<u64, Held> {
    let mut held = BTreeMap::new();
    for event in events {
        let (frame, fate) = match event.step {
            Step::Held { event: frame, .. } => (frame, None),
            Step::Released {
                event: frame, fate, ..
            } => (frame, Some((fate, Moment::of(event)))),
            _ => continue,
        };
        let from = Moment::of(event);
        held.entry(frame).or_insert(Held { from, fate }).fate = fate;
    }
    held
}

/// One consumer.
///
/// The broker delivers no more than the prefetch allows, and takes settlements in the order in which they were sent: so
/// its nth delivery shows that it has taken all settlements but the last n - prefetch.
#[derive(Debug, Default)]
struct Consumer {
    /// The event at which it began.
    began: u64,
    /// It asked for no acknowledgements.
    auto: bool,
    /// Its prefetch; 0 is unlimited, and shows nothing.
    prefetch: u64,
    /// Deliveries so far.
    delivered: u64,
    /// Settlements that are known to have been taken.
    taken: u64,
    /// Settled deliveries that may not have been, in the order in which they were settled.
    doubtful: VecDeque<usize>,
}

impl Consumer {
    /// Counts a delivery and gives those settled ones that it shows to have been taken.
    fn deliver(&mut self) -> Vec<usize> {
        self.delivered += 1;
        let mut taken = Vec::new();
        while self.prefetch > 0 && self.taken + self.prefetch < self.delivered {
            let Some(i) = self.doubtful.pop_front() else { break };
            self.taken += 1;
            taken.push(i);
        }
        taken
    }
}

/// One life of a channel.
#[derive(Debug, Default)]
struct Channel<'a> {
    published: Vec<usize>,
    by_sequence: BTreeMap<u64, usize>,
    delivered: Vec<usize>,
    unsettled: BTreeMap<u64, usize>,
    consumers: BTreeMap<&'a Name, Consumer>,
    /// What the last `basic.qos` asked for; it holds for the consumers that begin after it.
    prefetch: u64,
    end: Option<End>,
}

/// What a pass over the ledger gathers.
#[derive(Debug)]
pub(super) struct Index<'a> {
    topology: &'a Topology,
    pub(super) held: BTreeMap<u64, Held>,
    channels: BTreeMap<(u32, u16), Channel<'a>>,
    ended: BTreeMap<u32, End>,
    pub(super) publishes: Vec<Published<'a>>,
    pub(super) deliveries: Vec<Delivered<'a>>,
    activity: BTreeMap<&'a Name, Vec<(u64, u64)>>,
    pub(super) kills: Vec<(u64, u64)>,
    pub(super) blocked: BTreeSet<u32>,
}

impl<'a> Index<'a> {
    pub(super) fn new(topology: &'a Topology, held: BTreeMap<u64, Held>) -> Self {
        Self {
            topology,
            held,
            channels: BTreeMap::new(),
            ended: BTreeMap::new(),
            publishes: Vec::new(),
            deliveries: Vec::new(),
            activity: BTreeMap::new(),
            kills: Vec::new(),
            blocked: BTreeSet::new(),
        }
    }

    fn fate(&self, n: u64) -> Option<Fate> {
        self.held.get(&n)?.fate.map(|(fate, _)| fate)
    }

    /// When a frame went on; absent if it did not, as far as is known.
    fn passed(&self, event: &Event) -> Option<Moment> {
        match self.held.get(&event.n) {
            None => Some(Moment::of(event)),
            Some(held) => held
                .fate
                .filter(|(fate, _)| !matches!(fate, Fate::Dropped | Fate::Cut))
                .map(|(_, at)| at),
        }
    }

    pub(super) fn take(&mut self, event: &'a Event) {
        let id @ (conn, _) = (event.conn.unwrap_or(0), event.chan.unwrap_or(0));
        let end = |orderly| End {
            n: event.n,
            at: event.at,
            orderly,
        };
        match &event.step {
            Step::ChannelOpened => {
                self.close(conn, id, end(false));
                self.channels.insert(id, Channel::default());
            }
            Step::ChannelClosed { by, .. } => self.close(conn, id, end(*by == Side::Client)),
            Step::AmqpClosed { by, .. } => self.disconnect(conn, end(*by == Side::Client)),
            Step::Disconnect { .. } | Step::Opaque { .. } => self.disconnect(conn, end(false)),
            Step::Container { name, change, exit } if *name == BROKER && is_end(change) => {
                let connections: BTreeSet<_> = self.channels.keys().map(|(conn, _)| *conn).collect();
                for conn in connections {
                    self.disconnect(conn, end(false));
                }
                if change == "killed" || (change == "exited" && *exit != Some(0)) {
                    self.kills.push((event.n, event.at));
                }
            }
            Step::Blocked { .. } => drop(self.blocked.insert(conn)),
            Step::Qos { prefetch, .. } => self.channel(id).prefetch = u64::from(*prefetch),
            Step::Consume { consumer, no_ack, .. } => {
                let channel = self.channel(id);
                let begun = Consumer {
                    began: event.n,
                    auto: *no_ack,
                    prefetch: channel.prefetch,
                    ..Consumer::default()
                };
                channel.consumers.insert(consumer, begun);
            }
            Step::Publish { tag, message, .. } => self.publish(event, id, *tag, message),
            Step::Confirm { ok, covers } => {
                let Some(passed) = self.passed(event) else { return };
                for covered in covers {
                    if let Some(i) = self.channel(id).by_sequence.get(&covered.tag).copied() {
                        self.publishes[i].confirm = Some((event.n, *ok));
                        self.publishes[i].answered = Some(passed.n);
                    }
                }
            }
            Step::Return { message, .. } => {
                let published = std::mem::take(&mut self.channel(id).published);
                let same = |publish: &Published<'_>| {
                    publish.returned.is_none()
                        && publish.message.key == message.key
                        && publish.message.hash == message.hash
                        && publish.message.exchange == message.exchange
                        && publish.message.routing_key == message.routing_key
                };
                if let Some(i) = published
                    .iter()
                    .rev()
                    .copied()
                    .find(|i| same(&self.publishes[*i]))
                {
                    self.publishes[i].returned = Some(event.n);
                }
                self.channel(id).published = published;
            }
            Step::Deliver {
                tag,
                consumer,
                queue,
                message,
                ..
            } => {
                let queue = queue.as_ref().and_then(|queue| self.topology.queue_role(queue));
                self.deliver(event, id, *tag, consumer, queue, message);
            }
            Step::Ack { covers } => {
                self.settle(event, id, How::Ack, covers.iter().map(|covered| covered.tag));
            }
            Step::Nack { requeue, covers } => {
                let how = if *requeue { How::Requeue } else { How::Reject };
                self.settle(event, id, how, covers.iter().map(|covered| covered.tag));
            }
            _ => {}
        }
    }

    fn channel(&mut self, id: (u32, u16)) -> &mut Channel<'a> {
        let end = self.ended.get(&id.0).copied();
        self.channels.entry(id).or_insert_with(|| Channel {
            end,
            ..Channel::default()
        })
    }

    fn active(&mut self, queue: &'a Name, event: &Event) {
        self.activity.entry(queue).or_default().push((event.n, event.at));
    }

    fn publish(&mut self, event: &'a Event, id: (u32, u16), tag: u64, message: &'a Message) {
        let (queues, waits) = destinations(self.topology, message);
        for queue in &queues {
            self.active(queue, event);
        }
        let reached = match self.fate(event.n) {
            _ if self.passed(event).is_none() => 0,
            Some(Fate::Duplicated) => 2,
            _ => 1,
        };
        let i = self.publishes.len();
        self.publishes.push(Published {
            n: event.n,
            at: event.at,
            svc: event.svc.as_ref(),
            message,
            queues,
            waits,
            reached,
            tag,
            confirm: None,
            answered: None,
            returned: None,
        });
        let channel = self.channel(id);
        channel.published.push(i);
        if tag > 0 {
            channel.by_sequence.insert(tag, i);
        }
    }

    fn deliver(
        &mut self,
        event: &'a Event,
        id: (u32, u16),
        tag: u64,
        consumer: &'a Name,
        queue: Option<&'a Name>,
        message: &'a Message,
    ) {
        if let Some(queue) = queue {
            self.active(queue, event);
        }
        let i = self.deliveries.len();
        let channel = self.channel(id);
        let (began, auto, taken) = match channel.consumers.get_mut(consumer) {
            Some(consumer) => (consumer.began, consumer.auto, consumer.deliver()),
            None => (0, false, Vec::new()),
        };
        channel.delivered.push(i);
        if !auto {
            channel.unsettled.insert(tag, i);
        }
        let end = channel.end;
        for i in taken {
            if let Some(settled) = &mut self.deliveries[i].settled {
                settled.taken = true;
            }
        }
        self.deliveries.push(Delivered {
            n: event.n,
            at: event.at,
            svc: event.svc.as_ref(),
            channel: id,
            consumer: began,
            queue,
            message,
            auto,
            settled: auto.then_some(Settled {
                n: event.n,
                at: event.at,
                how: How::Ack,
                arrived: true,
                passed: Moment::of(event),
                taken: true,
            }),
            end,
        });
    }

    fn settle(&mut self, event: &'a Event, id: (u32, u16), how: How, tags: impl Iterator<Item = u64>) {
        if self.channel(id).end.is_some() {
            // It has crossed the other side's close on the way: nobody reads it any more.
            return;
        }
        let passed = self.passed(event);
        let arrived = passed.is_some();
        for tag in tags {
            let unsettled = &mut self.channel(id).unsettled;
            // What did not arrive has settled nothing: a later one that covers the delivery does.
            let found = if arrived {
                unsettled.remove(&tag)
            } else {
                unsettled.get(&tag).copied()
            };
            let Some(i) = found else {
                continue;
            };
            self.deliveries[i].settled = Some(Settled {
                n: event.n,
                at: event.at,
                how,
                arrived,
                passed: passed.unwrap_or(Moment::of(event)),
                taken: false,
            });
            let began = self.deliveries[i].consumer;
            let mut consumers = self.channel(id).consumers.values_mut();
            if let Some(consumer) = consumers.find(|consumer| arrived && consumer.began == began) {
                consumer.doubtful.push_back(i);
            }
            if let Some(queue) = self.deliveries[i].queue {
                self.active(queue, event);
            }
        }
    }

    fn disconnect(&mut self, conn: u32, end: End) {
        self.ended.entry(conn).or_insert(end);
        let channels: Vec<_> = self
            .channels
            .range((conn, 0)..=(conn, u16::MAX))
            .map(|(id, _)| *id)
            .collect();
        for id in channels {
            self.close(conn, id, end);
        }
    }

    fn close(&mut self, conn: u32, id: (u32, u16), end: End) {
        let end = self.ended.get(&conn).copied().unwrap_or(end);
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        if channel.end.is_none() {
            channel.end = Some(end);
            for i in &channel.delivered {
                self.deliveries[*i].end = Some(end);
            }
        }
    }

    pub(super) fn forgotten(&self) -> BTreeMap<&'a Name, Vec<(u64, u64, u64)>> {
        let mut forgotten: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (queue, activity) in &self.activity {
            if self
                .topology
                .queue(queue)
                .is_none_or(|queue| queue.kind != QueueKind::Classic)
            {
                continue;
            }
            for (kill, killed_at) in &self.kills {
                let (mut from, mut busy_at) = (*kill, *killed_at);
                for (n, at) in activity.iter().rev().filter(|(n, _)| n < kill) {
                    if busy_at.saturating_sub(*at) >= QUIET {
                        break;
                    }
                    (from, busy_at) = (*n, *at);
                }
                forgotten
                    .entry(*queue)
                    .or_default()
                    .push((from, *kill, *killed_at));
            }
        }
        forgotten
    }
}

/// The roles of the work queues that a publish leads to, and whether by way of a retry queue.
fn destinations<'a>(topology: &'a Topology, message: &Message) -> (Vec<&'a Name>, bool) {
    let retry = |found: &dyn Fn(&Retry) -> bool| {
        let queues = topology
            .queues
            .iter()
            .filter(|(_, queue)| queue.retry.as_ref().is_some_and(found));
        (queues.map(|(role, _)| role).collect::<Vec<_>>(), true)
    };
    if message.exchange.is_empty() {
        return match topology.queue_role(&message.routing_key) {
            Some(role) => (vec![role], false),
            None => retry(&|retry| retry.queue == *message.routing_key),
        };
    }
    match topology.route_role(&message.exchange, &message.routing_key) {
        Some(route) => {
            let bound = topology
                .queues
                .iter()
                .filter(|(_, queue)| queue.bind.contains(route));
            (bound.map(|(role, _)| role).collect(), false)
        }
        None => retry(&|retry| retry.exchange == *message.exchange),
    }
}
