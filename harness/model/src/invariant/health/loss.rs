//! Losses that a service has to tell of.

use crate::event::{Backend, Side, Step};
use crate::fault::{Cut, FaultKind};
use crate::verdict::{Finding, Kind};

use super::super::case::{Connection, Moment, is_end, is_instance, word};
use super::{Answer, ID, RED, SEEN, Said};

/// Something that a service has lost for a while.
struct Loss {
    what: &'static str,
    from: Moment,
    to: Moment,
    /// So long it may take until the service can know.
    within: u64,
    /// It lasts to the very end; otherwise it may have been over a little before that was told.
    firm: bool,
}

/// Finds answers that deny a loss.
pub(super) fn losses(said: &Said<'_, '_>) -> Vec<Finding> {
    let mut losses = disconnected(said);
    losses.extend(frozen(said));
    losses.extend(database(said));
    losses.extend(publisher(said));
    losses
        .iter()
        .filter(|loss| !ended(said, loss))
        .filter_map(|loss| denied(said, loss))
        .collect()
}

/// The service itself was ended or paused meanwhile.
fn ended(said: &Said<'_, '_>, loss: &Loss) -> bool {
    let case = said.case;
    let asked = case
        .outages()
        .iter()
        .any(|outage| outage.aims_at(said.service) && outage.overlaps(loss.from.n, loss.to.n));
    asked
        || case.events().any(|event| {
            (loss.from.n..=loss.to.n).contains(&event.n)
                && matches!(&event.step, Step::Container { name, .. } if is_instance(name, said.service))
        })
}

fn denied(said: &Said<'_, '_>, loss: &Loss) -> Option<Finding> {
    let deadline = loss.from.at.saturating_add(loss.within).saturating_add(SEEN);
    let margin = if loss.firm { 0 } else { SEEN };
    if loss.to.at < deadline.saturating_add(margin) {
        return None;
    }
    let denies = |answer: &&Answer| answer.healthy || (loss.what == "broker" && answer.broker == Some(true));
    // Whoever has one thing back a moment before the other is given the time to notice.
    let until = loss.to.at.saturating_sub(RED).saturating_sub(SEEN);
    let later = || {
        said.answers
            .iter()
            .find(|answer| loss.firm && (deadline..until).contains(&answer.since.at) && denies(answer))
    };
    let answer = said.at(deadline).filter(denies).or_else(later)?;
    let claim = if answer.healthy {
        format!("that it is healthy ({})", answer.status)
    } else {
        "that it is connected to the broker".into()
    };
    let over = if loss.to == said.end() {
        "and never had it back".into()
    } else {
        format!("and had it back at #{}", loss.to.n)
    };
    let what = format!(
        "{} says {claim} from #{} on, but had lost the {} at #{}, {over}; {} ms after a loss it has to say so",
        said.service,
        answer.since.n,
        loss.what,
        loss.from.n,
        loss.within / 1_000_000,
    );
    Some(Finding::new(Kind::Fail, ID, what).shown_by([answer.since.n, loss.from.n, loss.to.n]))
}

fn connections<'c, 'a>(said: &Said<'c, 'a>, to: Backend) -> Vec<&'c Connection<'a>> {
    said.case
        .connections()
        .iter()
        .filter(|connection| connection.svc == said.service && connection.to == to)
        .collect()
}

/// When none of these connections was open, after one was.
fn gaps(said: &Said<'_, '_>, what: &'static str, links: &[&Connection<'_>]) -> Vec<Loss> {
    let mut losses = Vec::new();
    for last in links {
        let (Some(_), Some(from)) = (last.opened, last.ended) else {
            continue;
        };
        if links.iter().any(|other| other.is_open(from.n)) {
            continue;
        }
        let next = links
            .iter()
            .filter_map(|other| other.opened)
            .filter(|opened| *opened > from)
            .min();
        let within = if silent(said, last, from) {
            beats(last.heartbeat)
        } else {
            Some(RED)
        };
        losses.extend(within.map(|within| Loss {
            what,
            from,
            to: next.unwrap_or_else(|| said.end()),
            within,
            firm: true,
        }));
    }
    // Several connections may end with one event.
    losses.sort_by_key(|loss| (loss.from, std::cmp::Reverse(loss.within)));
    losses.dedup_by_key(|loss| loss.from);
    losses
}

/// As long as the slowest of the usual clients waits for a sign of life; none without heartbeats, for then nobody notices.
/// The protocol speaks of two intervals; the Go client waits for three, and that of Python looks every interval and five
/// seconds, and gives up when it has looked twice.
fn beats(heartbeat: u16) -> Option<u64> {
    let interval = u64::from(heartbeat);
    (interval > 0).then(|| (3 * interval).max(2 * (interval + 5)) * 1_000_000_000)
}

