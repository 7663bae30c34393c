//! What the ledger says of messages right now: which are unacknowledged, and which consumers have settled which.
//!
//! Fed with each event once, in order. It is one of the two sources that "at rest" is read from; the other is the
//! broker's own count.

use std::collections::{BTreeMap, BTreeSet};

use harness_model::event::{Event, Fate, FaultChange, Step};
use harness_model::name::{Key, Name};
use harness_stack::client::HARNESS;

/// A channel of a service.
type Channel = (u32, u16);

/// A delivery that an acknowledgement or a rejection has settled.
#[derive(Debug)]
struct Settlement {
    channel: Channel,
    tag: u64,
    queue: Name,
    key: Option<Key>,
    /// It is the one that settled this key in this queue.
    first: bool,
}

/// The state after some events.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// Events taken in so far.
    seen: u64,
    /// Events of the services' broker links taken in so far: as long as it stands, nothing moves.
    moves: u64,
    /// When something last gave the services reason to move: a move, an injected report, a change of a fault.
    stirred: u64,
    /// Faults that have fired and are not healed.
    in_force: BTreeSet<Name>,
    unacked: BTreeMap<Channel, BTreeMap<u64, (Name, Option<Key>)>>,
    /// Channels that are closed. The broker may still send what it had under way, and has it back already.
    closed: BTreeSet<Channel>,
    settled: BTreeMap<Name, BTreeSet<Key>>,
    /// What each event has settled: a fault may still lose its frame.
    settlements: BTreeMap<u64, Vec<Settlement>>,
    /// By exchange and routing key.
    published: BTreeMap<(String, String), BTreeSet<Key>>,
}

impl Tracker {
    /// Events taken in so far; the next to give is the one after it.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// A number that changes whenever a service does something with a message.
    pub(crate) fn moves(&self) -> u64 {
        self.moves
    }

    /// Since when nothing has moved, in the ledger's time, and nobody has given the services a reason to. Nothing as long
    /// as a fault is in force: what stands still then, may.
    pub(crate) fn still_since(&self) -> Option<u64> {
        self.in_force.is_empty().then_some(self.stirred)
    }

    /// Takes in the next event.
    pub(crate) fn take(&mut self, event: &Event) {
        let before = self.moves;
        self.see(event);
        if self.moves != before {
            self.stirred = event.at;
        }
    }

    fn see(&mut self, event: &Event) {
        self.seen = event.n;
        match &event.step {
            Step::Fault { id: fault, change } => {
                self.stirred = event.at;
                match change {
                    FaultChange::Fired { .. } | FaultChange::Bitten { .. } => {
                        self.in_force.insert(fault.clone());
                    }
                    FaultChange::Healed { .. } => {
                        self.in_force.remove(fault);
                    }
                    FaultChange::Armed => {}
                }
            }
            Step::Inject { .. } | Step::Publish { .. } | Step::Container { .. } => self.stirred = event.at,
            Step::Released {
                event,
                fate: Fate::Dropped | Fate::Cut,
                ..
            } => self.unsettle(*event),
            _ => {}
        }
        let (Some(svc), Some(conn)) = (&event.svc, event.conn) else {
            return;
        };
        if *svc == HARNESS {
            return;
        }
        let channel = (conn, event.chan.unwrap_or_default());
        match &event.step {
            Step::Deliver {
                tag,
                queue: Some(queue),
                message,
                ..
            } => {
                self.moves += 1;
                if !self.closed.contains(&channel) {
                    self.unacked
                        .entry(channel)
                        .or_default()
                        .insert(*tag, (queue.clone(), message.key.clone()));
                }
            }
            Step::Ack { covers } => {
                self.moves += 1;
                for covered in covers {
                    self.settle(event.n, channel, covered.tag, true);
                }
            }
            Step::Nack { covers, requeue } => {
                self.moves += 1;
                for covered in covers {
                    self.settle(event.n, channel, covered.tag, !requeue);
                }
            }
            Step::Publish { message, .. } => {
                self.moves += 1;
                if let Some(key) = &message.key {
                    let to = (message.exchange.clone(), message.routing_key.clone());
                    self.published.entry(to).or_default().insert(key.clone());
                }
            }
            Step::Confirm { .. } | Step::Return { .. } | Step::Consume { .. } => self.moves += 1,
            Step::ChannelClosed { .. } => {
                self.moves += 1;
                self.unacked.remove(&channel);
                self.closed.insert(channel);
            }
            Step::ChannelOpened => {
                self.closed.remove(&channel);
            }
            Step::Disconnect { .. } => {
                self.moves += 1;
                self.unacked.retain(|(at, _), _| *at != conn);
            }
            _ => {}
        }
    }

