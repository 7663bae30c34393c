//! Standing rules: what is done to every unit that matches, without anybody waiting for it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness_model::event::{Fate, Step};
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
    applied: Arc<AtomicU64>,
}

pub(super) fn stand(id: u64, fault: Name, rule: Rule, recorder: Recorder) -> (Active, Standing) {
    let applied = Arc::new(AtomicU64::new(0));
    (
        Active {
            id,
            fault,
            rule,
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

impl State {
    /// The rule for the unit that the events in `unit` are, with the fault and the event. What is done at once is
    /// recorded at once; the end of a delay is not.
    pub(super) fn apply_rules(&mut self, unit: Range<usize>) -> Option<(Name, u64, Action)> {
        let (active, event) = self.rules.iter().find_map(|active| {
            let spent = active
                .rule
                .limit
                .is_some_and(|limit| active.applied.load(Ordering::Relaxed) >= limit);
            let event = self.events[unit.clone()]
                .iter()
                .find(|event| active.rule.pattern.count(event) > 0)?;
            (!spent).then_some((active, event.n))
        })?;
        active.applied.fetch_add(1, Ordering::Relaxed);
        let (fault, action) = (active.fault.clone(), active.rule.action);
        let fate = match action {
            Action::Delay(_) => None,
            Action::Drop => Some(Fate::Dropped),
            Action::Duplicate => Some(Fate::Duplicated),
            Action::Reorder => Some(Fate::Reordered),
        };
        self.append_fault(match fate {
            None => Step::Held {
                fault: fault.clone(),
                event,
            },
            Some(fate) => Step::Released {
                fault: fault.clone(),
                event,
                fate,
            },
        });
        Some((fault, event, action))
    }
}
