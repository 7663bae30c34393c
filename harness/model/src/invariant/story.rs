//! Words for findings: what a report is called, and what happened to it, step by step, with the events to look up.

use crate::event::{Ending, Fate, Side, Step};
use crate::name::{Key, Name};

use super::case::{Case, Delivered, How, Published, Settled};

/// What the report or message of this key is called.
pub(super) fn name(case: &Case<'_>, key: &Key) -> String {
    match case.injected(key) {
        Some(injected) if injected.canary => format!("canary {key}"),
        Some(injected) if injected.seq.is_none() => format!("message {key} ({})", injected.name),
        _ if key.seq().is_some() => format!("report {key}"),
        _ => format!("message {key}"),
    }
}

/// What the consumer of a work queue is called.
pub(super) fn consumer<'a>(case: &'a Case<'_>, queue: &'a Name) -> &'a Name {
    case.topology()
        .consumer_of(queue)
        .map_or(queue, |(service, _)| service)
}

/// A number of things, as `1 row` and `2 rows`.
pub(super) fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "nothing".into(),
    }
}

/// The words and the events of a story that is being told.
#[derive(Debug, Default)]
pub(super) struct Story {
    parts: Vec<String>,
    /// The events it speaks of.
    pub(super) events: Vec<u64>,
}

impl Story {
    fn say(&mut self, part: String, events: impl IntoIterator<Item = u64>) {
        self.parts.push(part);
        self.events.extend(events);
    }

    /// The words.
    pub(super) fn text(&self) -> String {
        self.parts.join(", ")
    }
}

/// What happened to the message with this key on this work queue, up to where it was last seen.
pub(super) fn trail(case: &Case<'_>, queue: &Name, key: &Key) -> Story {
    let mut story = Story::default();
    match case.publishes_to(queue, key).find(|publish| !publish.waits) {
        Some(publish) => {
            let (words, event) = published(publish);
            let by = publish
                .svc
                .filter(|_| !publish.by_harness())
                .map(|svc| format!("published by {svc} and "));
            story.say(format!("{}{words}", by.unwrap_or_default()), [event]);
        }
        None => story.say(format!("never published to {queue}"), []),
    }
    let service = consumer(case, queue);
    let deliveries = case.deliveries_from(queue, key).count();
    let Some(last) = case.deliveries_from(queue, key).next_back() else {
        story.say(format!("never delivered to {service}"), []);
        after(case, &mut story);
        return story;
    };
    let times = if deliveries == 1 {
        "at".into()
    } else {
        format!("{deliveries} times, last at")
    };
    story.say(format!("delivered to {service} {times} #{}", last.n), [last.n]);
    let retried = case
        .publishes_to(queue, key)
        .rfind(|publish| publish.waits && publish.n > last.n);
    if let Some(retry) = retried {
        let (words, event) = published(retry);
        story.say(
            format!(
                "published for retry {} at #{} and {words}",
                retry.retry(),
                retry.n
            ),
            [retry.n, event],
        );
    }
    let (words, events) = outcome(case, last);
    story.say(words, events);
    after(case, &mut story);
    story
}

/// Says that the broker was killed after the last event of the story.
fn after(case: &Case<'_>, story: &mut Story) {
    let last = story.events.iter().max().copied().unwrap_or(0);
    if let Some(kill) = case.kills.iter().find(|kill| **kill > last) {
        story.say(format!("the broker was killed at #{kill}"), [*kill]);
    }
}

/// What the broker said to a publish, and where.
pub(super) fn published(publish: &Published<'_>) -> (String, u64) {
    match (publish.returned, publish.confirm) {
        (Some(n), _) => (format!("returned as unroutable at #{n}"), n),
        (None, Some((n, true))) => (format!("confirmed at #{n}"), n),
        (None, Some((n, false))) => (format!("refused by the broker at #{n}"), n),
        (None, None) => (format!("never confirmed (#{})", publish.n), publish.n),
    }
}

/// How a delivery ended, and where.
pub(super) fn outcome(case: &Case<'_>, delivery: &Delivered<'_>) -> (String, Vec<u64>) {
    let end = delivery.end.map(|end| (ending(case, end.n), end.n));
    match (delivery.settled, end) {
        (Some(settled), _) => (settlement(case, settled), vec![settled.n]),
        (None, Some((words, n))) => (format!("never acknowledged; {words} at #{n}"), vec![n]),
        (None, None) => ("never acknowledged".into(), vec![]),
    }
}

fn settlement(case: &Case<'_>, settled: Settled) -> String {
    let word = match settled.how {
        How::Ack => "acknowledged",
        How::Reject => "rejected",
        How::Requeue => "put back",
    };
    let n = settled.n;
    match (settled.arrived, case.fate(n)) {
        (true, _) => format!("{word} at #{n}"),
        (false, Some(Fate::Dropped)) => format!("{word} at #{n}, but that frame was dropped"),
        (false, Some(_)) => format!("{word} at #{n}, but that frame was lost with its connection"),
        (false, None) => format!("{word} at #{n}, but that frame was held and never let go"),
    }
}

/// How a channel or its connection ended.
pub(super) fn ending(case: &Case<'_>, n: u64) -> String {
    let by = |side: &Side| match side {
        Side::Client => "the service",
        Side::Server => "the broker",
        Side::Tap => "a fault",
    };
    match case.event(n).map(|event| &event.step) {
        Some(Step::Disconnect {
            how: Ending::Rst,
            by: side,
            ..
        }) => {
            format!("its connection was reset by {}", by(side))
        }
        Some(Step::Disconnect {
            how: Ending::Fin,
            by: side,
            ..
        }) => {
            format!("its connection was ended by {}", by(side))
        }
        Some(Step::AmqpClosed { by: side, code, .. }) => {
            format!("its connection was closed by {} ({code})", by(side))
        }
        Some(Step::ChannelClosed { by: side, code, .. }) => {
            format!("its channel was closed by {} ({code})", by(side))
        }
        Some(Step::Container { change, .. }) => format!("the broker was {change}"),
        Some(Step::Opaque { .. }) => "its connection could not be decoded any more".into(),
        _ => "its channel was gone".into(),
    }
}
