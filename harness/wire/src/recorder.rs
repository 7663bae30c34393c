//! The trial's ledger while it is being written, and the triggers that wait for it.
//!
//! A [`Recorder`] numbers events in the order in which they are recorded, keeps them in memory for whoever waits or
//! judges, and appends them to a file with one write(2) for each batch. A tap records a batch **before** it forwards
//! the bytes, and asks in the same breath whether one of the units is to be held: see [`Gate`] and [`Rule`]. Everything
//! happens under one lock, so the order of the ledger, the counts of the triggers and what is held agree exactly.
//!
//! Deliberately not done: syncing the file to the disk (a ledger survives the death of its process, not that of the
//! machine), and giving up when the disk is full: the first write error is kept for [`Recorder::failure`] and the
//! recording goes on in memory.

mod gate;
mod rule;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use harness_model::event::{Event, Fate, FaultChange, Step};
use harness_model::fault::Trigger;
use harness_model::ledger::write_line;
use harness_model::name::Name;
use tokio::runtime::Handle;
use tokio::sync::Notify;

pub use self::gate::Gate;
pub(crate) use self::gate::{Hold, delay};
pub use self::rule::{Action, Rule, Standing};
use crate::clock::Clock;
use crate::codec::Unit;
use crate::thread::TapThread;

/// Writes the ledger of one trial. Clones write the same ledger.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Number of events that are in the file.
    len: AtomicU64,
    grown: Notify,
    connections: AtomicU32,
    thread: Mutex<Option<TapThread>>,
}

/// The connection that something is recorded for.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) svc: Name,
    pub(crate) conn: u32,
}

/// What [`Recorder::record`] did.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// So many units are in the ledger now; the others are not and must be recorded again.
    pub(crate) units: usize,
    /// What is to become of the last of them.
    pub(crate) verdict: Verdict,
}

/// What is to become of a unit.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Forward it.
    Pass,
    /// Wait.
    Hold(Hold),
    /// Do this at once.
    Do(Fate),
    /// Refuse the request that it is a part of, with this code.
    Refuse(u16),
}

#[derive(Debug)]
struct State {
    events: Vec<Event>,
    file: Option<File>,
    failure: Option<String>,
    /// Lines that are not in the file yet; empty whenever the lock is free.
    lines: Vec<u8>,
    gates: Vec<gate::Armed>,
    rules: Vec<rule::Active>,
    ids: u64,
    clock: Clock,
}

