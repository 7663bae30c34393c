//! `atomic`: a report is analysed as a whole or not at all: its rows in all languages, its event, its time of
//! publication.
//!
//! At rest these belong together. A report has either all of its rows or none. A public report with rows has an event,
//! and an event has rows. The time of publication is set for those reports that have an event, and for no others.
//!
//! An event is there when the broker has confirmed it and not given it back, or when a queue has delivered it, which
//! shows as much. Whether a service waits for that confirm is `publisher-honest`'s question.
//!
//! Nor does an event come before its rows, not even for a moment: who is told of it looks for them. While a report is
//! delivered for the first time, its event is published after something of it was made durable (in the sense of
//! `ack-after-effect`).
//!
//! A report whose message may be gone without the pipeline's doing may have been left half done: one that the broker never
//! promised to keep, or that a fault has thrown away, unless its consumer has acknowledged it. Of it only events without
//! rows are judged: no honest service announces what it has not stored.
//!
//! How this differs from its neighbours: `no-loss` follows one promised report to its end in each queue and is content
//! with a dead letter; `effects-once` counts each kind of effect by itself. Here no effect is judged alone, but one by
//! the others of the same report, also where the broker never promised to keep the report, and also beside a dead letter.
//! Where several of these rules speak, each names the report.

use std::collections::BTreeSet;

use crate::evidence::{Expect, Injected};
use crate::name::Key;
use crate::verdict::{Finding, Kind};

use super::ack::Writes;
use super::case::{Case, How, Published};
use super::effects::languages;
use super::{fidelity, story};

/// The rule's name.
pub(super) const ID: &str = "atomic";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    case.plan()
        .injected
        .iter()
        .filter_map(|injected| report(case, injected))
        .chain(early(case))
        .collect()
}

/// Events that were published before anything of their report was durable.
fn early(case: &Case<'_>) -> Vec<Finding> {
    let topology = case.topology();
    let (Some(queue), Some(fields)) = (case.roles.analysis, &topology.event) else {
        return Vec::new();
    };
    let Some((service, _)) = topology.consumer_of(queue) else {
        return Vec::new();
    };
    let writes = Writes::of(case, service);
    let events = case
        .publishes
        .iter()
        .filter(|publish| publish.svc == Some(service) && fidelity::is_event(case, fields, publish));
    events
        .filter_map(|publish| {
            let key = publish.message.key.as_ref()?;
            let mut given = case
                .deliveries_from(queue, key)
                .filter(|delivery| delivery.n < publish.n);
            // With a second delivery, or one whose channel is gone, nobody can tell any more which work this is.
            let (Some(first), None) = (given.next(), given.next()) else {
                return None;
            };
            let over = first.settled.map(|settled| settled.n).into_iter().chain(first.end.map(|end| end.n));
            let in_hand = over.min().is_none_or(|n| n > publish.n);
            let wrote = case.rows(key.seq()?).is_empty() || writes.between(key, first.n, publish.n);
            if !writes.visible || !in_hand || wrote {
                return None;
            }
            let what = format!(
                "{}: {service} published its event at #{}, and had written nothing of it to the database since its delivery \
                 at #{}; an event does not come before its rows",
                story::name(case, key),
                publish.n,
                first.n
            );
            let finding = Finding::new(Kind::Fail, ID, what);
            Some(finding.about([key.clone()]).shown_by([first.n, publish.n]))
        })
        .collect()
}

/// The report cannot have been lost half way without the pipeline's doing.
fn kept(case: &Case<'_>, key: &Key) -> bool {
    let Some(queue) = case.roles.analysis else {
        return true;
    };
    let acknowledged = || {
        case.deliveries_from(queue, key)
            .any(|delivery| delivery.settled.is_some_and(|settled| settled.how == How::Ack))
    };
    !case.may_have_vanished(queue, key) && (case.promised(key) || acknowledged())
}

/// What became of the event of a report.
enum Event {
    /// The broker has it, since this publish.
    There(u64),
    /// It does not, as far as can be told; why, and where that is seen.
    Missing(String, Vec<u64>),
}

fn report(case: &Case<'_>, injected: &Injected) -> Option<Finding> {
    let (seq, key) = (injected.seq?, &injected.key);
    let wanted = &case.topology().effects.analysis.languages;
    let found = languages(case, seq);
    let public = matches!(injected.expect, Expect::Effect { public: true, .. });
    let good = matches!(injected.expect, Expect::Effect { .. });
    let kept = kept(case, key);

    let (mut has, mut lacks, mut shown) = (Vec::new(), Vec::new(), Vec::new());
    let missing: Vec<_> = wanted
        .iter()
        .map(String::as_str)
        .filter(|language| !found.contains(language))
        .collect();
    if !found.is_empty() {
        has.push(format!("analysis rows in {}", story::list(found.iter().copied())));
        if kept && !missing.is_empty() {
            lacks.push(format!("no rows in {}", story::list(missing)));
        }
    }
    let event = case.topology().event.is_some().then(|| event(case, key));
    match &event {
        Some(Event::There(n)) => {
            has.push(format!("its event, published at #{n}"));
            shown.push(*n);
            if found.is_empty() {
                lacks.push("no analysis rows".into());
            }
        }
        Some(Event::Missing(why, events)) if kept && public && !found.is_empty() => {
            lacks.push(format!("no event: {why}"));
            shown.extend(events);
        }
        _ => {}
    }
    if let (Some(table), Some(event)) = (&case.topology().effects.published, &event) {
        let marked = case.end().published.contains(&seq);
        let mark = format!("{} in {}", table.at, table.table);
        match event {
            Event::There(_) if kept && good && !marked => lacks.push(format!("no {mark}")),
            Event::Missing(why, events) if kept && marked => {
                has.push(mark);
                if !public || found.is_empty() {
                    lacks.push(format!("no event: {why}"));
                    shown.extend(events);
                }
            }
            _ => {}
        }
    }
    if lacks.is_empty() {
        return None;
    }
    let story = case.roles.analysis.map(|queue| story::trail(case, queue, key));
    let (trail, events) = story.map_or_else(Default::default, |story| {
        (format!("{}; ", story.text()), story.events)
    });
    let what = format!(
        "{}: {trail}it has {}, but {}",
        story::name(case, key),
        story::list(&has),
        lacks.join(", and ")
    );
    let shown: BTreeSet<_> = events.into_iter().chain(shown).collect();
    Some(
        Finding::new(Kind::Fail, ID, what)
            .about([key.clone()])
            .shown_by(shown),
    )
}

fn event(case: &Case<'_>, key: &Key) -> Event {
    let Some(fields) = &case.topology().event else {
        return Event::Missing("none is declared".into(), vec![]);
    };
    let published: Vec<_> = case
        .publishes
        .iter()
        .filter(|publish| {
            publish.message.key.as_ref() == Some(key) && fidelity::is_event(case, fields, publish)
        })
        .collect();
    if let Some(there) = published.iter().find(|publish| is_there(case, publish, key)) {
        return Event::There(there.n);
    }
    match published.last() {
        None => Event::Missing("none was ever published".into(), vec![]),
        Some(last) => {
            let (outcome, n) = story::published(last);
            Event::Missing(
                format!("published at #{}, {outcome}, and delivered to nobody", last.n),
                vec![last.n, n],
            )
        }
    }
}

fn is_there(case: &Case<'_>, publish: &Published<'_>, key: &Key) -> bool {
    publish.promised()
        || (publish.reached > 0
            && publish.queues.iter().any(|queue| {
                case.deliveries_from(queue, key)
                    .any(|delivery| delivery.n > publish.n)
            }))
}
