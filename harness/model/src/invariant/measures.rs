//! Numbers about a trial that are kept whatever the verdict, so that runs can be compared.

use std::collections::BTreeMap;

use crate::event::{Backend, Event, Step};
use crate::fault::{FaultKind, Target};
use crate::name::Name;

use super::case::{Case, HARNESS, Outage};
use super::duplicates;

/// What can be counted or timed in any trial; a time that was not taken is absent.
///
/// | name | means |
/// |---|---|
/// | `events` | events of the ledger |
/// | `deliveries` | deliveries from work queues to services |
/// | `duplicates_explained`, `duplicates_unexplained` | those of them that were not the first of their message from that queue, with a cause in the ledger and without |
/// | `retries` | messages that services published again to the queue that they came from |
/// | `dead_letters` | messages in dead-letter queues at the end |
/// | `recovery_ms` | from the last healing to the last effect of the canary, or the longest such time if there are several |
/// | `detection_ms` | from a fault's effect to the first sign that a service has noticed: a dial, or an unhealthy answer; the longest such time of any fault and service |
pub fn measures(case: &Case<'_>) -> BTreeMap<String, u64> {
    let mut measures: BTreeMap<String, u64> = BTreeMap::new();
    let mut keep = |name: &str, number: u64| {
        measures.insert(name.to_owned(), number);
    };
    let delivered = case
        .deliveries
        .iter()
        .filter(|delivery| delivery.queue.is_some() && delivery.svc.is_some_and(|svc| *svc != HARNESS));
    let retried = case.publishes.iter().filter(|publish| {
        !publish.by_harness() && publish.queues.iter().any(|queue| case.is_retry(queue, publish))
    });
    let (explained, unexplained) = duplicates::count(case);
    let dead = case.end().dead.values().map(Vec::len).sum::<usize>();
    keep("events", case.all().len() as u64);
    keep("deliveries", delivered.count() as u64);
    keep("duplicates_explained", explained);
    keep("duplicates_unexplained", unexplained);
    keep("retries", retried.count() as u64);
    keep("dead_letters", dead as u64);
    let recovery = case.events().filter_map(|event| match event.step {
        Step::Recovered { ms, .. } => Some(ms),
        _ => None,
    });
    if let Some(ms) = recovery.max() {
        keep("recovery_ms", ms);
    }
    if let Some(ms) = detection(case) {
        keep("detection_ms", ms);
    }
    measures
}

fn detection(case: &Case<'_>) -> Option<u64> {
    let services = || case.topology().services.keys();
    let times = case.outages().iter().flat_map(|outage| {
        services()
            .filter(|service| outage.touches(case.topology(), service) && !outage.aims_at(service))
            .filter_map(|service| {
                let noticed = case
                    .events()
                    .find(|event| notices(case, outage, service, event))?;
                Some(noticed.at.saturating_sub(outage.bitten?.at) / 1_000_000)
            })
    });
    times.max()
}

/// The event shows that a service has noticed a fault: after it has begun and before it is healed.
fn notices(case: &Case<'_>, outage: &Outage<'_>, service: &Name, event: &Event) -> bool {
    if event.svc.as_ref() != Some(service) || event.n < outage.from.n || !outage.overlaps(event.n, event.n) {
        return false;
    }
    match &event.step {
        Step::Connect { to } | Step::DialFailed { to, .. } => Some(*to) == concerned(outage.what),
        Step::Health { status, broker } => case
            .topology()
            .service(service)
            .is_some_and(|described| *status != described.health.status || *broker == Some(false)),
        _ => false,
    }
}

/// The backend that a service dials again when it has noticed the fault.
fn concerned(what: Option<&FaultKind>) -> Option<Backend> {
    match what? {
        FaultKind::Kill { target } | FaultKind::Restart { target } | FaultKind::Pause { target } => {
            match target {
                Target::Broker => Some(Backend::Broker),
                Target::Database => Some(Backend::Database),
                Target::Service(_) => None,
            }
        }
        FaultKind::CutLink { backend, .. } | FaultKind::ShapeLink { backend, .. } => Some(*backend),
        FaultKind::CloseConnections => Some(Backend::Broker),
        _ => None,
    }
}
