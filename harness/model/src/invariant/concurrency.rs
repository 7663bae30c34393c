//! The second half of `prefetch-bounded`: the declared concurrency is reached when there is work enough.
//!
//! How many messages a service works on at the same time shows in what it asks of others: the first statement or request
//! about a message since its delivery is the beginning of its work, the settlement the end. A service that has never been
//! at work on as many messages as are declared is judged where it must have been. That is a time of [`LOAD`] in which it
//! always holds at least that many deliveries, and is visibly at work nearly all the time, on messages that take it
//! [`LONG`] or more. Then the work is long, its beginning can be seen, and there is nothing to do but to begin with the
//! others. Work that shows only towards its end fills no such time.
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

/// Work that takes so long, in nanoseconds, waits for somebody else, and others could be begun meanwhile.
const LONG: u64 = 200_000_000;

/// So much of that time, in nanoseconds, may be spent between one message and the next.
const BETWEEN: u64 = LOAD / 10;

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
    let end = end(case);
    let busy: Vec<_> = held
        .iter()
        .filter_map(|held| Some((held, held.long(end)?)))
        .collect();
    busy.iter().find_map(|(first, (begun, _))| {
        let (from, until) = (begun.at, begun.at.saturating_add(LOAD));
        let same: Vec<_> = held
            .iter()
            .filter(|held| held.delivery.channel == first.delivery.channel)
            .collect();
        if until > end.at || least(&same, from, until) < declared || disturbed(case, name, *begun, until) {
            return None;
        }
        let working: Vec<_> = busy
            .iter()
            .filter(|(held, (begun, over))| {
                held.delivery.channel == first.delivery.channel && begun.at < until && over.at > from
            })
            .collect();
        if working_time(working.iter().map(|(_, (begun, over))| (begun.at.max(from), over.at.min(until))))
            < LOAD - BETWEEN
        {
            return None;
        }
        let keys: Vec<_> = working
            .iter()
            .filter_map(|(held, _)| held.delivery.message.key.clone())
            .collect();
        let names = keys.iter().map(|key| story::name(case, key));
        let what = format!(
            "{name} was at work for {} ms from #{} on, one after the other, on {}, and had {declared} or more deliveries in \
             hand all the time; it was never at work on more than {} at once, and {declared} are declared",
            LOAD / 1_000_000,
            begun.n,
            story::list(names),
            story::counted(most as u64, "message"),
        );
        Some(Finding::new(Kind::Fail, ID, what).about(keys).shown_by([first.delivery.n, begun.n]))
    })
}

impl Held<'_, '_> {
    /// When it was visibly in work, if that took long.
    fn long(&self, end: Moment) -> Option<(Moment, Moment)> {
        let (begun, over) = (self.proved?, self.over.unwrap_or(end));
        (over.at.saturating_sub(begun.at) >= LONG).then_some((begun, over))
    }
}

/// Fewest deliveries that were in hand at any time from one time to another.
fn least(held: &[&Held<'_, '_>], from: u64, until: u64) -> usize {
    let over = |held: &Held<'_, '_>| held.over.map_or(u64::MAX, |over| over.at);
    let at = |time: u64| {
        let in_hand = held
            .iter()
            .filter(|held| held.delivery.at <= time && over(held) > time);
        in_hand.count()
    };
    let ends = held
        .iter()
        .map(|held| over(held))
        .filter(|time| (from..until).contains(time));
    ends.chain([from]).map(at).min().unwrap_or(0)
}

/// The length of what these times cover together.
fn working_time(times: impl Iterator<Item = (u64, u64)>) -> u64 {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    let (mut sum, mut reached) = (0, 0);
    for (from, to) in times {
        sum += to.saturating_sub(from.max(reached));
        reached = reached.max(to);
    }
    sum
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
