//! `no-loss`: a confirmed report ends in exactly one terminal place.
//!
//! For every work queue that the report was routed to, that place is the effect of the queue's consumer or the queue's
//! dead letters. Where the consumer leaves nothing that can be seen (a report without tags, a digital report in the
//! renderer's totals, a service that the topology knows no effect of), an acknowledgement has to do.
//!
//! What a fault has thrown away by its nature (a purged queue, a rejection without a policy) is not asked for.
//!
//! What was not confirmed to the harness may have been lost or not; it is not judged. The same holds for what a report
//! must look like where it ended: that is `effects-once` and `dlq-exact`.

use std::collections::BTreeSet;

use crate::evidence::{Expect, Injected};
use crate::name::{Key, Name};
use crate::verdict::{Finding, Kind};

use super::case::{Case, How, Published};
use super::effects::{Shown, languages, physical};
use super::story;

/// The rule's name.
pub(super) const ID: &str = "no-loss";

/// What can be seen of a consumer's work on one report.
enum Effect {
    /// All of it.
    Present(String),
    /// Not all of it; what is missing.
    Missing(String),
    /// It leaves nothing to be seen.
    Invisible,
}

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for injected in case
        .plan()
        .injected
        .iter()
        .filter(|injected| case.promised(&injected.key))
    {
        match &injected.expect {
            Expect::DeadLetter { queues, .. } => {
                findings.extend(
                    queues
                        .iter()
                        .filter_map(|queue| dead_letter(case, injected, queue)),
                );
            }
            Expect::Effect { public, .. } => {
                let queues: BTreeSet<_> = (case.sent(&injected.key).filter(|publish| publish.promised()))
                    .flat_map(|publish| publish.queues.iter().copied())
                    .collect();
                findings.extend(queues.iter().filter_map(|queue| report(case, injected, queue)));
                let analysed = case.roles.analysis.is_some_and(|queue| {
                    queues.contains(queue) && !case.may_have_vanished(queue, &injected.key)
                }) && matches!(analysis(case, injected), Effect::Present(_));
                if *public && analysed {
                    findings.extend(announced(case).filter_map(|queue| report(case, injected, queue)));
                }
            }
        }
    }
    findings
}

/// The queues that the event of an analysed report is routed to.
fn announced<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Name> {
    let topology = case.topology();
    let route = topology.event.as_ref().map(|event| &event.route);
    topology
        .queues
        .iter()
        .filter(move |(_, queue)| route.is_some_and(|route| queue.bind.contains(route)))
        .map(|(role, _)| role)
}

fn report(case: &Case<'_>, injected: &Injected, queue: &Name) -> Option<Finding> {
    // A queue that nobody consumes keeps what it has; what is in there cannot be told apart.
    case.topology().consumer_of(queue)?;
    let key = &injected.key;
    let vanished = case.may_have_vanished(queue, key);
    let effect = if case.roles.analysis == Some(queue) {
        analysis(case, injected)
    } else if case.roles.tags == Some(queue) {
        tags(case, injected)
    } else if case.roles.renderer == Some(queue) {
        point(case, injected)
    } else {
        Effect::Invisible
    };
    let dead = case.is_dead(queue, key);
    let what = match (effect, dead) {
        // A second copy may have gone the other way, for example because the broker forgot a rejection.
        (Effect::Present(what), true) if case.copies(queue, key) < 2 => {
            format!(
                "{what}, and in the dead-letter queue of {queue} as well; one of both would have been right"
            )
        }
        (Effect::Missing(_) | Effect::Invisible, false) if vanished => return None,
        (Effect::Missing(what), false) => format!("{what}, not in the dead-letter queue"),
        (Effect::Invisible, false) if !acknowledged(case, queue, key) => {
            format!("the queue {queue} does not hold it any more, and it is not in the dead-letter queue")
        }
        _ => return None,
    };
    Some(finding(case, queue, key, &what))
}

