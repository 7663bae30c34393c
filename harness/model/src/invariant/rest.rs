//! `at-rest`: when a trial is over nothing is left in flight.
//!
//! Work queues that a service consumes, and their retry queues, are empty by two readings that agree, and no consumer
//! with an open connection still owes an acknowledgement. Dead-letter queues are `dlq-exact`'s.

use crate::event::Fate;
use crate::verdict::{Finding, Kind};

use super::case::{Case, HARNESS};
use super::story;

/// The rule's name.
pub(super) const ID: &str = "at-rest";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
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

fn fail(what: String) -> Finding {
    Finding::new(Kind::Fail, ID, what)
}
