//! `retries-bounded` and `sibling-isolation`: a retry is counted, comes late, ends, and stays on its own queue.
//!
//! A consumer retries by publishing the message again, with its counter raised, to the retry queue of the queue that
//! it consumes. What it must not do is told by what it publishes and by what is delivered; which messages deserve a
//! retry is not judged here, nor that the last one ends in the dead-letter queue: that is `dlq-exact`.

use std::collections::BTreeSet;

use crate::name::{Key, Name};
use crate::verdict::{Finding, Kind};

use super::case::{Case, Delivered, Published};
use super::story;

/// The rule about what a retry does to its own queue.
pub(super) const BOUNDED: &str = "retries-bounded";

/// The rule about what it does to others.
pub(super) const ISOLATION: &str = "sibling-isolation";

/// A broker's timers are exact to a millisecond; this many nanoseconds may a message come early.
const EARLY: u64 = 20_000_000;

/// Judges `retries-bounded`.
///
/// The counter never exceeds the declared number of retries and rises with each one; no retry is delivered before the
/// retry queue's time is over; and there are at most `max_retries + 1` deliveries of each copy. A delivery that went
/// back against the consumer's will counts as one more copy, because it may be retried from its beginning again.
pub(super) fn bounded(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (queue, key) in case.pairs() {
        findings.extend(too_many_retries(case, queue, key));
        findings.extend(not_counted(case, queue, key));
        findings.extend(too_soon(case, queue, key));
        findings.extend(too_many_deliveries(case, queue, key));
    }
    findings
}

fn fail(
    case: &Case<'_>,
    rule: &str,
    key: &Key,
    what: &str,
    events: impl IntoIterator<Item = u64>,
) -> Finding {
    let what = format!("{}: {what}", story::name(case, key));
    Finding::new(Kind::Fail, rule, what)
        .about([key.clone()])
        .shown_by(events)
}

fn retries<'a, 'c>(
    case: &'c Case<'a>,
    queue: &'c Name,
    key: &'c Key,
) -> impl DoubleEndedIterator<Item = &'c Published<'a>> {
    case.publishes_to(queue, key)
        .filter(move |publish| case.by_consumer(queue, publish))
}

fn too_many_retries(case: &Case<'_>, queue: &Name, key: &Key) -> Option<Finding> {
    let (service, consumer) = case.topology().consumer_of(queue)?;
    let most = i64::from(consumer.max_retries);
    let publish = retries(case, queue, key).find(|publish| publish.retry() > most)?;
    let what = format!(
        "{service} published it for retry {} at #{}; after {most} it belongs into the dead-letter queue of {queue}",
        publish.retry(),
        publish.n
    );
    Some(fail(case, BOUNDED, key, &what, [publish.n]))
}

fn not_counted(case: &Case<'_>, queue: &Name, key: &Key) -> Option<Finding> {
    retries(case, queue, key).find_map(|publish| {
        let before: Vec<_> = case
            .deliveries_from(queue, key)
            .filter(|delivery| delivery.n < publish.n && delivery.svc == publish.svc)
            .collect();
        // Several copies may be in the service's hands; any of them may be the one that is retried.
        let open = before.iter().filter(|delivery| delivery.settled.is_none_or(|settled| settled.n > publish.n));
        let least = open.map(|delivery| delivery.retry()).min().or_else(|| Some(before.last()?.retry()))?;
        (publish.retry() <= least).then(|| {
            let what = format!(
                "{} retried it at #{} with count {}, and it was delivered with count {least}; the count must rise",
                publish.svc.map_or("somebody", |svc| svc),
                publish.n,
                publish.retry()
            );
            fail(case, BOUNDED, key, &what, [publish.n])
        })
    })
}

fn too_soon(case: &Case<'_>, queue: &Name, key: &Key) -> Option<Finding> {
    let ttl = case.topology().queue(queue)?.retry.as_ref()?.ttl_ms;
    case.deliveries_from(queue, key).filter(|delivery| delivery.retry() > 0).find_map(|delivery| {
        let same = |publish: &&Published<'_>| publish.retry() == delivery.retry() && publish.n < delivery.n;
        // Not a retry, if somebody else sent it with this count in the first place.
        if case.publishes_to(queue, key).any(|publish| same(&publish) && !case.by_consumer(queue, publish)) {
            return None;
        }
        let publish = retries(case, queue, key).find(same)?;
        let gap = delivery.at.saturating_sub(publish.at);
        (gap.saturating_add(EARLY) < ttl.saturating_mul(1_000_000)).then(|| {
            let what = format!(
                "retry {} came back from {queue} at #{} only {} ms after it was published at #{}; {ttl} ms are declared",
                delivery.retry(),
                delivery.n,
                gap / 1_000_000,
                publish.n
            );
            fail(case, BOUNDED, key, &what, [publish.n, delivery.n])
        })
    })
}

