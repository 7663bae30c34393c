//! Standing rules: what is done to every unit that matches, without anybody waiting for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness_model::event::{Event, Fate, Step};
use harness_model::fault::Pattern;
use harness_model::name::Name;

use super::{Recorder, State};

/// What a rule does to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Keeps it, and what is behind it in its direction, for so long.
    Delay(Duration),
    /// Takes it out of the stream.
    Drop,
    /// Sends it twice.
    Duplicate,
    /// Sends it after the next unit of its direction.
    Reorder,
    /// Keeps a statement from being executed, and gives the client this error code of the server for an answer.
    ///
    /// The server's transaction is left as the real error leaves it: 1213 (deadlock) has rolled it back, any other code
    /// (1205, lock wait timeout) has undone no more than the statement. The ledger has the statement, its release as
    /// [`Fate::Dropped`], and the error as the client sees it. A unit that is no statement passes untouched, and does
    /// not count.
    Refuse(u16),
}

/// Something to do to every unit that matches.
///
/// Dropping or duplicating a publish on a channel in confirm mode makes client and broker count differently from then
/// on, as it would without a tap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which units.
    pub pattern: Pattern,
    /// What is done.
    pub action: Action,
    /// To every so manieth match only: 3 leaves two alone and takes the third; 0 and 1 take each. What an older rule has
    /// taken is no match.
    pub every: u64,
    /// To so many units at most; absent means to all.
    pub limit: Option<u64>,
}

/// A rule in force. A unit that several rules match obeys the oldest; one that a gate holds obeys none.
#[derive(Debug)]
#[must_use = "dropping it ends the rule"]
pub struct Standing {
    id: u64,
    applied: Arc<AtomicU64>,
    recorder: Recorder,
}

/// The recorder's side of a [`Standing`].
#[derive(Debug)]
pub(super) struct Active {
    id: u64,
    fault: Name,
    rule: Rule,
    matches: u64,
    applied: Arc<AtomicU64>,
}

pub(super) fn stand(id: u64, fault: Name, rule: Rule, recorder: Recorder) -> (Active, Standing) {
    let applied = Arc::new(AtomicU64::new(0));
    (
        Active {
            id,
            fault,
            rule,
            matches: 0,
            applied: Arc::clone(&applied),
        },
        Standing {
            id,
            applied,
            recorder,
        },
    )
}

impl Standing {
    /// Number of units that it was applied to.
    pub fn count(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.recorder.lock().rules.retain(|active| active.id != self.id);
    }
}

impl Active {
    /// Whether it takes the unit that an event is.
    fn takes(&mut self, event: &Event, refusable: bool) -> bool {
        let spent = self
            .rule
            .limit
            .is_some_and(|limit| self.applied.load(Ordering::Relaxed) >= limit);
        let cannot = matches!(self.rule.action, Action::Refuse(_)) && !refusable;
        if spent || cannot || self.rule.pattern.count(event) == 0 {
            return false;
        }
        self.matches += 1;
        let takes = self.matches.is_multiple_of(self.rule.every.max(1));
        self.applied.fetch_add(u64::from(takes), Ordering::Relaxed);
        takes
    }
}

impl State {
    /// The rule for the unit that event `n`, the last one, is, with the fault. What is done at once is recorded at once;
    /// the end of a delay is not.
    pub(super) fn apply_rules(&mut self, n: u64, refusable: bool) -> Option<(Name, Action)> {
        let event = self.events.last()?;
        let mut rules = self.rules.iter_mut();
        let active = rules.find_map(|active| active.takes(event, refusable).then_some(&*active))?;
        let (fault, action) = (active.fault.clone(), active.rule.action);
        let fate = match action {
            Action::Delay(_) => None,
            Action::Drop | Action::Refuse(_) => Some(Fate::Dropped),
            Action::Duplicate => Some(Fate::Duplicated),
            Action::Reorder => Some(Fate::Reordered),
        };
        self.append_fault(match fate {
            None => Step::Held {
                fault: fault.clone(),
                event: n,
            },
            Some(fate) => Step::Released {
                fault: fault.clone(),
                event: n,
                fate,
            },
        });
        Some((fault, action))
    }
}
