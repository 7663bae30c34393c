//! What a service is seen to do for one message between its delivery and its settlement.
//!
//! A database tap tells which of the messages in a service's hands have their key among the values of a statement. That
//! may be chance: the number of one report may be the id of another's tag. So there are two measures. *Traces* are all
//! that may be work on a message; they are for judges that give credit for work. *Proof* is only what cannot be about
//! another message; it is for judges that hold a service to what it has begun.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Step, Verb};
use crate::name::{Key, Name};

use super::case::Case;

/// The events at which a service was at work, by message.
#[derive(Debug, Default)]
pub(super) struct Work<'a> {
    traces: BTreeMap<&'a Key, BTreeSet<u64>>,
    proof: BTreeMap<&'a Key, BTreeSet<u64>>,
}

impl<'a> Work<'a> {
    /// Of one service.
    pub(super) fn of(case: &Case<'a>, service: &Name) -> Self {
        let mut work = Self::default();
        let topology = case.topology();
        for event in case.events() {
            let ours = event.svc.as_ref() == Some(service);
            let (keys, proof) = match &event.step {
                // What a session is set to is about no message.
                Step::Statement { verb, keys, sql, .. } if ours && *verb != Verb::Set => {
                    let certain = keys.len() == 1 && about_reports(case, sql);
                    (keys.iter().collect(), certain)
                }
                Step::Publish { message, .. } if ours => (message.key.iter().collect::<Vec<_>>(), true),
                Step::Upstream { name, key, .. } => {
                    let asked = topology.upstreams.get(name).map(|upstream| &upstream.service);
                    let keys = key.iter().filter(|_| asked == Some(service));
                    (keys.collect(), true)
                }
                _ => continue,
            };
            for key in keys {
                work.traces.entry(key).or_default().insert(event.n);
                if proof {
                    work.proof.entry(key).or_default().insert(event.n);
                }
            }
        }
        work
    }

    /// The first event after `from` and before `to` that may be work on this message.
    pub(super) fn trace(&self, key: &Key, from: u64, to: u64) -> Option<u64> {
        first(&self.traces, key, from, to)
    }

    /// The first event after `from` and before `to` that is work on this message.
    pub(super) fn proof(&self, key: &Key, from: u64, to: u64) -> Option<u64> {
        first(&self.proof, key, from, to)
    }
}

fn first(events: &BTreeMap<&Key, BTreeSet<u64>>, key: &Key, from: u64, to: u64) -> Option<u64> {
    let from = from.saturating_add(1);
    (from < to)
        .then(|| events.get(key)?.range(from..to).next().copied())
        .flatten()
}

/// The statement names a table whose rows belong to reports, so that a single key in it is a report's number.
fn about_reports(case: &Case<'_>, sql: &str) -> bool {
    let effects = &case.topology().effects;
    let published = effects.published.as_ref().map(|published| &published.table);
    let links = effects.tags.as_ref().map(|tags| &tags.links);
    [&effects.source.table, &effects.analysis.table]
        .into_iter()
        .chain(published)
        .chain(links)
        .any(|table| sql.contains(table.as_str()))
}
