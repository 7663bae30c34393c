//! Triggers that hold: the unit that fires one stops where it is until the fault has taken effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness_model::event::{Event, Fate, FaultChange, Step};
use harness_model::fault::{Matcher, Trigger};
use harness_model::name::Name;
use tokio::sync::{oneshot, watch};

use super::{Action, Recorder, State, Verdict};

/// An armed trigger.
///
/// Matches are counted from the moment of arming. The unit in which the count reaches the trigger's `nth` is held: the
/// units before it go on, it and everything behind it in that direction of that connection stays. From then on every
/// further match on any connection is held as well, so that nothing past the nth slips through, until
/// [`Gate::release`]. A trigger on a state that is *forwarded* ([`MessageState::is_forwarded`]) lets the unit itself go
/// on first, unless another gate holds it, and stops what is behind it. A held unit whose connection dies is released as
/// [`Fate::Cut`]. The ledger tells all of it: `fault armed`, the event, `held`, `fault fired`, `released`.
///
/// What is before the held unit has been forwarded, which is not to say that its receiver has acted on it: RabbitMQ
/// drops acks that it has read but not yet worked off when their connection is lost a moment later.
///
/// [`MessageState::is_forwarded`]: harness_model::fault::MessageState::is_forwarded
#[derive(Debug)]
#[must_use = "dropping a gate disarms it and forwards what it holds"]
pub struct Gate {
    id: u64,
    seen: Arc<Seen>,
    recorder: Recorder,
}

/// What a gate has seen; outlives the release.
#[derive(Debug, Default)]
struct Seen {
    count: AtomicU64,
    fired: watch::Sender<Option<u64>>,
}

/// The recorder's side of a [`Gate`].
#[derive(Debug)]
pub(super) struct Armed {
    id: u64,
    fault: Name,
    /// It is a fault's, so the ledger tells its life; a mere barrier shows by what it holds.
    told: bool,
    matcher: Matcher,
    seen: Arc<Seen>,
    /// The event that fired it.
    fired: Option<u64>,
    /// Who waits, by the event that is held.
    held: BTreeMap<u64, oneshot::Sender<Fate>>,
}

/// A unit that waits. Dropping it before it was released means that its connection died.
#[derive(Debug)]
pub(crate) struct Hold {
    parts: Vec<Part>,
    recorder: Recorder,
}

/// One reason to wait.
#[derive(Debug)]
struct Part {
    fault: Name,
    event: u64,
    /// The unit goes on at once, and what waits is what is behind it: its gate, which has to be told then.
    forwarded: Option<Arc<Seen>>,
    wait: Wait,
}

#[derive(Debug)]
enum Wait {
    Gate {
        id: u64,
        released: oneshot::Receiver<Fate>,
    },
    Timer(Duration),
    Done,
}

pub(super) fn arm(
    id: u64,
    (fault, told): (Name, bool),
    trigger: Trigger,
    past: &[Event],
    recorder: Recorder,
) -> (Armed, Gate) {
    let seen = Arc::new(Seen::default());
    let mut matcher = Matcher::new(trigger);
    matcher.remember(past);
    let armed = Armed {
        id,
        fault,
        told,
        matcher,
        seen: Arc::clone(&seen),
        fired: None,
        held: BTreeMap::new(),
    };
    (armed, Gate { id, seen, recorder })
}

