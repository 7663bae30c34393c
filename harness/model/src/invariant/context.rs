//! What every finding says besides what its rule has to say: where its report was last seen, and which fault was in force.
//!
//! A rule knows what is wrong; where that lies in the story of the trial is the same question for all of them and is
//! answered here. The time of a finding is that of the events that show it. A fault that was in force at any time between
//! the first and the last of them may have to do with it. If there is none, the nearest one is named: what a fault destroys
//! is often seen for the last time before it, and some things never come back after it.

use crate::event::{Event, Step};
use crate::name::Key;
use crate::verdict::{Finding, Kind};

use super::case::{Case, HARNESS, Outage};
use super::story;

/// Most faults and events that are named.
const NAMED: usize = 3;

/// What is added begins with one of these, after a semicolon.
const SEEN: &str = "last seen at #";
const SEE: &str = "see #";
const WHILE: &str = "while ";
const BEFORE: &str = "before ";
const AFTER: &str = "after ";

/// What a rule itself says, of a text that something may have been added to. A rule's own clause that begins like one of
/// ours is left out with what follows it.
pub(crate) fn own(text: &str) -> &str {
    let clauses = [SEEN, SEE, WHILE, BEFORE, AFTER];
    let ends = clauses
        .iter()
        .filter_map(|words| text.find(&format!("; {words}")));
    text[..ends.min().unwrap_or(text.len())].trim_end()
}

/// Adds to a finding what it does not say yet. What makes a trial invalid is about the harness and stays as it is.
pub(super) fn add(case: &Case<'_>, mut finding: Finding) -> Finding {
    if finding.kind != Kind::Fail {
        return finding;
    }
    if !finding.what.contains('#') {
        seen(case, &mut finding);
    }
    if let Some(words) = faults(case, &finding) {
        finding.what = format!("{}; {words}", finding.what);
    }
    finding
}

/// Says where to look, if the rule has looked at the end state alone.
fn seen(case: &Case<'_>, finding: &mut Finding) {
    if let [key] = finding.keys.as_slice()
        && finding.events.is_empty()
    {
        if let Some((event, words)) = last(case, key) {
            finding.what = format!("{}; {SEEN}{}: {words}", finding.what, event.n);
            finding.events.push(event.n);
        }
    } else if !finding.events.is_empty() {
        let events = finding.events.iter().take(NAMED).map(|n| format!("#{n}"));
        let mut events: Vec<_> = events.collect();
        if finding.events.len() > NAMED {
            events.push(format!("{} more", finding.events.len() - NAMED));
        }
        let events = story::list(events);
        let events = events.trim_start_matches('#');
        finding.what = format!("{}; {SEE}{events}", finding.what);
    }
}

/// The last thing that was done with a message, other than by the harness.
fn last<'a>(case: &Case<'a>, key: &Key) -> Option<(&'a Event, String)> {
    let about = |event: &&Event| {
        event.svc.as_ref().is_some_and(|svc| *svc != HARNESS) && event.step.keys().contains(&key)
    };
    case.events().rev().filter(about).find_map(|event| {
        let svc = event.svc.as_ref()?;
        let words = match &event.step {
            Step::Deliver { queue, .. } => {
                let queue = queue.as_ref().map_or("a queue", |queue| queue);
                format!("delivered to {svc} from {queue}")
            }
            Step::Ack { .. } => format!("acknowledged by {svc}"),
            Step::Nack { requeue: true, .. } => format!("put back by {svc}"),
            Step::Nack { requeue: false, .. } => format!("rejected by {svc}"),
            Step::Publish { message, .. } => format!("published by {svc} with key {}", message.routing_key),
            Step::Confirm { ok: true, .. } => format!("confirmed to {svc}"),
            Step::Confirm { ok: false, .. } => format!("refused to {svc}"),
            Step::Return { .. } => format!("returned to {svc}"),
            _ => return None,
        };
        Some((event, words))
    })
}

/// Which faults may have to do with it.
pub(super) fn faults(case: &Case<'_>, finding: &Finding) -> Option<String> {
    let end = case.events().next_back().map_or(0, |event| event.n);
    let first = finding.events.iter().min().copied().unwrap_or(end);
    let last = finding.events.iter().max().copied().unwrap_or(end);
    let during: Vec<_> = case
        .outages()
        .iter()
        .filter(|outage| outage.overlaps(first, last))
        .collect();
    if !during.is_empty() {
        let unnamed: Vec<_> = during
            .into_iter()
            .filter(|outage| !finding.what.contains(&outage.name()))
            .collect();
        let mut words: Vec<_> = unnamed.iter().take(NAMED).map(|outage| told(outage)).collect();
        if unnamed.len() > NAMED {
            words.push(format!("{} more", unnamed.len() - NAMED));
        }
        let verb = if words.len() == 1 { "was" } else { "were" };
        return (!words.is_empty()).then(|| format!("{WHILE}{} {verb} in force", story::list(words)));
    }
    // The nearer one.
    let next = case.outages().iter().find(|outage| outage.from.n > last);
    let past = case.outages().iter().rfind(|outage| outage.from.n < first);
    let ahead = next.map_or(u64::MAX, |outage| outage.from.n - last);
    let behind = past.map_or(u64::MAX, |outage| first - over(outage));
    match (next, past) {
        (Some(outage), _) if ahead <= behind => Some(format!("{BEFORE}{}", told(outage))),
        (_, Some(outage)) => Some(format!("{AFTER}{}", told(outage))),
        _ => None,
    }
}

/// The event at which it was over, or at which it began, if it never was.
fn over(outage: &Outage<'_>) -> u64 {
    outage.healed.unwrap_or(outage.from).n
}

/// A fault, with when it took effect and when it was over.
fn told(outage: &Outage<'_>) -> String {
    let name = outage.name();
    let name = name.trim_end_matches(')');
    match (outage.bitten, outage.healed) {
        (Some(bitten), Some(healed)) => format!("{name}, bitten at #{}, healed at #{})", bitten.n, healed.n),
        (Some(bitten), None) => format!("{name}, bitten at #{}, never healed)", bitten.n),
        (None, _) => format!("{name}, from #{} on)", outage.from.n),
    }
}
