//! What one channel remembers: what was published and not confirmed, delivered and not settled, and who consumes what.

use std::collections::{BTreeMap, VecDeque};

use harness_model::event::Covered;
use harness_model::name::{Key, Name};

use super::content::Content;
use crate::codec::Direction;
use crate::in_flight::InFlight;

/// One channel of a connection.
#[derive(Debug, Default)]
pub(super) struct Channel {
    /// Publishes in confirm mode so far; `None` without confirms.
    published: Option<u64>,
    unconfirmed: BTreeMap<u64, Option<Key>>,
    unsettled: BTreeMap<u64, Delivered>,
    /// Consumers by tag.
    consumers: BTreeMap<Name, Source>,
    /// Asked for and not yet granted, in order: the broker answers a channel's requests in order.
    pub(super) consuming: VecDeque<Source>,
    pub(super) getting: VecDeque<Source>,
    /// Declares whose answer is not here yet; of those without a name, what the answer is to tell.
    pub(super) declaring: VecDeque<Option<Declared>>,
    /// The queue that an empty name stands for.
    pub(super) last_queue: Option<Name>,
    /// `channel.close` was sent: what is still delivered is not tracked.
    closing: bool,
    publishing: Option<Content>,
    delivering: Option<Content>,
}

/// Where deliveries come from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) queue: Name,
    pub(super) no_ack: bool,
}

/// A declare of a queue whose name the broker chooses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared {
    pub(super) durable: bool,
    pub(super) passive: bool,
}

#[derive(Debug)]
struct Delivered {
    key: Option<Key>,
    queue: Option<Name>,
    /// The service has it in hand. Not any more, if it has settled it and the broker was not told.
    in_hand: bool,
}

impl Delivered {
    /// It is not open any more.
    fn release(self, shared: &InFlight) -> (Option<Key>, Option<Name>) {
        if let Some(key) = self.key.as_ref().filter(|_| self.in_hand) {
            shared.remove(key);
        }
        (self.key, self.queue)
    }
}

impl Channel {
    pub(super) fn select_confirms(&mut self) {
        self.published.get_or_insert(0);
    }

    /// Counts a publish; 0 without confirms.
    pub(super) fn published(&mut self, key: Option<&Key>) -> u64 {
        let Some(published) = &mut self.published else {
            return 0;
        };
        *published += 1;
        self.unconfirmed.insert(*published, key.cloned());
        *published
    }

    /// The publishes that a confirm covers.
    pub(super) fn confirmed(&mut self, tag: u64, multiple: bool) -> Vec<Covered> {
        take(&mut self.unconfirmed, tag, multiple, |tag, key| Covered {
            tag,
            key: key.flatten(),
            queue: None,
        })
    }

    /// The queue that `name` stands for.
    pub(super) fn queue(&self, name: &str) -> Name {
        match &self.last_queue {
            Some(last) if name.is_empty() => last.clone(),
            _ => Name::new(name),
        }
    }

    pub(super) fn consumes(&mut self, consumer: Name, source: Source) {
        self.consumers.insert(consumer, source);
    }

    /// The consumer of that tag, and what it consumes if that is known.
    pub(super) fn consumer(&self, tag: &str) -> (Name, Option<Source>) {
        match self.consumers.get_key_value(tag) {
            Some((consumer, source)) => (consumer.clone(), Some(source.clone())),
            None => (Name::new(tag), None),
        }
    }

    pub(super) fn cancelled(&mut self, tag: &str) {
        self.consumers.remove(tag);
    }

    /// The content that is not complete in one direction.
    pub(super) fn pending(&mut self, direction: Direction) -> &mut Option<Content> {
        match direction {
            Direction::ToServer => &mut self.publishing,
            Direction::ToClient => &mut self.delivering,
        }
    }

    /// Remembers a delivery until it is settled.
    pub(super) fn delivered(&mut self, tag: u64, key: Option<&Key>, queue: Option<&Name>, shared: &InFlight) {
        if self.closing {
            return;
        }
        if let Some(key) = key {
            shared.add(key);
        }
        let delivered = Delivered {
            key: key.cloned(),
            queue: queue.cloned(),
            in_hand: true,
        };
        if let Some(before) = self.unsettled.insert(tag, delivered) {
            before.release(shared);
        }
    }

    /// The deliveries that an ack, nack or reject covers.
    pub(super) fn settled(&mut self, tag: u64, multiple: bool, shared: &InFlight) -> Vec<Covered> {
        take(&mut self.unsettled, tag, multiple, |tag, delivered| {
            let (key, queue) = delivered.map_or((None, None), |delivered| delivered.release(shared));
            Covered { tag, key, queue }
        })
    }

    /// What was settled towards `direction` is open after all, because that was lost on the way.
    pub(super) fn reopen(&mut self, direction: Direction, covers: Vec<Covered>) {
        if self.closing {
            return;
        }
        for Covered { tag, key, queue } in covers {
            match direction {
                Direction::ToServer => {
                    let delivered = Delivered {
                        key,
                        queue,
                        in_hand: false,
                    };
                    self.unsettled.entry(tag).or_insert(delivered);
                }
                Direction::ToClient if self.published.is_some_and(|published| tag <= published) => {
                    self.unconfirmed.entry(tag).or_insert(key);
                }
                Direction::ToClient => {}
            }
        }
    }

    /// The channel was closed by one side: what was delivered goes back to its queue.
    pub(super) fn close(&mut self, shared: &InFlight) {
        self.settled(0, true, shared);
        self.closing = true;
    }

    /// Both sides have closed: the number may be used for a new channel. Contents that will never be whole are kept for
    /// their bytes.
    pub(super) fn closed(&mut self, shared: &InFlight) {
        self.close(shared);
        let (publishing, delivering) = (self.publishing.take(), self.delivering.take());
        *self = Self {
            publishing,
            delivering,
            ..Self::default()
        };
    }
}

/// Takes `tag` out of `map`, or everything up to it; 0 with `multiple` means everything. A single tag that is not there
/// is given without a value: whoever sent it meant something by it.
fn take<V>(
    map: &mut BTreeMap<u64, V>,
    tag: u64,
    multiple: bool,
    mut covered: impl FnMut(u64, Option<V>) -> Covered,
) -> Vec<Covered> {
    if !multiple {
        return vec![covered(tag, map.remove(&tag))];
    }
    let later = match tag.checked_add(1) {
        Some(next) if tag > 0 => map.split_off(&next),
        _ => BTreeMap::new(),
    };
    std::mem::replace(map, later)
        .into_iter()
        .map(|(tag, value)| covered(tag, Some(value)))
        .collect()
}
