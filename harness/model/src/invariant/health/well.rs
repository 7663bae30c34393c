//! Times in which a service has all it needs and has to say so.

use std::collections::BTreeSet;

use crate::event::{Backend, Event, Step};
use crate::name::Name;
use crate::verdict::{Finding, Kind};

use super::super::case::{BROKER, Case, DATABASE, Moment, is_instance};
use super::{Answer, GREEN, ID, Said};

/// The longest doubt without a reason, in nanoseconds: twice what a probe of a busy backend may take.
const DOUBT: u64 = 2_000_000_000;

/// The same for an endpoint that does not answer: the harness waits for five seconds before it says so.
const SILENCE: u64 = 6_000_000_000;

/// So many doubts, however short, are no chance.
const DOUBTS: usize = 3;

/// A time in which nothing is wrong.
struct Window {
    /// The last thing that happened to the service.
    since: Moment,
    from: u64,
    to: u64,
}

/// Answers in a row that are not those of a healthy service.
struct Spell {
    first: Answer,
    /// Something was answered.
    spoken: bool,
    to: u64,
}

/// Finds answers that claim a trouble that there is not.
pub(super) fn well(said: &Said<'_, '_>) -> Option<Finding> {
    let windows = windows(said);
    let mut doubts = Vec::new();
    for spell in spells(said) {
        for window in &windows {
            let from = spell.first.since.at.max(window.from);
            let to = spell.to.min(window.to);
            if from >= to {
                continue;
            }
            let limit = if spell.spoken { DOUBT } else { SILENCE };
            if to - from >= limit {
                return Some(unfounded(said, &spell, window, to));
            }
            if spell.spoken && spell.first.since.at >= window.from {
                doubts.push(spell.first);
            }
        }
    }
    let (first, last) = (doubts.first()?, doubts.last()?);
    (doubts.len() >= DOUBTS).then(|| {
        let what = format!(
            "{} says {} times that it is not well, first at #{} ({}), last at #{}, and nothing was wrong with it",
            said.service,
            doubts.len(),
            first.since.n,
            first.status,
            last.since.n
        );
        Finding::new(Kind::Fail, ID, what).shown_by(doubts.iter().map(|doubt| doubt.since.n))
    })
}

fn unfounded(said: &Said<'_, '_>, spell: &Spell, window: &Window, to: u64) -> Finding {
    let Answer { since, status, .. } = spell.first;
    let answer = if status == 0 {
        "does not answer".into()
    } else {
        format!("says that it is not well ({status})")
    };
    let what = format!(
        "{} {answer} from #{} on, and nothing has been wrong with it for {} ms, since #{}; {} ms after it has all it needs it \
         has to be well",
        said.service,
        since.n,
        to.saturating_sub(window.since.at) / 1_000_000,
        window.since.n,
        GREEN / 1_000_000,
    );
    Finding::new(Kind::Fail, ID, what).shown_by([since.n, window.since.n])
}

fn spells(said: &Said<'_, '_>) -> Vec<Spell> {
    let end = said.end().at;
    let mut spells: Vec<Spell> = Vec::new();
    let mut open = false;
    for answer in &said.answers {
        match (spells.last_mut().filter(|_| open), answer.healthy) {
            (Some(spell), true) => spell.to = answer.since.at,
            (Some(spell), false) => spell.spoken |= answer.status != 0,
            (None, false) => spells.push(Spell {
                first: *answer,
                spoken: answer.status != 0,
                to: end,
            }),
            (None, true) => {}
        }
        open = !answer.healthy;
    }
    spells
}

/// What a service has, while the ledger is read.
#[derive(Default)]
struct State<'a> {
    consumers: BTreeSet<(u32, u16, &'a Name)>,
    blocked: BTreeSet<u32>,
    uses_database: bool,
    /// The database has answered since the last thing that happened.
    answered: Option<Moment>,
}