/// A fault has ended the connection without telling the service.
fn silent(said: &Said<'_, '_>, connection: &Connection<'_>, end: Moment) -> bool {
    let tapped = matches!(
        said.case.event(end.n).map(|event| &event.step),
        Some(Step::Disconnect { by: Side::Tap, .. })
    );
    tapped
        && said.case.outages().iter().any(|outage| {
            matches!(outage.what, Some(FaultKind::CutLink { service, backend, how: Cut::Silent })
                if service == said.service && *backend == connection.to)
                && outage.overlaps(end.n, end.n)
        })
}

fn disconnected(said: &Said<'_, '_>) -> Vec<Loss> {
    gaps(said, "broker", &connections(said, Backend::Broker))
}

/// The broker stands still, or nothing passes on the link to it.
fn frozen(said: &Said<'_, '_>) -> Vec<Loss> {
    let broker = connections(said, Backend::Broker);
    let half_open = said.case.outages().iter().filter_map(|outage| {
        // Where only its own bytes are lost, it hears the broker until that has missed it and ends the connection.
        let cut = matches!(outage.what, Some(FaultKind::CutLink { service, backend: Backend::Broker, how })
            if service == said.service && how.stops(Side::Client));
        Some((outage.bitten.filter(|_| cut)?, outage.healed))
    });
    half_open
        .chain(stands_still(said, Backend::Broker))
        .filter_map(|(from, to)| {
            let open = broker.iter().filter(|connection| connection.is_open(from.n));
            // One that never notices excuses all of them.
            let within = open
                .map(|connection| beats(connection.heartbeat))
                .collect::<Option<Vec<_>>>()?;
            Some(Loss {
                what: "broker",
                from,
                to: to.unwrap_or_else(|| said.end()),
                within: within.into_iter().max()?,
                firm: false,
            })
        })
        .collect()
}

/// When the container of a backend was paused.
fn stands_still(said: &Said<'_, '_>, which: Backend) -> Vec<(Moment, Option<Moment>)> {
    let mut times: Vec<(Moment, Option<Moment>)> = Vec::new();
    for event in said.case.events() {
        if let Step::Container { name, change, .. } = &event.step
            && *name == word(which)
        {
            match change.as_str() {
                "paused" => times.push((Moment::of(event), None)),
                _ => {
                    if let Some((_, to @ None)) = times.last_mut() {
                        *to = Some(Moment::of(event));
                    }
                }
            }
        }
    }
    times
}

/// The container of the database has ended, or stands still.
fn database(said: &Said<'_, '_>) -> Vec<Loss> {
    let which = Backend::Database;
    let mut times: Vec<(Moment, Option<Moment>, bool)> = stands_still(said, which)
        .into_iter()
        .map(|(from, to)| (from, to, false))
        .collect();
    let mut down: Option<Moment> = None;
    for event in said.case.events() {
        if let Step::Container { name, change, .. } = &event.step
            && *name == word(which)
        {
            if is_end(change) {
                down = down.or(Some(Moment::of(event)));
            } else if change == "started" {
                times.extend(down.take().map(|from| (from, Some(Moment::of(event)), true)));
            }
        }
    }
    times.extend(down.map(|from| (from, None, true)));
    times
        .into_iter()
        .filter(|(from, ..)| {
            connections(said, which)
                .iter()
                .any(|connection| connection.opened.is_some_and(|opened| opened < *from))
        })
        .map(|(from, to, firm)| Loss {
            what: word(which),
            from,
            to: to.unwrap_or_else(|| said.end()),
            within: RED,
            firm,
        })
        .collect()
}

/// The connection that was opened for publishing alone is gone, and none has come in its place.
fn publisher(said: &Said<'_, '_>) -> Vec<Loss> {
    let broker = connections(said, Backend::Broker);
    let given = said
        .case
        .deliveries
        .iter()
        .find(|delivery| delivery.svc == Some(said.service))
        .map_or(u64::MAX, |delivery| delivery.n);
    let eager = broker.iter().any(|connection| {
        connection.publishes
            && !connection.consumes
            && connection.opened.is_some_and(|opened| opened.n < given)
    });
    if !eager {
        return Vec::new();
    }
    let apart: Vec<_> = broker
        .iter()
        .copied()
        .filter(|connection| !connection.consumes)
        .collect();
    gaps(said, "publisher", &apart)
        .into_iter()
        .filter(|loss| broker.iter().any(|connection| connection.is_open(loss.from.n)))
        .collect()
}