impl Recorder {
    /// A ledger in a new file at `path`, dated by `clock`.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path, clock: Clock) -> io::Result<Self> {
        Ok(Self::new(Some(File::create(path)?), clock))
    }

    /// A ledger in memory alone.
    pub fn in_memory() -> Self {
        Self::new(None, Clock::monotonic())
    }

    fn new(file: Option<File>, clock: Clock) -> Self {
        let state = State {
            events: Vec::new(),
            file,
            failure: None,
            lines: Vec::new(),
            gates: Vec::new(),
            rules: Vec::new(),
            ids: 0,
            clock,
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            len: AtomicU64::new(0),
            grown: Notify::new(),
            connections: AtomicU32::new(0),
            thread: Mutex::new(None),
        }))
    }

    /// Records a step that is not seen on a wire, and gives its number. It counts for triggers, but nothing is held.
    pub fn log(&self, svc: Option<&Name>, step: Step) -> u64 {
        self.append_one(svc.cloned(), None, step)
    }

    /// Records a step of a connection as such; like [`Recorder::log`], it may fire a trigger but is never held.
    pub(crate) fn step(&self, link: &Link, step: Step) {
        self.append_one(Some(link.svc.clone()), Some(link.conn), step);
    }

    fn append_one(&self, svc: Option<Name>, conn: Option<u32>, step: Step) -> u64 {
        let mut state = self.lock();
        let at = state.clock.nanos();
        let n = state.append(at, svc, conn, None, step);
        state.fire(n, None);
        self.publish(&mut state);
        n
    }

    /// Records units up to and including the first that must not simply be forwarded.
    pub(crate) fn record(&self, link: &Link, units: &mut [Unit]) -> Recorded {
        let mut recorded = Recorded {
            units: units.len(),
            verdict: Verdict::Pass,
        };
        if units.iter().all(|unit| unit.step.is_none()) {
            return recorded;
        }
        let mut state = self.lock();
        let at = state.clock.nanos();
        for (unit, count) in units.iter_mut().zip(1..) {
            let Some(step) = unit.step.take() else { continue };
            let n = state.append(at, Some(link.svc.clone()), Some(link.conn), unit.chan, step);
            let verdict = state.judge(n, unit.request.is_some(), self);
            if !matches!(verdict, Verdict::Pass) {
                // Whoever takes it out of the stream has to know what it was.
                unit.step = usize::try_from(n - 1)
                    .ok()
                    .and_then(|index| state.events.get(index))
                    .map(|event| event.step.clone());
                recorded = Recorded {
                    units: count,
                    verdict,
                };
                break;
            }
        }
        self.publish(&mut state);
        recorded
    }

    /// Makes the `nth` match from now on stop the unit that it is found in: see [`Gate`].
    pub fn arm(&self, fault: Name, trigger: Trigger) -> Gate {
        let mut state = self.lock();
        let gate = self.gate(&mut state, (fault.clone(), true), trigger);
        state.append_fault(Step::Fault {
            id: fault,
            change: FaultChange::Armed,
        });
        self.publish(&mut state);
        gate
    }

    /// Like [`Recorder::arm`], for what is no fault: a point that nothing is to pass before something else is done. The
    /// ledger tells only what was held, and what became of it.
    pub fn bar(&self, name: Name, trigger: Trigger) -> Gate {
        self.gate(&mut self.lock(), (name, false), trigger)
    }

    fn gate(&self, state: &mut State, named: (Name, bool), trigger: Trigger) -> Gate {
        state.ids += 1;
        let (armed, gate) = gate::arm(state.ids, named, trigger, &state.events, self.clone());
        state.gates.push(armed);
        gate
    }

    /// Applies `rule` to what is seen from now on, on behalf of `fault`, until the returned guard is dropped.
    pub fn rule(&self, fault: Name, rule: Rule) -> Standing {
        let mut state = self.lock();
        state.ids += 1;
        let id = state.ids;
        let (active, standing) = rule::stand(id, fault, rule, self.clone());
        state.rules.push(active);
        standing
    }

    /// The time that an event would be dated with if it happened now, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.lock().clock.nanos()
    }

    /// Number of events so far.
    pub fn len(&self) -> u64 {
        self.0.len.load(Ordering::Acquire)
    }

    /// Whether nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Resolves when there are more than `n` events. Safe to cancel.
    pub async fn past(&self, n: u64) {
        loop {
            // It is told of what is published from now on.
            let grown = self.0.grown.notified();
            if self.len() > n {
                return;
            }
            grown.await;
        }
    }

    /// Shows all events to `look`. Recording waits meanwhile, so `look` must be quick, and must not use the recorder or
    /// its gates itself: they would wait for each other.
    pub fn with<T>(&self, look: impl FnOnce(&[Event]) -> T) -> T {
        look(&self.lock().events)
    }

    /// The events after number `n`.
    pub fn since(&self, n: u64) -> Vec<Event> {
        self.with(|events| {
            events
                .get(usize::try_from(n).unwrap_or(usize::MAX)..)
                .unwrap_or_default()
                .to_vec()
        })
    }

    /// Why the ledger's file is not complete, if it is not.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// A number for a new connection.
    pub(crate) fn next_connection(&self) -> u32 {
        self.0.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The runtime that the taps of this trial run in.
    ///
    /// # Errors
    /// Its thread cannot be started.
    pub(crate) fn tap_runtime(&self) -> io::Result<Handle> {
        let mut thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = match &mut *thread {
            Some(thread) => thread,
            none => none.insert(TapThread::start()?),
        };
        Ok(thread.handle().clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what was appended and wakes who waits for it.
    fn publish(&self, state: &mut State) {
        state.flush();
        self.0.len.store(state.events.len() as u64, Ordering::Release);
        self.0.grown.notify_waiters();
    }
}

impl State {
    /// Appends an event and gives its number.
    fn append(
        &mut self,
        at: u64,
        svc: Option<Name>,
        conn: Option<u32>,
        chan: Option<u16>,
        step: Step,
    ) -> u64 {
        let n = self.events.len() as u64 + 1;
        let at = at.max(self.events.last().map_or(0, |event| event.at));
        let event = Event {
            n,
            at,
            svc,
            conn,
            chan,
            step,
        };
        if self.file.is_some() {
            write_line(&event, &mut self.lines);
        }
        self.events.push(event);
        n
    }

    /// Appends an event that is not about a link.
    fn append_fault(&mut self, step: Step) {
        self.append(self.clock.nanos(), None, None, None, step);
    }

    fn flush(&mut self) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(&self.lines)
        {
            tracing::error!(%error, "cannot write the ledger");
            self.failure = Some(error.to_string());
            self.file = None;
        }
        self.lines.clear();
    }
}

#[cfg(test)]
mod tests;