impl Gate {
    /// Resolves to the number of the event that fired the trigger, where that is to be forwarded, after it was; never, if
    /// it does not happen. Safe to cancel.
    pub async fn fired(&self) -> u64 {
        let mut fired = self.seen.fired.subscribe();
        match fired.wait_for(Option::is_some).await.map(|event| *event) {
            Ok(Some(event)) => event,
            // The sender lives in `self`, and the predicate wants `Some`.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Matches so far.
    pub fn count(&self) -> u64 {
        // Whoever has seen an event, or the firing, sees it counted.
        let _whole = self.recorder.lock();
        self.seen.count.load(Ordering::Relaxed)
    }

    /// Number of units that are held right now.
    pub fn holding(&self) -> usize {
        let state = self.recorder.lock();
        state
            .gates
            .iter()
            .find(|armed| armed.id == self.id)
            .map_or(0, |armed| armed.held.len())
    }

    /// Opens the gate for good: the unit that fired it meets `fate`, the others that it holds are forwarded. What has gone
    /// on before can still be cut off from what is behind it; any other fate is too late for it. Does nothing if the gate
    /// was released before; disarms it if it has not fired.
    pub fn release(&self, fate: Fate) {
        let mut state = self.recorder.lock();
        let Some(index) = state.gates.iter().position(|armed| armed.id == self.id) else {
            return;
        };
        let armed = state.gates.remove(index);
        let too_late = armed.matcher.trigger().on.is_forwarded() && fate != Fate::Cut;
        for (event, waiting) in armed.held {
            let fate = if armed.fired == Some(event) && !too_late {
                fate
            } else {
                Fate::Forwarded
            };
            state.append_fault(Step::Released {
                fault: armed.fault.clone(),
                event,
                fate,
            });
            // A receiver that is gone was dropped after the lock was taken; its connection is dead either way.
            let _ = waiting.send(fate);
        }
        self.recorder.publish(&mut state);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.release(Fate::Forwarded);
    }
}

impl State {
    /// Counts event `n`, the last one. With `hold`, the unit that it is is held by every gate that it fires or that is
    /// closed to it.
    pub(super) fn fire(&mut self, n: u64, mut hold: Option<&mut Hold>) {
        let mut about = Vec::new();
        let Some(event) = self.events.last() else { return };
        for armed in &mut self.gates {
            let seen = armed.matcher.see(event);
            if seen.count == 0 {
                continue;
            }
            armed.seen.count.store(armed.matcher.count(), Ordering::Relaxed);
            if seen.fires {
                armed.fired = Some(n);
            }
            if armed.fired.is_none() {
                continue;
            }
            let mut goes_first = false;
            if let Some(hold) = &mut hold {
                goes_first = seen.fires && armed.matcher.trigger().on.is_forwarded();
                let (release, released) = oneshot::channel();
                armed.held.insert(n, release);
                let fault = armed.fault.clone();
                about.push(Step::Held {
                    fault: fault.clone(),
                    event: n,
                });
                hold.parts.push(Part {
                    fault,
                    event: n,
                    forwarded: goes_first.then(|| Arc::clone(&armed.seen)),
                    wait: Wait::Gate {
                        id: armed.id,
                        released,
                    },
                });
            }
            if seen.fires {
                let (id, change) = (armed.fault.clone(), FaultChange::Fired { by: n });
                about.extend(armed.told.then_some(Step::Fault { id, change }));
                if !goes_first {
                    armed.seen.fired.send_replace(Some(n));
                }
            }
        }
        for step in about {
            self.append_fault(step);
        }
    }

    /// What is to become of the unit that event `n`, the last one, is. Gates come before rules.
    pub(super) fn judge(&mut self, n: u64, refusable: bool, recorder: &Recorder) -> Verdict {
        if self.gates.is_empty() && self.rules.is_empty() {
            return Verdict::Pass;
        }
        let mut hold = Hold {
            parts: Vec::new(),
            recorder: recorder.clone(),
        };
        self.fire(n, Some(&mut hold));
        if !hold.parts.is_empty() {
            return Verdict::Hold(hold);
        }
        match self.apply_rules(n, refusable) {
            None => Verdict::Pass,
            Some((_, Action::Drop)) => Verdict::Do(Fate::Dropped),
            Some((_, Action::Refuse(code))) => Verdict::Refuse(code),
            Some((_, Action::Duplicate)) => Verdict::Do(Fate::Duplicated),
            Some((_, Action::Reorder)) => Verdict::Do(Fate::Reordered),
            Some((fault, Action::Delay(time))) => {
                hold.parts.push(Part {
                    fault,
                    event: n,
                    forwarded: None,
                    wait: Wait::Timer(time),
                });
                Verdict::Hold(hold)
            }
        }
    }
}

impl Hold {
    /// The unit is to be sent before the wait. Whoever else holds it wants it held, and is the stronger.
    pub(crate) fn goes_first(&self) -> bool {
        self.parts.iter().all(|part| part.forwarded.is_some())
    }

    /// Tells the gates that were to let the unit go on first.
    fn announce(&self) {
        for part in &self.parts {
            if let Some(seen) = &part.forwarded {
                seen.fired.send_replace(Some(part.event));
            }
        }
    }

    /// Resolves when every gate that holds the unit is released, to the gravest of their fates. To be called when what
    /// goes first has gone.
    pub(crate) async fn wait(&mut self) -> Fate {
        self.announce();
        let mut worst = Fate::Forwarded;
        for part in &mut self.parts {
            let fate = match &mut part.wait {
                // A gate sends before it is gone.
                Wait::Gate { released, .. } => released.await.unwrap_or(Fate::Forwarded),
                Wait::Timer(time) => {
                    delay(*time).await;
                    let mut state = self.recorder.lock();
                    let (fault, event) = (part.fault.clone(), part.event);
                    state.append_fault(Step::Released {
                        fault,
                        event,
                        fate: Fate::Forwarded,
                    });
                    self.recorder.publish(&mut state);
                    Fate::Forwarded
                }
                Wait::Done => Fate::Forwarded,
            };
            part.wait = Wait::Done;
            if gravity(fate) > gravity(worst) {
                worst = fate;
            }
        }
        worst
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a delay is the fault that was asked for; nothing else sleeps"
)]
pub(crate) async fn delay(time: Duration) {
    tokio::time::sleep(time).await;
}

fn gravity(fate: Fate) -> u8 {
    match fate {
        Fate::Forwarded => 0,
        Fate::Duplicated => 1,
        Fate::Reordered => 2,
        Fate::Dropped => 3,
        Fate::Cut => 4,
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.parts.iter().all(|part| matches!(part.wait, Wait::Done)) {
            return;
        }
        self.announce();
        let mut state = self.recorder.lock();
        for part in &self.parts {
            let lost = match &part.wait {
                // If the gate does not know it any more, it was released a moment ago, and the ledger says how.
                Wait::Gate { id, .. } => state
                    .gates
                    .iter_mut()
                    .find(|armed| armed.id == *id)
                    .is_some_and(|armed| armed.held.remove(&part.event).is_some()),
                Wait::Timer(_) => true,
                Wait::Done => false,
            };
            if lost {
                let (fault, event) = (part.fault.clone(), part.event);
                state.append_fault(Step::Released {
                    fault,
                    event,
                    fate: Fate::Cut,
                });
            }
        }
        self.recorder.publish(&mut state);
    }
}
