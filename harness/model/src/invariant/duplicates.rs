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

/// How many deliveries of the trial were not the first of their message from their queue: with a cause, and without.
pub(super) fn count(case: &Case<'_>) -> (u64, u64) {
    let (mut explained, mut unexplained) = (0, 0);
    for (queue, key) in case.pairs() {
        let again = case.deliveries_from(queue, key).count().saturating_sub(1) as u64;
        let wrong = Copies::of(case, queue, key).unexplained.len() as u64;
        explained += again.saturating_sub(wrong);
        unexplained += wrong;
    }
    (explained, unexplained)
}

/// The deliveries of one message from one queue, and what allows them.
struct Copies<'c, 'a> {
    deliveries: Vec<&'c Delivered<'a>>,
    /// Copies that were published to the queue.
    published: usize,
    /// How often one may have gone back to it.
    returned: usize,
    /// Deliveries that nothing explains, by their place among all.
    unexplained: Vec<usize>,
}

impl<'c, 'a> Copies<'c, 'a> {
    fn of(case: &'c Case<'a>, queue: &Name, key: &Key) -> Self {
        let deliveries: Vec<_> = case.deliveries_from(queue, key).collect();
        let mut allowed = Vec::new();
        for publish in case.publishes_to(queue, key) {
            allowed.extend((0..publish.reached).map(|_| publish.at));
            if publish.waits {
                allowed.extend(case.kills_after(publish.n));
            }
        }
        let published = allowed.len();
        allowed.extend(deliveries.iter().filter_map(|delivery| case.back_from(delivery)));
        let returned = allowed.len() - published;
        allowed.sort_unstable();
        // The first one is always right here: if nobody published it, that is another rule's business.
        let unexplained = deliveries
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(i, delivery)| allowed.partition_point(|at| *at <= delivery.at) <= *i)
            .map(|(i, _)| i)
            .collect();
        Self {
            deliveries,
            published,
            returned,
            unexplained,
        }
    }
}

fn pair(case: &Case<'_>, queue: &Name, key: &Key) -> Option<Finding> {
    let Copies {
        deliveries,
        published: copies,
        returned,
        unexplained,
    } = Copies::of(case, queue, key);
    let i = *unexplained.first()?;
    let (before, first) = (deliveries[i - 1], deliveries[i]);
    let (outcome, events) = story::outcome(case, before);
    let returns = match returned {
        0 => String::new(),
        returns => format!(", {returns} gone back to it in the whole trial"),
    };
    let retry = first.message.retry.map_or_else(String::new, |retry| {
        format!(", and it carries retry count {retry}")
    });
    let more = match unexplained.len() - 1 {
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
