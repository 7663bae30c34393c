//! `at-rest`: when a trial is over nothing is left in flight.
//!
//! Work queues that a service consumes, and their retry queues, are empty by two readings that agree, no consumer with an
//! open connection still owes an acknowledgement, no service has a transaction open in which it has written something
//! (its locks would hold up others), and none has more consumers than before or has left a channel or connection behind.
//! Dead-letter queues are `dlq-exact`'s.

mod consumers;

use std::collections::BTreeMap;

use crate::event::{Event, Fate, Step};
use crate::verdict::{Finding, Kind};

use super::case::{Case, DATABASE, HARNESS, is_end};
use super::story;

/// The rule's name.
pub(super) const ID: &str = "at-rest";

/// So old is what was written in a transaction that counts as left open, in nanoseconds; a younger one may be about what a
/// service notes down after its work.
const OPEN: u64 = 1_000_000_000;

/// Server error code: a deadlock, for which the server has rolled the whole transaction back.
const DEADLOCK: u16 = 1213;

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = transactions(case);
    findings.extend(consumers::left_over(case));
    for (role, queue) in &case.topology().queues {
        if case.topology().consumer_of(role).is_none() {
            continue;
        }
        let retry = queue.retry.as_ref().map(|retry| (&retry.queue, "retry queue of"));
        for (name, of) in [(&queue.name, "queue")].into_iter().chain(retry) {
            let Some(state) = case.end().queues.get(name) else {
                continue;
            };
            if state.ready > 0 {
                let ready = story::counted(state.ready, "message");
                findings.push(fail(format!(
                    "{of} {role} ({name}) still holds {ready} at the end"
                )));
            }
            if !state.stable {
                findings.push(fail(format!(
                    "{of} {role} ({name}) never came to rest: two readings differ"
                )));
            }
        }
    }
    let services = case
        .deliveries
        .iter()
        .filter(|delivery| delivery.svc.is_some_and(|svc| *svc != HARNESS));
    for delivery in services.filter(|delivery| delivery.outstanding()) {
        let Some(queue) = delivery.queue else { continue };
        let name = delivery
            .message
            .key
            .as_ref()
            .map_or("a message".into(), |key| story::name(case, key));
        let (mut outcome, events) = story::outcome(case, delivery);
        if case.fate(delivery.n) == Some(Fate::Dropped) {
            outcome = "its delivery was dropped on the way".into();
        }
        let what = format!(
            "{name}: delivered to {} (queue {queue}) at #{} and still outstanding on an open connection: {outcome}",
            delivery.svc.map_or("somebody", |svc| svc),
            delivery.n
        );
        let keys = delivery.message.key.clone();
        findings.push(
            fail(what)
                .about(keys)
                .shown_by([delivery.n].into_iter().chain(events)),
        );
    }
    findings
}

/// Transactions of services in which something was written, and which were neither committed nor rolled back.
fn transactions(case: &Case<'_>) -> Vec<Finding> {
    // By connection, the first write of the transaction that is open on it.
    let mut open: BTreeMap<u32, &Event> = BTreeMap::new();
    let mut end = 0;
    for event in case.events() {
        end = event.at;
        if matches!(&event.step, Step::Container { name, change, .. } if *name == DATABASE && is_end(change))
        {
            open.clear();
        }
        let (Some(conn), Some(svc)) = (event.conn, &event.svc) else {
            continue;
        };
        match &event.step {
            Step::DbOk {
                verb, in_tx: true, ..
            } if verb.is_write() && *svc != HARNESS => {
                open.entry(conn).or_insert(event);
            }
            Step::DbOk { in_tx: false, .. }
            | Step::DbErr { code: DEADLOCK, .. }
            | Step::Disconnect { .. }
            | Step::Opaque { .. } => drop(open.remove(&conn)),
            _ => {}
        }
    }
    let over = case
        .all()
        .iter()
        .find(|event| event.at > end)
        .map_or(end, |event| event.at);
    open.into_values()
        .filter(|event| over.saturating_sub(event.at) >= OPEN)
        .map(|event| {
            let svc = event.svc.as_ref().map_or("somebody", |svc| svc);
            fail(format!(
                "{svc} has a transaction open in which it has written at #{}, and neither commits it nor rolls it back",
                event.n
            ))
            .shown_by([event.n])
        })
        .collect()
}

fn fail(what: String) -> Finding {
    Finding::new(Kind::Fail, ID, what)
}