    fn settle(&mut self, by: u64, channel: Channel, tag: u64, done: bool) {
        let delivery = self.unacked.get_mut(&channel).and_then(|tags| tags.remove(&tag));
        let Some((queue, key)) = delivery else { return };
        let first = match &key {
            Some(key) if done => self.settled.entry(queue.clone()).or_default().insert(key.clone()),
            _ => false,
        };
        self.settlements.entry(by).or_default().push(Settlement {
            channel,
            tag,
            queue,
            key,
            first,
        });
    }

    /// The frame of an event has not gone on, so it has settled nothing.
    fn unsettle(&mut self, by: u64) {
        for settlement in self.settlements.remove(&by).unwrap_or_default() {
            let Settlement {
                channel,
                tag,
                queue,
                key,
                first,
            } = settlement;
            if let Some(key) = &key
                && first
                && let Some(keys) = self.settled.get_mut(&queue)
            {
                keys.remove(key);
            }
            // Of a channel or a connection that has ended the broker has everything back.
            if let Some(tags) = self.unacked.get_mut(&channel) {
                tags.insert(tag, (queue, key));
            }
        }
    }

    /// The unacknowledged deliveries: queue and key.
    pub(crate) fn unacked(&self) -> Vec<(Name, Option<Key>)> {
        self.unacked
            .values()
            .flat_map(BTreeMap::values)
            .cloned()
            .collect()
    }

    /// Whether a consumer of `queue` has acknowledged or rejected `key` at least once.
    pub(crate) fn is_settled(&self, queue: &Name, key: &Key) -> bool {
        self.settled.get(queue).is_some_and(|keys| keys.contains(key))
    }