fn windows(said: &Said<'_, '_>) -> Vec<Window> {
    let case = said.case;
    let disturbances = case.disturbances(said.service);
    let bounds: BTreeSet<u64> = disturbances
        .iter()
        .flat_map(|(from, to)| [Some(from.n), to.map(|to| to.n)])
        .flatten()
        .collect();
    let mut state = State::default();
    let mut since = Moment { n: 0, at: 0 };
    let mut windows = Vec::new();
    for event in case.events() {
        let ours = event.svc.as_ref() == Some(said.service);
        if ours && matches!(event.step, Step::DbOk { .. }) {
            state.answered = state.answered.or(Some(Moment::of(event)));
        }
        if bounds.contains(&event.n) || happens(said.service, ours, event) {
            windows.extend(window(said, &state, since, event.at));
            since = Moment::of(event);
            state.answered = None;
        }
        if ours {
            state.take(event);
        }
    }
    windows.extend(window(said, &state, since, said.end().at.saturating_add(1)));
    windows.retain(|window| {
        !disturbances
            .iter()
            .any(|(from, to)| from.n <= window.since.n && to.is_none_or(|to| to.n > window.since.n))
    });
    windows
}

/// It may change how the service is.
fn happens(service: &Name, ours: bool, event: &Event) -> bool {
    match &event.step {
        Step::Disconnect { .. }
        | Step::AmqpOpened { .. }
        | Step::AmqpClosed { .. }
        | Step::ChannelClosed { .. }
        | Step::DialFailed { .. }
        | Step::Opaque { .. }
        | Step::Blocked { .. }
        | Step::Unblocked
        | Step::Consume { .. }
        | Step::Cancel { .. }
        | Step::DbErr { .. } => ours,
        Step::Container { name, .. } => *name == BROKER || *name == DATABASE || is_instance(name, service),
        _ => false,
    }
}

impl<'a> State<'a> {
    fn take(&mut self, event: &'a Event) {
        let (conn, chan) = (event.conn.unwrap_or(0), event.chan.unwrap_or(0));
        match &event.step {
            Step::Consume { consumer, .. } => drop(self.consumers.insert((conn, chan, consumer))),
            Step::Cancel { consumer, .. } => drop(self.consumers.remove(&(conn, chan, consumer))),
            Step::ChannelClosed { .. } => self.consumers.retain(|found| (found.0, found.1) != (conn, chan)),
            Step::Disconnect { .. } | Step::AmqpClosed { .. } | Step::Opaque { .. } => {
                self.consumers.retain(|found| found.0 != conn);
                self.blocked.remove(&conn);
            }
            Step::Blocked { .. } => drop(self.blocked.insert(conn)),
            Step::Unblocked => drop(self.blocked.remove(&conn)),
            Step::Statement { .. } => self.uses_database = true,
            _ => {}
        }
    }
}

/// The time from when the service has had all it needs for long enough to the next thing that happens.
fn window(said: &Said<'_, '_>, state: &State<'_>, since: Moment, to: u64) -> Option<Window> {
    let consuming = said.described.consumes.is_none() || !state.consumers.is_empty();
    if !consuming || !state.blocked.is_empty() || !publishes(said.case, said.service, since) {
        return None;
    }
    let back = if state.uses_database {
        state.answered?.at
    } else {
        since.at
    };
    let from = back.saturating_add(GREEN);
    (from < to).then_some(Window { since, from, to })
}

/// If the service has ever kept a connection for publishing only, it has one that it can publish on.
fn publishes(case: &Case<'_>, service: &Name, now: Moment) -> bool {
    let apart = || {
        case.connections().iter().filter(|connection| {
            connection.svc == service && connection.to == Backend::Broker && !connection.consumes
        })
    };
    let kept = apart()
        .any(|connection| connection.publishes && connection.opened.is_some_and(|opened| opened <= now));
    !kept || apart().any(|connection| connection.is_open(now.n))
}
