//! The second half of `prefetch-bounded`: the declared concurrency is reached when there is work enough.
//!
//! How many messages a service works on at the same time shows in what it asks of others: the first statement or request
//! about a message since its delivery is the beginning of its work, the settlement the end. A service that has never been
//! at work on as many messages as are declared is judged where it must have been: it holds at least that many
//! deliveries for [`LOAD`], and one of them is in work, visibly, for all of that time. Then the work is long, its
//! beginning can be seen, and there is nothing to do but to begin with the others.
//!
//! Nothing is asked where a fault touches the service, unless it is one of those that only make the work long: a service
//! outside the pipeline that misbehaves. A declared concurrency of one is always reached.

use std::collections::BTreeMap;

use crate::fault::FaultKind;
use crate::name::Name;
use crate::topology::Service;
use crate::verdict::{Finding, Kind};

use super::case::{Case, Delivered, Moment};
use super::prefetch::ID;
use super::story;
use super::work::Work;

/// For so long, in nanoseconds, there has to be enough to do. To begin takes milliseconds, on a busy machine seconds.
const LOAD: u64 = 5_000_000_000;

/// A delivery, when it was over, and when it was seen to be worked on.
struct Held<'c, 'a> {
    delivery: &'c Delivered<'a>,
    over: Option<Moment>,
    /// By anything that may be work on it.
    traced: Option<u64>,
    /// By something that cannot be about another message.
    proved: Option<Moment>,
}

/// Judges one service.
pub(super) fn judge(case: &Case<'_>, name: &Name, service: &Service) -> Option<Finding> {
    let declared = usize::from(service.concurrency);
    if declared < 2 {
        return None;
    }
    let held = held(case, name);
    let most = most(&held);
    if most >= declared {
        return None;
    }
    held.iter()
        .filter_map(|long| Some((long, long.proved?)))
        .find_map(|(long, begun)| {
            let until = begun.at.saturating_add(LOAD);
            let all_the_time = |held: &&Held<'_, '_>| {
                held.delivery.channel == long.delivery.channel
                    && held.delivery.n < begun.n
                    && held.over.is_none_or(|over| over.at >= until)
            };
            let held = held.iter().filter(all_the_time).count();
            let lasts = long.over.unwrap_or_else(|| end(case)).at >= until;
            if held < declared || !lasts || disturbed(case, name, begun, until) {
                return None;
            }
            let key = long.delivery.message.key.as_ref()?;
            let what = format!(
                "{}: {name} was at work on it for more than {} ms from #{} on, and held {held} deliveries all that time; it \
                 was never at work on more than {} at once, and {declared} are declared",
                story::name(case, key),
                LOAD / 1_000_000,
                begun.n,
                story::counted(most as u64, "message"),
            );
            Some(
                Finding::new(Kind::Fail, ID, what)
                    .about([key.clone()])
                    .shown_by([long.delivery.n, begun.n].into_iter().chain(long.over.map(|over| over.n))),
            )
        })
}

fn end(case: &Case<'_>) -> Moment {
    case.events()
        .next_back()
        .map_or(Moment { n: 0, at: 0 }, Moment::of)
}

fn held<'c, 'a>(case: &'c Case<'a>, name: &Name) -> Vec<Held<'c, 'a>> {
    let work = Work::of(case, name);
    case.deliveries
        .iter()
        .filter(|delivery| delivery.svc == Some(name) && delivery.queue.is_some() && !delivery.auto)
        .filter_map(|delivery| {
            let settled = delivery.settled.map(|settled| settled.n);
            let over = settled
                .into_iter()
                .chain(delivery.end.map(|end| end.n))
                .min()
                .and_then(|n| case.event(n))
                .map(Moment::of);
            let (key, to) = (
                delivery.message.key.as_ref()?,
                over.map_or(u64::MAX, |over| over.n),
            );
            let proved = work.proof(key, delivery.n, to).and_then(|n| case.event(n));
            Some(Held {
                delivery,
                over,
                traced: work.trace(key, delivery.n, to),
                proved: proved.map(Moment::of),
            })
        })
        .collect()
}

/// Most messages that were in work at the same time.
fn most(held: &[Held<'_, '_>]) -> usize {
    let mut steps: BTreeMap<u64, i64> = BTreeMap::new();
    for held in held {
        if let Some(begun) = held.traced {
            *steps.entry(begun).or_default() += 1;
            if let Some(over) = held.over {
                *steps.entry(over.n).or_default() -= 1;
            }
        }
    }
    let (mut now, mut most) = (0, 0);
    for change in steps.into_values() {
        now += change;
        most = most.max(now);
    }
    usize::try_from(most).unwrap_or(0)
}

fn disturbed(case: &Case<'_>, name: &Name, from: Moment, until: u64) -> bool {
    let lengthens = |what: Option<&FaultKind>| matches!(what, Some(FaultKind::Upstream { .. }));
    let touched = case.touching(name).any(|outage| {
        !lengthens(outage.what)
            && outage.from.at <= until
            && outage.healed.is_none_or(|healed| healed >= from)
    });
    let stuck = case
        .held(name)
        .any(|(begin, fate)| begin.at <= until && fate.is_none_or(|(_, end)| end >= from));
    touched || stuck
}