    /// Whether a service has published a message about `key` to this exchange, with this routing key.
    pub(crate) fn is_published(&self, to: &(String, String), key: &Key) -> bool {
        self.published.get(to).is_some_and(|keys| keys.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::Tracker;
    use harness_model::event::{Backend, Covered, Ending, Event, Fate, FaultChange, Message, Side, Step};
    use harness_model::name::{Key, Name};

    fn event(n: u64, svc: &str, step: Step) -> Event {
        Event {
            n,
            at: n,
            svc: Some(svc.into()),
            conn: Some(1),
            chan: Some(1),
            step,
        }
    }

    fn deliver(n: u64, svc: &str, tag: u64, key: &str) -> Event {
        let message = Message {
            key: Some(key.into()),
            ..Message::default()
        };
        let (consumer, queue) = ("c".into(), Some("q".into()));
        event(
            n,
            svc,
            Step::Deliver {
                tag,
                consumer,
                queue,
                redelivered: false,
                message,
            },
        )
    }

    fn unlinked(n: u64, step: Step) -> Event {
        Event {
            svc: None,
            conn: None,
            chan: None,
            ..event(n, "", step)
        }
    }

    fn covers(tag: u64) -> Vec<Covered> {
        vec![Covered {
            tag,
            key: None,
            queue: None,
        }]
    }

    #[test]
    fn a_delivery_is_unacked_until_it_is_settled_or_its_connection_ends() {
        let (queue, mut tracker) = (Name::new("q"), Tracker::default());
        tracker.take(&deliver(1, "analyzer", 1, "7"));
        tracker.take(&deliver(2, "analyzer", 2, "8"));
        assert_eq!(tracker.unacked().len(), 2);
        tracker.take(&event(3, "analyzer", Step::Ack { covers: covers(1) }));
        assert!(tracker.is_settled(&queue, &Key::new("7")));
        tracker.take(&event(
            4,
            "analyzer",
            Step::Nack {
                requeue: true,
                covers: covers(2),
            },
        ));
        assert!(
            !tracker.is_settled(&queue, &Key::new("8")),
            "put back, so not settled"
        );
        tracker.take(&deliver(5, "analyzer", 3, "8"));
        let ended = Step::Disconnect {
            to: Backend::Broker,
            by: Side::Server,
            how: Ending::Rst,
        };
        tracker.take(&event(6, "analyzer", ended));
        assert!(tracker.unacked().is_empty());
    }

    #[test]
    fn a_settlement_that_a_fault_loses_settles_nothing() {
        let (queue, mut tracker) = (Name::new("q"), Tracker::default());
        let released = |n, event, fate| {
            let fault = "lose".into();
            unlinked(n, Step::Released { fault, event, fate })
        };
        tracker.take(&deliver(1, "analyzer", 1, "7"));
        tracker.take(&event(2, "analyzer", Step::Ack { covers: covers(1) }));
        tracker.take(&released(3, 2, Fate::Dropped));
        assert!(!tracker.is_settled(&queue, &Key::new("7")));
        assert_eq!(tracker.unacked(), [(queue.clone(), Some(Key::new("7")))]);
        tracker.take(&event(4, "analyzer", Step::Ack { covers: covers(1) }));
        tracker.take(&released(5, 4, Fate::Forwarded));
        assert!(tracker.is_settled(&queue, &Key::new("7")));
        assert!(tracker.unacked().is_empty());
    }

    #[test]
    fn a_delivery_behind_the_close_of_its_channel_is_the_brokers_again() {
        let mut tracker = Tracker::default();
        let closed = Step::ChannelClosed {
            by: Side::Server,
            code: 406,
            text: String::new(),
        };
        tracker.take(&deliver(1, "analyzer", 1, "7"));
        tracker.take(&event(2, "analyzer", closed));
        tracker.take(&deliver(3, "analyzer", 2, "8"));
        assert!(tracker.unacked().is_empty());
        tracker.take(&event(4, "analyzer", Step::ChannelOpened));
        tracker.take(&deliver(5, "analyzer", 1, "8"));
        assert_eq!(tracker.unacked().len(), 1);
    }

    #[test]
    fn nothing_stands_still_while_a_fault_is_in_force() {
        let mut tracker = Tracker::default();
        let fault = |n, change| {
            let id = "kill".into();
            event(n, "harness", Step::Fault { id, change })
        };
        tracker.take(&deliver(1, "analyzer", 1, "7"));
        tracker.take(&fault(2, FaultChange::Armed));
        assert_eq!(tracker.still_since(), Some(2), "an armed fault disturbs nobody");
        tracker.take(&fault(3, FaultChange::Fired { by: 1 }));
        assert_eq!(tracker.still_since(), None);
        let proof = String::new();
        tracker.take(&fault(4, FaultChange::Healed { proof }));
        assert_eq!(tracker.still_since(), Some(4));
        tracker.take(&deliver(5, "analyzer", 2, "8"));
        assert_eq!(tracker.still_since(), Some(5));
        let to = Backend::Broker;
        tracker.take(&event(6, "analyzer", Step::Connect { to }));
        assert_eq!(
            tracker.still_since(),
            Some(5),
            "a connection alone moves no message"
        );
    }

    #[test]
    fn what_the_harness_does_is_not_a_move() {
        let mut tracker = Tracker::default();
        tracker.take(&deliver(1, "harness", 1, "7"));
        assert_eq!(
            (tracker.moves(), tracker.unacked().len(), tracker.seen()),
            (0, 0, 1)
        );
    }
}
