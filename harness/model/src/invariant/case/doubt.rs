//! What nobody knows for certain: what the broker has read, what it has forgotten, and what may be back in its queue.

use crate::name::{Key, Name};

use super::{Case, Delivered, End, How, SLACK, Settled};

/// A broker that nothing disturbs has read what was sent to it after this long, in nanoseconds. It takes milliseconds; the
/// rest is for a machine that is busy with other things.
const READ: u64 = 5_000_000_000;

impl Case<'_> {
    /// Most copies of this message that this work queue may have had to go through all of its retries with: those that
    /// were published, those that went back against the consumer's will, and those that a retry may have doubled
    /// because nobody knows whether it was taken.
    pub(in crate::invariant) fn copies(&self, queue: &Name, key: &Key) -> u64 {
        let returned = self
            .deliveries_from(queue, key)
            .filter(|delivery| self.back_from(delivery).is_some() && !self.put_back(delivery));
        let doubled: usize = self
            .publishes_to(queue, key)
            .filter(|publish| self.is_retry(queue, publish))
            .map(|publish| self.kills_after(publish.n).count() + usize::from(!publish.promised()))
            .sum();
        self.published(queue, key) + returned.count() as u64 + doubled as u64
    }

    /// The consumer has put it back by its own choice: with a negative acknowledgement, or by closing the channel with the
    /// delivery on it, and has gone on consuming on that connection. A service that stops gives back what it has not
    /// begun, and is not meant.
    pub(in crate::invariant) fn put_back(&self, delivery: &Delivered<'_>) -> bool {
        let when = match (delivery.settled, delivery.end) {
            (Some(settled), _) if settled.how == How::Requeue && settled.arrived => settled.n,
            (None, Some(end)) if end.orderly => end.n,
            _ => return false,
        };
        // They are in order, and a hot loop makes many of them.
        let after = self.deliveries.partition_point(|other| other.n <= when);
        self.deliveries[after..]
            .iter()
            .any(|other| other.channel.0 == delivery.channel.0)
    }

    /// The time from which the message of this delivery may be back in its queue, if it may be at all.
    ///
    /// It is put back when the consumer asks for it, and when the channel ends before the broker has taken the
    /// settlement; and the broker itself may have forgotten the settlement.
    pub(in crate::invariant) fn back_from(&self, delivery: &Delivered<'_>) -> Option<u64> {
        let requeued = delivery
            .settled
            .filter(|settled| settled.how == How::Requeue && settled.arrived);
        let taken = |settled: Settled, end: &End| {
            settled.taken
                || (settled.arrived
                    && settled.n < end.n
                    && (end.orderly || self.read(delivery, settled, end)))
        };
        let broken = delivery
            .end
            .filter(|end| delivery.settled.is_none_or(|settled| !taken(settled, end)));
        requeued
            .map(|settled| settled.at)
            .into_iter()
            .chain(broken.map(|end| end.at.saturating_sub(SLACK).max(delivery.at + 1)))
            .chain(self.forgotten(delivery))
            .min()
    }

    /// The broker had time enough to read a settlement before the end of its channel: nothing was wrong for so long.
    fn read(&self, delivery: &Delivered<'_>, settled: Settled, end: &End) -> bool {
        let passed = settled.passed;
        let Some(service) = delivery
            .svc
            .filter(|_| !self.blocked.contains(&delivery.channel.0))
        else {
            return false;
        };
        let touching = || self.touching(service);
        let wrong = touching().map(|outage| outage.from).filter(|from| *from > passed);
        let until = wrong.map(|from| from.at).chain([end.at]).min().unwrap_or(end.at);
        !touching().any(|outage| outage.overlaps(passed.n, passed.n))
            && until.saturating_sub(passed.at) >= READ
    }

    /// The time of the kill at which the broker may have forgotten that this delivery was settled.
    ///
    /// Classic queues forget what was settled since they last were idle before a SIGKILL; quorum queues nothing.
    pub(in crate::invariant) fn forgotten(&self, delivery: &Delivered<'_>) -> Option<u64> {
        let settled = delivery.settled?;
        let kills = self.forgotten.get(delivery.queue?)?;
        kills
            .iter()
            .find(|(from, to, _)| (*from..=*to).contains(&settled.n))
            .map(|(_, _, at)| *at)
    }

    /// Times at which the broker was killed after event `n`, by which it may have forgotten that a message it held back
    /// for a retry has left the retry queue.
    pub(in crate::invariant) fn kills_after(&self, n: u64) -> impl Iterator<Item = u64> {
        self.kills
            .iter()
            .filter(move |kill| **kill > n)
            .filter_map(|kill| self.event(*kill))
            .map(|event| event.at)
    }
}
