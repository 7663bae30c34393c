//! Consumers, channels and connections that a service has made in the place of others and never given up.
//!
//! A service that comes back after a disturbance by dialling or consuming once more, and leaves what it had, works, and
//! does so with one more of them each time. Compared is with what was there before the first fault; a service that had no
//! consumer then is not judged by number. A channel or connection counts as left behind if its consumers are gone, nothing
//! was published on it since, and its service consumes elsewhere: what is opened late, or kept for publishing, is neither.

use std::collections::BTreeMap;

use crate::event::{Event, FaultChange, Step};
use crate::name::Name;
use crate::verdict::Finding;

use super::super::case::{BROKER, Case, HARNESS, is_end};
use super::super::story;
use super::fail;

/// What is known of one channel, or of a connection as a whole.
#[derive(Debug, Default)]
struct Use {
    /// Queues by consumer tag, and the event at which each began.
    consumers: BTreeMap<Name, (Name, u64)>,
    /// The event at which the last consumer ended, if it had any and has none.
    idle: Option<u64>,
}

/// A connection of a service to the broker.
#[derive(Debug)]
struct Link<'a> {
    svc: &'a Name,
    channels: BTreeMap<u16, Use>,
    /// As in [`Use`], for channels that are closed by now.
    idle: Option<u64>,
}

impl Link<'_> {
    fn consumers(&self) -> impl Iterator<Item = &(Name, u64)> {
        self.channels
            .values()
            .flat_map(|channel| channel.consumers.values())
    }
}

/// The links of all services as they are after some event.
#[derive(Debug, Default)]
struct Links<'a>(BTreeMap<u32, Link<'a>>);

impl<'a> Links<'a> {
    fn take(&mut self, event: &'a Event) {
        if matches!(&event.step, Step::Container { name, change, .. } if *name == BROKER && is_end(change)) {
            self.0.clear();
        }
        let (Some(svc), Some(conn)) = (event.svc.as_ref().filter(|svc| **svc != HARNESS), event.conn) else {
            return;
        };
        if let Step::AmqpClosed { .. } | Step::Disconnect { .. } | Step::Opaque { .. } = event.step {
            self.0.remove(&conn);
            return;
        }
        let Some(chan) = event.chan else { return };
        if let Step::ChannelOpened = event.step {
            let link = self.0.entry(conn).or_insert_with(|| Link {
                svc,
                channels: BTreeMap::new(),
                idle: None,
            });
            link.channels.insert(chan, Use::default());
            return;
        }
        let Some(link) = self.0.get_mut(&conn) else { return };
        if let Step::ChannelClosed { .. } = event.step {
            if let Some(channel) = link.channels.remove(&chan)
                && (channel.idle.is_some() || !channel.consumers.is_empty())
            {
                link.idle = Some(event.n);
            }
            return;
        }
        let Some(channel) = link.channels.get_mut(&chan) else {
            return;
        };
        match &event.step {
            Step::Consume { queue, consumer, .. } => {
                channel
                    .consumers
                    .insert(consumer.clone(), (queue.clone(), event.n));
                channel.idle = None;
            }
            Step::Cancel { consumer, .. }
                if channel.consumers.remove(consumer).is_some() && channel.consumers.is_empty() =>
            {
                channel.idle = Some(event.n);
            }
            Step::Publish { .. } => (channel.idle, link.idle) = (None, None),
            _ => {}
        }
    }

    /// The events at which the consumers that are there began, by service and queue.
    fn consumers(&self) -> BTreeMap<(&'a Name, &Name), Vec<u64>> {
        let mut found: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for link in self.0.values() {
            for (queue, since) in link.consumers() {
                found.entry((link.svc, queue)).or_default().push(*since);
            }
        }
        found
    }
}

/// What is left over at the end.
pub(super) fn left_over(case: &Case<'_>) -> Vec<Finding> {
    let mut links = Links::default();
    // By service and queue, the most consumers before the first fault.
    let mut before: BTreeMap<(Name, Name), usize> = BTreeMap::new();
    let mut quiet = true;
    for event in case.events() {
        if let Step::Fault {
            change: FaultChange::Fired { .. } | FaultChange::Bitten { .. },
            ..
        } = event.step
        {
            quiet = false;
        }
        links.take(event);
        if quiet && matches!(event.step, Step::Consume { .. }) {
            for ((svc, queue), since) in links.consumers() {
                let most = before.entry((svc.clone(), queue.clone())).or_default();
                *most = since.len().max(*most);
            }
        }
    }
    let mut findings = too_many(case, &links, &before);
    findings.extend(left_behind(&links));
    findings
}

fn too_many(case: &Case<'_>, links: &Links<'_>, before: &BTreeMap<(Name, Name), usize>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for ((svc, queue), since) in links.consumers() {
        let Some(had) = before.get(&(svc.clone(), queue.clone())) else {
            continue;
        };
        // The broker has to agree: it may have taken a consumer away without a word.
        let all: usize = before
            .iter()
            .filter(|((_, of), _)| of == queue)
            .map(|(_, most)| most)
            .sum();
        let agreed = case
            .end()
            .queues
            .get(queue)
            .is_some_and(|state| state.consumers > all as u64);
        if since.len() > *had && agreed {
            let role = case.topology().queue_role(queue).unwrap_or(queue);
            let what = format!(
                "{svc} has {} on queue {role} at the end; before the first fault it had {had}",
                story::counted(since.len() as u64, "consumer"),
            );
            findings.push(fail(what).shown_by(since));
        }
    }
    findings
}

fn left_behind(links: &Links<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (conn, link) in &links.0 {
        let elsewhere = |but: Option<u16>| {
            links.0.iter().any(|(other, found)| {
                let channels = found
                    .channels
                    .iter()
                    .filter(|(chan, _)| other != conn || but.is_some_and(|but| **chan != but));
                found.svc == link.svc
                    && channels
                        .into_iter()
                        .any(|(_, channel)| !channel.consumers.is_empty())
            })
        };
        let svc = link.svc;
        let whole = link
            .channels
            .values()
            .filter_map(|channel| channel.idle)
            .chain(link.idle)
            .max();
        // A connection on which something else is done, however little, is in use.
        let unused = link.channels.values().all(|channel| channel.idle.is_some());
        if let Some(since) = whole.filter(|_| unused && elsewhere(None)) {
            let what = format!(
                "{svc} has left connection {conn} open: its consumers ended at #{since}, nothing was published on it since, \
                 and {svc} consumes on another one"
            );
            findings.push(fail(what).shown_by([since]));
            continue;
        }
        for (chan, channel) in &link.channels {
            if let Some(since) = channel.idle.filter(|_| elsewhere(Some(*chan))) {
                let what = format!(
                    "{svc} has left channel {chan} of connection {conn} open: its consumers ended at #{since}, nothing was \
                     published on it since, and {svc} consumes on another one"
                );
                findings.push(fail(what).shown_by([since]));
            }
        }
    }
    findings
}
