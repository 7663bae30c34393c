//! `prefetch-bounded`: no consumer of a service ever holds more unacknowledged deliveries than the topology allows, and a
//! service works on as many at once as are declared, if it has them ([`super::concurrency`]).
//!
//! A tap sees an acknowledgement before the broker does, so what is outstanding here never exceeds what is outstanding
//! for the broker, and a service that sets its prefetch can never be wronged. Each consumer is counted by
//! itself, as the broker does: one that was cancelled, or whose connection is being replaced, owes its deliveries
//! beside the new one.

use std::collections::BTreeMap;

use crate::verdict::{Finding, Kind};

use super::case::{Case, HARNESS};
use super::concurrency;

/// The rule's name.
pub(super) const ID: &str = "prefetch-bounded";

/// Whose consumer it is, and by how much the outstanding deliveries change at which event.
type Consumer<'a> = (&'a str, BTreeMap<u64, i64>);

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    // +1 at each delivery, -1 at its settlement or at the end of its channel, whichever came first.
    let mut consumers: BTreeMap<_, Consumer<'_>> = BTreeMap::new();
    for delivery in case
        .deliveries
        .iter()
        .filter(|delivery| !delivery.auto && delivery.queue.is_some())
    {
        let Some(service) = delivery.svc.filter(|svc| **svc != HARNESS) else {
            continue;
        };
        let (_, steps) = consumers
            .entry((delivery.channel, delivery.consumer))
            .or_insert_with(|| (service, BTreeMap::new()));
        *steps.entry(delivery.n).or_default() += 1;
        let settled = delivery.settled.map(|settled| settled.n);
        let ended = delivery.end.map(|end| end.n);
        if let Some(n) = settled.into_iter().chain(ended).min() {
            *steps.entry(n).or_default() -= 1;
        }
    }
    let mut findings = Vec::new();
    for (((conn, chan), consumer), (service, steps)) in consumers {
        let bound = case
            .topology()
            .service(service)
            .map_or(0, |service| service.prefetch);
        if bound == 0 {
            continue;
        }
        let mut held = 0;
        let mut worst: Option<(u64, i64)> = None;
        for (n, change) in steps {
            held += change;
            if held > worst.map_or(i64::from(bound), |(_, most)| most) {
                worst = Some((n, held));
            }
        }
        if let Some((n, held)) = worst {
            let what = format!(
                "{service} holds {held} unacknowledged deliveries at #{n} on connection {conn}, channel {chan}; \
                 {bound} are declared"
            );
            let holds = case.deliveries.iter().filter(|delivery| {
                delivery.channel == (conn, chan)
                    && delivery.consumer == consumer
                    && !delivery.auto
                    && delivery.is_held_at(n)
            });
            let keys = holds.filter_map(|delivery| delivery.message.key.clone());
            findings.push(Finding::new(Kind::Fail, ID, what).about(keys).shown_by([n]));
        }
    }
    for (name, service) in &case.topology().services {
        findings.extend(concurrency::judge(case, name, service));
    }
    findings
}