fn too_many_deliveries(case: &Case<'_>, queue: &Name, key: &Key) -> Option<Finding> {
    let (service, consumer) = case.topology().consumer_of(queue)?;
    let deliveries: Vec<_> = case.deliveries_from(queue, key).collect();
    let copies = case.copies(queue, key).max(1);
    let most = copies * (u64::from(consumer.max_retries) + 1);
    if deliveries.len() as u64 <= most {
        return None;
    }
    let requeued = deliveries.iter().filter(|delivery| case.put_back(delivery));
    let what = format!(
        "delivered to {service} {} times, and put back by it at once {} times; {} retries of {} allow {most}",
        deliveries.len(),
        requeued.count(),
        consumer.max_retries,
        if copies == 1 {
            "one copy".to_owned()
        } else {
            format!("{copies} copies or redeliveries")
        }
    );
    let over = usize::try_from(most)
        .ok()
        .and_then(|most| deliveries.get(most))
        .map(|delivery| delivery.n);
    Some(fail(case, BOUNDED, key, &what, over))
}

/// Judges `sibling-isolation`.
///
/// Whatever is delivered with a retry counter was published to that very queue by its own consumer, or sent with the
/// counter by the harness, and is not delivered more often than that if somebody else has published it with the same
/// count; and no service sends a retry to queues that it does not consume.
pub(super) fn isolation(case: &Case<'_>) -> Vec<Finding> {
    case.pairs()
        .filter_map(|(queue, key)| strayed(case, queue, key).or_else(|| mingled(case, queue, key)))
        .collect()
}

/// A delivery with a count that nobody published to this queue.
fn strayed(case: &Case<'_>, queue: &Name, key: &Key) -> Option<Finding> {
    let mut retried = case
        .deliveries_from(queue, key)
        .filter(|delivery| delivery.retry() > 0);
    let delivery = retried.find(|delivery| {
        !case.publishes_to(queue, key).any(|publish| {
            publish.n < delivery.n
                && publish.retry() == delivery.retry()
                && (publish.by_harness() || case.by_consumer(queue, publish))
        })
    })?;
    let origin = case.publishes.iter().rev().find(|publish| {
        publish.n < delivery.n
            && publish.message.key.as_ref() == Some(key)
            && publish.retry() == delivery.retry()
    });
    let (from, event) = match origin {
        Some(publish) => {
            let svc = publish.svc.map_or("somebody", |svc| svc);
            (format!("it is {svc}'s, of #{}", publish.n), Some(publish.n))
        }
        None => ("nobody in the ledger published it".into(), None),
    };
    let what = format!(
        "delivered to {} (queue {queue}) at #{} with retry count {}, but this is no retry of that queue: {from}",
        story::consumer(case, queue),
        delivery.n,
        delivery.retry()
    );
    let shown = event.into_iter().chain([delivery.n]);
    Some(fail(case, ISOLATION, key, &what, shown))
}

/// More deliveries with a count than were published to this queue or went back to it, where a sibling has published the
/// same message with the same count.
fn mingled(case: &Case<'_>, queue: &Name, key: &Key) -> Option<Finding> {
    let counts: BTreeSet<_> = case
        .deliveries_from(queue, key)
        .map(Delivered::retry)
        .filter(|count| *count > 0)
        .collect();
    counts.into_iter().find_map(|count| {
        let deliveries: Vec<_> = case
            .deliveries_from(queue, key)
            .filter(|delivery| delivery.retry() == count)
            .collect();
        let published: usize = case
            .publishes_to(queue, key)
            .filter(|publish| publish.retry() == count && !sent_by_sibling(case, queue, publish))
            .map(|publish| {
                let again = if publish.waits { case.kills_after(publish.n).count() } else { 0 };
                publish.reached as usize + again
            })
            .sum();
        let back = deliveries
            .iter()
            .filter(|delivery| case.back_from(delivery).is_some())
            .count();
        let extra = deliveries.get(published + back)?;
        let sibling = case.publishes.iter().find(|publish| {
            publish.n < extra.n
                && publish.message.key.as_ref() == Some(key)
                && publish.retry() == count
                && sent_by_sibling(case, queue, publish)
        })?;
        let what = format!(
            "delivered to {} (queue {queue}) {} times with retry count {count}, too often at #{}: what was published to that \
             queue explains {}, and {} has published the same retry at #{}",
            story::consumer(case, queue),
            deliveries.len(),
            extra.n,
            published + back,
            sibling.svc.map_or("somebody", |svc| svc),
            sibling.n
        );
        Some(fail(case, ISOLATION, key, &what, [sibling.n, extra.n]))
    })
}

fn sent_by_sibling(case: &Case<'_>, queue: &Name, publish: &Published<'_>) -> bool {
    !publish.by_harness() && !case.by_consumer(queue, publish)
}
