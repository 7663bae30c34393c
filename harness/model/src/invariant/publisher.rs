//! `publisher-honest`: what a service publishes because of a message is safe before it acknowledges that message.
//!
//! Between a delivery and its acknowledgement a service may publish the report's event, or the message itself for a
//! retry. When it acknowledges, the broker must have confirmed what was published, the confirm must have come to the
//! service (one that a fault still held has not), and it must not have been given back as unroutable. A publish that
//! failed and was repeated counts as safe if one of its repetitions is; so does one whose message was then handed over
//! to the retry queue or to the dead letters in a way that is safe. A service that never asks for confirms cannot know,
//! and so breaks the rule with its first acknowledgement.
//!
//! Not judged: what is published after the acknowledgement, because its cause cannot be told (`ack-after-effect` looks at
//! effects, `no-loss` and `atomic` at what is missing); places that the topology does not name; and messages of which
//! the service may have had two copies in its hands, for then nobody can tell which copy a publish belongs to.

use std::collections::BTreeMap;

use crate::event::Step;
use crate::name::{Key, Name};
use crate::verdict::{Finding, Kind};

use super::case::{Case, Delivered, How, Published, is_end, is_instance};
use super::{fidelity, story};

/// The rule's name.
pub(super) const ID: &str = "publisher-honest";

/// What services published, by service and key, in order.
type Sent<'c, 'a> = BTreeMap<(&'a Name, &'a Key), Vec<&'c Published<'a>>>;

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut sent: Sent<'_, '_> = BTreeMap::new();
    for publish in case.publishes.iter().filter(|publish| ours(case, publish)) {
        if let (Some(svc), Some(key)) = (publish.svc, &publish.message.key) {
            sent.entry((svc, key)).or_default().push(publish);
        }
    }
    let mut findings = Vec::new();
    for (queue, key) in case.pairs() {
        for delivery in case.deliveries_from(queue, key).filter(|delivery| !delivery.auto) {
            findings.extend(acknowledged(case, &sent, queue, key, delivery));
        }
    }
    findings
}

/// A service published it to a place that the topology names.
fn ours(case: &Case<'_>, publish: &Published<'_>) -> bool {
    let event = case.topology().event.as_ref();
    !publish.by_harness()
        && (!publish.queues.is_empty() || event.is_some_and(|event| fidelity::is_event(case, event, publish)))
}

fn acknowledged(
    case: &Case<'_>,
    sent: &Sent<'_, '_>,
    queue: &Name,
    key: &Key,
    delivery: &Delivered<'_>,
) -> Option<Finding> {
    let service = delivery.svc?;
    let ack = delivery.settled.filter(|settled| settled.how == How::Ack)?.n;
    let sent = sent.get(&(service, key))?;
    let meanwhile: Vec<_> = sent
        .iter()
        .filter(|publish| (delivery.n..ack).contains(&publish.n))
        .collect();
    let safe = |publish: &Published<'_>| {
        publish.promised() && publish.answered.is_some_and(|answered| answered < ack)
    };
    // In order of their first publish.
    let mut places: Vec<(&str, &str)> = Vec::new();
    for publish in &meanwhile {
        let place = place(publish);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let unsafe_at = |wanted: &(&str, &str)| {
        let mut there = meanwhile.iter().filter(|publish| place(publish) == *wanted);
        let last = there.clone().next_back()?;
        (!there.any(|publish| safe(publish))).then_some(*last)
    };
    let publish = places.iter().find_map(unsafe_at)?;
    if meanwhile
        .iter()
        .any(|publish| case.is_retry(queue, publish) && safe(publish))
        || buried(case, queue, key, delivery, ack)
        || shared(case, service, key, delivery, ack)
    {
        return None;
    }
    let (why, n) = match (publish.tag, publish.returned, publish.confirm) {
        (0, ..) => ("and it had asked for no confirms".into(), publish.n),
        (_, Some(n), _) => (format!("and it was returned as unroutable at #{n}"), n),
        (_, _, Some((n, false))) => (format!("and the broker refused it at #{n}"), n),
        (_, _, Some((n, true))) => match publish.answered.filter(|answered| *answered != n) {
            Some(answered) => (
                format!("and its confirm (#{n}) came to the service only at #{answered}"),
                answered,
            ),
            None => (format!("and it was confirmed only at #{n}"), n),
        },
        (_, None, None) => ("and it was never confirmed".into(), publish.n),
    };
    let (exchange, routing_key) = place(publish);
    let what = format!(
        "{}: {service} acknowledged it at #{ack}, delivered at #{}; because of it it had published to exchange \
         \"{exchange}\" with key {routing_key} at #{}, {why}",
        story::name(case, key),
        delivery.n,
        publish.n
    );
    Some(
        Finding::new(Kind::Fail, ID, what).about([key.clone()]).shown_by(
            [delivery.n, publish.n]
                .into_iter()
                .chain((n != publish.n).then_some(n))
                .chain([ack]),
        ),
    )
}

fn place<'a>(publish: &Published<'a>) -> (&'a str, &'a str) {
    (&publish.message.exchange, &publish.message.routing_key)
}

/// The service itself has put the message safely among the dead letters of the queue.
fn buried(case: &Case<'_>, queue: &Name, key: &Key, delivery: &Delivered<'_>, ack: u64) -> bool {
    let topology = case.topology();
    let Some(dead) = topology.queue(queue).and_then(|queue| queue.dead_letter.as_ref()) else {
        return false;
    };
    let exchange = topology.exchanges.get(&dead.exchange);
    case.publishes.iter().any(|publish| {
        let (to, routing_key) = place(publish);
        publish.svc == delivery.svc
            && publish.message.key.as_ref() == Some(key)
            && (delivery.n..ack).contains(&publish.n)
            && (exchange.is_some_and(|exchange| exchange.name == to)
                || (to.is_empty() && dead.queue == routing_key))
            && publish.promised()
            && publish.answered.is_some_and(|answered| answered < ack)
    })
}

/// The service may have had another copy in its hands between this delivery and its acknowledgement.
///
/// It has it until it settles it; what it loses with a channel it may still work on, as long as its process lives.
fn shared(case: &Case<'_>, service: &Name, key: &Key, delivery: &Delivered<'_>, ack: u64) -> bool {
    let same = |other: &&Delivered<'_>| {
        other.svc == Some(service)
            && other.message.key.as_ref() == Some(key)
            && other.n != delivery.n
            && other.n < ack
    };
    case.deliveries.iter().filter(same).any(|other| {
        let settled = other.settled.is_some_and(|settled| settled.n < delivery.n);
        let forgotten = || other.n < delivery.n && ended_between(case, service, other.n, delivery.n);
        !settled && !forgotten()
    })
}

/// The one process of the service has ended between these events.
fn ended_between(case: &Case<'_>, service: &Name, from: u64, to: u64) -> bool {
    let single = case
        .topology()
        .service(service)
        .is_some_and(|service| service.instances == 1);
    single
        && case.events().any(|event| {
            (from..to).contains(&event.n)
                && matches!(&event.step, Step::Container { name, change, .. }
                    if is_instance(name, service) && is_end(change))
        })
}
