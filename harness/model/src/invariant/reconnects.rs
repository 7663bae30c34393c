//! `reconnects-bounded`: a service that cannot get through to a backend waits before it dials again.
//!
//! Counted are dials that came to nothing: the backend could not be reached, did not let the service in, or let it in and
//! was left again without a delivery, publish or statement. In no second may there be more of them than honest clients
//! make; the constants say how many those are. Dials that serve a purpose, however many, are not counted: a service may
//! open a connection for each statement.
//!
//! A dial that a tap has refused because its backend was known to be down is not in the ledger and cannot be counted.
//! While a link passes no bytes, or passes them late, its dials are not recorded when they are made, so they are not
//! counted either, until a little after its healing.

use crate::event::Backend;
use crate::fault::{FaultKind, FrameAction};
use crate::name::Name;
use crate::verdict::{Finding, Kind};

use super::case::{Case, Connection, Moment, word};
use super::story;

/// The rule's name.
pub(super) const ID: &str = "reconnects-bounded";

/// The time in which dials are counted, in nanoseconds.
const WINDOW: u64 = 1_000_000_000;

/// Dials in that time for each connection that a service has to the broker. Waiting from 100 ms up, doubled each time,
/// makes 4 of them, and always waiting 100 ms, which is the least that can be called waiting, makes 10; the rest is for
/// what a busy machine moves closer together. One that does not wait makes hundreds.
const BROKER: usize = 15;

/// The same for each connection to the database. Pools begin with 1 ms, doubled each time, which makes 10, and begin
/// again when their user gives up and the next one asks.
const DATABASE: usize = 20;

/// Dials in that time on behalf of the harness: a health endpoint may dial when it is asked, which is ten times a second.
const ASKED: usize = 10;

/// So long after a link passes bytes again, in nanoseconds, dials may still be recorded that were made before.
const LATE: u64 = 2_000_000_000;

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in case.topology().services.keys() {
        for to in [Backend::Broker, Backend::Database] {
            findings.extend(storm(case, service, to));
        }
    }
    findings
}

fn storm(case: &Case<'_>, service: &Name, to: Backend) -> Option<Finding> {
    let dials: Vec<_> = case
        .connections()
        .iter()
        .filter(|dial| dial.svc == service && dial.to == to)
        .collect();
    let vain: Vec<_> = dials
        .iter()
        .filter(|dial| dial.ended.is_some() && !dial.used && !late(case, dial))
        .map(|dial| dial.dialled)
        .collect();
    let connections = connections(case, service, to, &dials);
    let each = match to {
        Backend::Broker => BROKER,
        Backend::Database => DATABASE,
    };
    let mut from = 0;
    let mut worst: Option<(usize, Moment, Moment)> = None;
    for (i, dialled) in vain.iter().enumerate() {
        while dialled.at.saturating_sub(vain[from].at) >= WINDOW {
            from += 1;
        }
        let count = i + 1 - from;
        // A message may be reason enough for a dial of its own.
        let most = each * connections + ASKED + given(case, service, vain[from], *dialled);
        if count > most && worst.is_none_or(|(worst, ..)| count > worst) {
            worst = Some((count, vain[from], *dialled));
        }
    }
    let (count, first, last) = worst?;
    let what = format!(
        "{service} dialled the {} {count} times within {} ms, from #{} to #{}, and did not get through; a service that waits \
         in between makes at most {} for {}",
        word(to),
        last.at.saturating_sub(first.at) / 1_000_000,
        first.n,
        last.n,
        each * connections + ASKED,
        story::counted(connections as u64, "connection"),
    );
    Some(Finding::new(Kind::Fail, ID, what).shown_by([first.n, last.n]))
}

/// Most connections that the service had, or may have wanted, at the same time.
fn connections(case: &Case<'_>, service: &Name, to: Backend, dials: &[&Connection<'_>]) -> usize {
    let seen = dials
        .iter()
        .filter_map(|dial| dial.opened)
        .map(|opened| dials.iter().filter(|dial| dial.is_open(opened.n)).count())
        .max()
        .unwrap_or(0);
    let described = case.topology().service(service);
    let (workers, instances) = described.map_or((1, 1), |service| {
        (usize::from(service.concurrency), usize::from(service.instances))
    });
    let wanted = match to {
        Backend::Broker => 1,
        // One for each worker and one to see whether it is there.
        Backend::Database => workers + 1,
    };
    seen.max(wanted * instances)
}

/// Deliveries to the service from one moment to another.
fn given(case: &Case<'_>, service: &Name, from: Moment, to: Moment) -> usize {
    case.deliveries
        .iter()
        .filter(|delivery| delivery.svc == Some(service) && (from.n..=to.n).contains(&delivery.n))
        .count()
}

/// It may have been made long before it was recorded.
fn late(case: &Case<'_>, dial: &Connection<'_>) -> bool {
    case.touching(dial.svc).any(|outage| {
        let slow = match outage.what {
            Some(FaultKind::CutLink { how, .. }) => how.is_half_open(),
            Some(FaultKind::Frames { does, .. }) => {
                matches!(does, FrameAction::Delay(_) | FrameAction::Reorder)
            }
            Some(FaultKind::ShapeLink { .. }) | None => true,
            Some(_) => false,
        };
        let over = outage
            .healed
            .is_some_and(|healed| healed.at.saturating_add(LATE) < dial.dialled.at);
        slow && outage.from <= dial.dialled && !over
    })
}
