//! `ack-after-effect`: a report is acknowledged after its effect is durable, never before.
//!
//! Judged are services whose effect is in the database: analyses and tags. A tap writes the database's answer down
//! before the service can see it, so for a service that waits for its commit, commit and acknowledgement stand in this
//! order in the ledger. What is asked for is therefore: when a report that has the effect at the end is acknowledged
//! for the first time, then since its first delivery from that queue the service has sent something to the database
//! that made a write durable, or that may have (the answer never came). In detail:
//!  - A later delivery of the same report needs no write: the effect is there. Hence "since its *first* delivery".
//!  - A delivery that was published again for a retry is not looked at: its acknowledgement hands the report over.
//!  - If the ledger shows that this service's writes carry the report's key, one of those writes must be this report's;
//!    otherwise (stored procedures, keys that are no plain values) any commit of the service has to do.
//!  - A service whose database link cannot be seen is not judged.
//!
//! A consumer that asks for no acknowledgements at all has broken the rule before it has begun.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Backend, Event, Step, Verb};
use crate::evidence::Expect;
use crate::name::{Key, Name};
use crate::verdict::{Finding, Kind};

use super::case::{Case, Delivered, HARNESS, How};
use super::story;

/// The rule's name.
pub(super) const ID: &str = "ack-after-effect";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = automatic(case);
    for queue in [case.roles.analysis, case.roles.tags].into_iter().flatten() {
        let Some((service, _)) = case.topology().consumer_of(queue) else {
            continue;
        };
        let writes = Writes::of(case, service);
        if writes.visible {
            for injected in &case.plan().injected {
                if has_effect(case, queue, injected.seq, &injected.expect) {
                    findings.extend(report(case, &writes, queue, &injected.key));
                }
            }
        }
    }
    findings
}

fn automatic(case: &Case<'_>) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let deliveries = case
        .deliveries
        .iter()
        .filter(|delivery| delivery.auto && delivery.queue.is_some());
    deliveries
        .filter(|delivery| delivery.svc.is_some_and(|svc| *svc != HARNESS) && seen.insert((delivery.svc, delivery.queue)))
        .map(|delivery| {
            let what = format!(
                "{} consumes {} without acknowledgements: a report is forgotten by the broker as it is delivered",
                delivery.svc.map_or("somebody", |svc| svc),
                delivery.queue.map_or("a queue", |queue| queue),
            );
            Finding::new(Kind::Fail, ID, what).shown_by([delivery.n])
        })
        .collect()
}

fn has_effect(case: &Case<'_>, queue: &Name, seq: Option<u64>, expect: &Expect) -> bool {
    let Some(seq) = seq.filter(|_| matches!(expect, Expect::Effect { .. })) else {
        return false;
    };
    if case.roles.analysis == Some(queue) {
        !case.rows(seq).is_empty()
    } else {
        !case.links(seq).is_empty()
    }
}

fn report(case: &Case<'_>, writes: &Writes<'_>, queue: &Name, key: &Key) -> Option<Finding> {
    let first = case.deliveries_from(queue, key).next()?;
    let acked = case
        .deliveries_from(queue, key)
        .filter(|delivery| !delivery.auto)
        .find_map(|delivery| {
            let ack = delivery.settled.filter(|settled| settled.how == How::Ack)?;
            (!handed_over(case, queue, key, delivery, ack.n)).then_some((delivery, ack))
        });
    let (delivery, ack) = acked?;
    if writes.between(key, first.n, ack.n) {
        return None;
    }
    let service = delivery.svc.map_or("somebody", |svc| svc);
    let since = if first.n == delivery.n {
        "its delivery"
    } else {
        "its first delivery"
    };
    let what = format!(
        "{}: {service} acknowledged it at #{}, and had written nothing of it to the database since {since} at #{}; \
         its effect is there, so it came after the acknowledgement",
        story::name(case, key),
        ack.n,
        first.n
    );
    Some(
        Finding::new(Kind::Fail, ID, what)
            .about([key.clone()])
            .shown_by([first.n, ack.n]),
    )
}

