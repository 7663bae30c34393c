//! `explained-duplicates`: what is delivered more than once has a cause in the ledger.
//!
//! Each copy that was published to a queue allows one delivery, and so does each delivery whose message may have gone
//! back: put back by the consumer, unsettled when its channel ended, settled so late that the broker may not have
//! seen it (at most the last of each consumer, as many as its prefetch, and within the last seconds before the end or
//! before something went wrong), or forgotten by a classic queue in a SIGKILL.
//! A retry queue may forget in the same way that a message has left it. Any further delivery is unexplained.
//!
//! The `redelivered` bit is not looked at: after a SIGKILL a broker sets it on everything. Nor is the order in which
//! copies come: what is judged is how many.

use crate::name::{Key, Name};
use crate::verdict::{Finding, Kind};

use super::case::{Case, Delivered};
use super::story;

/// The rule's name.
pub(super) const ID: &str = "explained-duplicates";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    case.pairs()
        .filter_map(|(queue, key)| pair(case, queue, key))
        .collect()
}

fn pair(case: &Case<'_>, queue: &Name, key: &Key) -> Option<Finding> {
    let deliveries: Vec<_> = case.deliveries_from(queue, key).collect();
    if deliveries.len() < 2 {
        return None;
    }
    let mut published = Vec::new();
    for publish in case.publishes_to(queue, key) {
        published.extend((0..publish.reached).map(|_| publish.at));
        if publish.waits {
            published.extend(case.kills_after(publish.n));
        }
    }
    let copies = published.len();
    let mut allowed = published;
    allowed.extend(deliveries.iter().filter_map(|delivery| case.back_from(delivery)));
    allowed.sort_unstable();

    // The first one is always right here: if nobody published it, that is another rule's business.
    let unexplained =
        |(i, delivery): &(usize, &&Delivered<'_>)| allowed.partition_point(|at| *at <= delivery.at) <= *i;
    let mut wrong = deliveries.iter().enumerate().skip(1).filter(unexplained);
    let (i, first) = wrong.next()?;
    let before = deliveries[i - 1];
    let (outcome, events) = story::outcome(case, before);
    let returns = match allowed.len() - copies {
        0 => String::new(),
        returns => format!(", {returns} gone back to it in the whole trial"),
    };
    let retry = first.message.retry.map_or_else(String::new, |retry| {
        format!(", and it carries retry count {retry}")
    });
    let more = match wrong.count() {
        0 => String::new(),
        more => format!("; {more} more after it"),
    };
    let what = format!(
        "{}: delivered from queue {queue} again at #{}, after #{} ({outcome}); nothing explains it: {} published to \
         this queue{returns}{retry}{more}",
        story::name(case, key),
        first.n,
        before.n,
        if copies == 1 {
            "1 copy".into()
        } else {
            format!("{copies} copies")
        },
    );
    let shown = case
        .publishes_to(queue, key)
        .map(|publish| publish.n)
        .chain([before.n])
        .chain(events)
        .chain([first.n]);
    Some(
        Finding::new(Kind::Fail, ID, what)
            .about([key.clone()])
            .shown_by(shown),
    )
}
