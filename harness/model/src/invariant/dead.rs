//! `dlq-exact`: each dead-letter queue holds exactly the messages that belong there, unharmed and with a reason.
//!
//! A message that was published several times is dead-lettered as often. A broker that is killed may forget that a
//! message was rejected after it has dead-lettered it; the copy that comes of that is allowed. Whether good reports
//! that are here also had their effect is not asked: they must not be here at all.

use std::collections::BTreeSet;

use crate::evidence::{DeadLetter, Expect, Injected};
use crate::name::{Key, Name};
use crate::verdict::{Finding, Kind};

use super::case::{Case, How};
use super::story;

/// The rule's name.
pub(super) const ID: &str = "dlq-exact";

/// The reason that a broker gives for what a consumer has rejected.
const REJECTED: &str = "rejected";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let roles: BTreeSet<_> = case
        .topology()
        .queues
        .keys()
        .chain(case.end().dead.keys())
        .collect();
    for queue in roles {
        let letters = case.end().dead.get(queue).map_or(&[][..], Vec::as_slice);
        let wanted: Vec<_> = case
            .plan()
            .injected
            .iter()
            .filter_map(|injected| wanted(injected, queue))
            .collect();
        let mut taken = BTreeSet::new();
        for (injected, hash) in &wanted {
            let found: Vec<_> = letters
                .iter()
                .enumerate()
                .filter(|(_, letter)| is(letter, injected, hash))
                .collect();
            taken.extend(found.iter().map(|(i, _)| *i));
            let found: Vec<_> = found.into_iter().map(|(_, letter)| letter).collect();
            findings.extend(count(case, queue, injected, found.len() as u64));
            findings.extend(
                found
                    .iter()
                    .filter_map(|letter| harm(case, queue, injected, hash, letter)),
            );
        }
        for (_, letter) in letters.iter().enumerate().filter(|(i, _)| !taken.contains(i)) {
            findings.push(unexpected(case, queue, letter));
        }
    }
    findings
}

fn wanted<'a>(injected: &'a Injected, queue: &Name) -> Option<(&'a Injected, &'a str)> {
    match &injected.expect {
        Expect::DeadLetter { queues, hash } if queues.contains(queue) => Some((injected, hash)),
        _ => None,
    }
}

fn is(letter: &DeadLetter, injected: &Injected, hash: &str) -> bool {
    letter
        .key
        .as_ref()
        .map_or(letter.hash == hash, |key| *key == injected.key)
}

fn fail(what: String, key: Option<&Key>) -> Finding {
    Finding::new(Kind::Fail, ID, what).about(key.cloned())
}

fn count(case: &Case<'_>, queue: &Name, injected: &Injected, found: u64) -> Option<Finding> {
    let key = &injected.key;
    // What the harness put into this queue itself; into a later queue of the pipeline it comes by way of a service.
    let here = case
        .sent(key)
        .filter(|publish| publish.promised() && publish.queues.contains(&queue))
        .count() as u64;
    let wanted = here.max(u64::from(case.promised(key)));
    let least = if case.may_have_vanished(queue, key) {
        0
    } else {
        wanted
    };
    let forgotten = case.deliveries_from(queue, key).filter(|delivery| {
        delivery.settled.is_some_and(|settled| settled.how == How::Reject)
            && case.forgotten(delivery).is_some()
    });
    let retried = case
        .publishes_to(queue, key)
        .any(|publish| case.is_retry(queue, publish));
    let most = wanted.max(if retried {
        case.copies(queue, key)
    } else {
        case.published(queue, key) + forgotten.count() as u64
    });
    if (least..=most).contains(&found) {
        return None;
    }
    let story = story::trail(case, queue, key);
    let right = if least == most {
        most.to_string()
    } else {
        format!("{least} to {most}")
    };
    let what = format!(
        "{}: {}; {found} times in the dead-letter queue of {queue}, {right} would be right",
        story::name(case, key),
        story.text()
    );
    Some(fail(what, Some(key)).shown_by(story.events))
}

fn harm(
    case: &Case<'_>,
    queue: &Name,
    injected: &Injected,
    hash: &str,
    letter: &DeadLetter,
) -> Option<Finding> {
    let mut wrong = Vec::new();
    if letter.hash != hash {
        wrong.push(format!(
            "its body ({} bytes) is not the one that was injected",
            letter.size
        ));
    }
    match letter.reason.as_deref() {
        Some(REJECTED) => {}
        Some(reason) => wrong.push(format!("its reason is {reason}, not {REJECTED}")),
        None => wrong.push("it does not say why it is there".into()),
    }
    let what = format!(
        "{}: in the dead-letter queue of {queue}, but {}",
        story::name(case, &injected.key),
        wrong.join(" and ")
    );
    (!wrong.is_empty()).then(|| fail(what, Some(&injected.key)))
}

fn unexpected(case: &Case<'_>, queue: &Name, letter: &DeadLetter) -> Finding {
    let Some(key) = &letter.key else {
        let what = format!(
            "the dead-letter queue of {queue} holds {} bytes that nobody sent (hash {})",
            letter.size, letter.hash
        );
        return fail(what, None);
    };
    let story = story::trail(case, queue, key);
    let why = match case.injected(key).map(|injected| &injected.expect) {
        None => "nobody injected it",
        Some(Expect::Effect { .. }) => "it is a good one",
        Some(Expect::DeadLetter { .. }) => "its consumer there has no reason to reject it",
    };
    let what = format!(
        "{}: {}; in the dead-letter queue of {queue}, but {why}",
        story::name(case, key),
        story.text()
    );
    fail(what, Some(key)).shown_by(story.events)
}