fn dead_letter(case: &Case<'_>, injected: &Injected, queue: &Name) -> Option<Finding> {
    let dead = case.is_dead(queue, &injected.key) || has_body(case, queue, injected);
    let what = match (dead, trace(case, injected, queue)) {
        (true, None) => return None,
        (true, Some(effect)) => {
            format!("{effect}, and in the dead-letter queue of {queue}; it must have no effect")
        }
        (false, Some(effect)) => {
            format!("{effect}, where the dead-letter queue of {queue} would have been right")
        }
        (false, None) if case.may_have_vanished(queue, &injected.key) => return None,
        (false, None) => format!("not in the dead-letter queue of {queue}, where it belongs"),
    };
    Some(finding(case, queue, &injected.key, &what))
}

fn finding(case: &Case<'_>, queue: &Name, key: &Key, what: &str) -> Finding {
    let story = story::trail(case, queue, key);
    let text = format!("{}: {}; {what}", story::name(case, key), story.text());
    Finding::new(Kind::Fail, ID, text)
        .about([key.clone()])
        .shown_by(story.events)
}

/// A dead letter with the body that was injected.
fn has_body(case: &Case<'_>, queue: &Name, injected: &Injected) -> bool {
    let Expect::DeadLetter { hash, .. } = &injected.expect else {
        return false;
    };
    case.end()
        .dead
        .get(queue)
        .is_some_and(|dead| dead.iter().any(|letter| letter.hash == *hash))
}

/// Any effect of this queue's consumer, in words.
fn trace(case: &Case<'_>, injected: &Injected, queue: &Name) -> Option<String> {
    let seq = injected.seq?;
    let end = case.end();
    if case.roles.analysis == Some(queue) {
        (!case.rows(seq).is_empty()).then(|| "analysed".into())
    } else if case.roles.tags == Some(queue) {
        (!case.links(seq).is_empty()).then(|| "tagged".into())
    } else if case.roles.renderer == Some(queue) {
        end.rendered
            .as_ref()?
            .points
            .contains(&seq)
            .then(|| "rendered".into())
    } else {
        None
    }
}

fn acknowledged(case: &Case<'_>, queue: &Name, key: &Key) -> bool {
    let mut retries = case.publishes_to(queue, key).filter(|publish| publish.waits);
    let last_retry = retries.next_back().map_or(0, |retry: &Published<'_>| retry.n);
    case.deliveries_from(queue, key).any(|delivery| {
        // The acknowledgement of a delivery that was published again is the end of that delivery, not of the report.
        delivery.n > last_retry && delivery.settled.is_some_and(|settled| settled.how == How::Ack)
    })
}

fn analysis(case: &Case<'_>, injected: &Injected) -> Effect {
    let Some(seq) = injected.seq else {
        return Effect::Invisible;
    };
    let found = languages(case, seq);
    let wanted = &case.topology().effects.analysis.languages;
    let missing: Vec<_> = wanted
        .iter()
        .filter(|language| !found.contains(language.as_str()))
        .collect();
    if missing.is_empty() {
        Effect::Present("analysed".into())
    } else if found.is_empty() {
        Effect::Missing("no analysis row".into())
    } else {
        let found: Vec<_> = found.into_iter().collect();
        Effect::Missing(format!("analysis rows only in {}", found.join(", ")))
    }
}

fn tags(case: &Case<'_>, injected: &Injected) -> Effect {
    let Expect::Effect { tags, .. } = &injected.expect else {
        return Effect::Invisible;
    };
    match injected.seq {
        Some(seq) if !tags.is_empty() => {
            if case.links(seq).is_empty() {
                Effect::Missing("no tags".into())
            } else {
                Effect::Present("tagged".into())
            }
        }
        _ => Effect::Invisible,
    }
}

fn point(case: &Case<'_>, injected: &Injected) -> Effect {
    let Some((seq, rendered)) = injected.seq.zip(case.end().rendered.as_ref()) else {
        return Effect::Invisible;
    };
    if case.topology().effects.points.is_none() || physical(case, injected) != Shown::Yes {
        Effect::Invisible
    } else if rendered.points.contains(&seq) {
        Effect::Present("rendered".into())
    } else {
        Effect::Missing("not among the renderer's points".into())
    }
}