/// Between delivery and acknowledgement the service published it again to the queue that it came from.
fn handed_over(case: &Case<'_>, queue: &Name, key: &Key, delivery: &Delivered<'_>, ack: u64) -> bool {
    case.publishes_to(queue, key)
        .any(|publish| publish.svc == delivery.svc && (delivery.n..ack).contains(&publish.n))
}

/// When a service made writes durable.
pub(super) struct Writes<'a> {
    /// The database link can be seen: it was used, and was decodable to the end.
    pub(super) visible: bool,
    /// The statements that made writes durable, or may have, by the keys among the values of their transaction.
    keyed: BTreeMap<&'a Key, BTreeSet<u64>>,
    /// All of them.
    all: BTreeSet<u64>,
}

/// A database connection while the ledger is read.
#[derive(Default)]
struct Session<'a> {
    /// Keys written since the last commit.
    open: BTreeSet<&'a Key>,
    /// The statement that waits for its answer, and its keys.
    waiting: Option<(u64, Verb, &'a [Key])>,
}

impl<'a> Writes<'a> {
    /// Of one service.
    pub(super) fn of(case: &Case<'a>, service: &Name) -> Self {
        let mut writes = Self {
            visible: false,
            keyed: BTreeMap::new(),
            all: BTreeSet::new(),
        };
        let mut sessions: BTreeMap<u32, Session<'a>> = BTreeMap::new();
        let mut opaque = false;
        for event in case.events().filter(|event| event.svc.as_ref() == Some(service)) {
            opaque |= matches!(
                event.step,
                Step::Opaque {
                    to: Backend::Database,
                    ..
                }
            );
            writes.take(sessions.entry(event.conn.unwrap_or(0)).or_default(), event);
        }
        for session in sessions.values_mut() {
            writes.unanswered(session);
        }
        writes.visible &= !opaque;
        writes
    }

    fn take(&mut self, session: &mut Session<'a>, event: &'a Event) {
        match &event.step {
            Step::Statement { verb, keys, .. } => {
                self.visible = true;
                self.unanswered(session);
                session.waiting = Some((event.n, *verb, keys));
            }
            Step::DbOk { verb, in_tx, .. } => {
                let keys = session.waiting.take().map_or(&[][..], |(_, _, keys)| keys);
                if writing(*verb) {
                    session.open.extend(keys);
                }
                if *verb == Verb::Rollback {
                    session.open.clear();
                } else if *verb == Verb::Commit || (writing(*verb) && !in_tx) {
                    self.durable(session, event.n);
                }
            }
            Step::DbErr { .. } => session.waiting = None,
            Step::Disconnect {
                to: Backend::Database,
                ..
            } => self.unanswered(session),
            _ => {}
        }
    }

    /// The answer to the statement before never came: it may have made something durable.
    fn unanswered(&mut self, session: &mut Session<'a>) {
        if let Some((n, verb, keys)) = session.waiting.take()
            && (verb == Verb::Commit || writing(verb))
        {
            session.open.extend(keys);
            self.durable(session, n);
        }
    }

    fn durable(&mut self, session: &mut Session<'a>, n: u64) {
        self.all.insert(n);
        for key in std::mem::take(&mut session.open) {
            self.keyed.entry(key).or_default().insert(n);
        }
    }

    /// Something of this message was made durable, or may have been, from one event to another.
    pub(super) fn between(&self, key: &Key, from: u64, to: u64) -> bool {
        let durable = if self.keyed.is_empty() {
            Some(&self.all)
        } else {
            self.keyed.get(key)
        };
        durable.is_some_and(|durable| durable.range(from..to).next().is_some())
    }
}

/// Statements that change something, as far as their first word tells.
fn writing(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Insert | Verb::Update | Verb::Delete | Verb::Replace | Verb::Other
    )
}
