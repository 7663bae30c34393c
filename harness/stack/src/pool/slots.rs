//! Which pair of backends serves which lease.
//!
//! A shared lease goes to a pair that others share, an exclusive one to a pair that nobody uses; a new pair is booted
//! when there is none and room is left, and an idle pair of other images gives way. After an exclusive lease the pair
//! has to pass the gate (both backends answer) or is replaced. A pair that somebody found unfit takes no more leases, and
//! is removed when the last one that shares it has ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::protocol::{BackendInfo, Mode, PairSpec};
use crate::backend::{self, Backend, Pair};
use crate::engine::Engine;

/// Most pairs at the same time. Two cores carry one for shared and one for exclusive leases.
const MOST_PAIRS: usize = 2;
/// Longest time for a backend to pass the gate after an exclusive lease; one that needs longer is replaced.
const GATE_DEADLINE: Duration = Duration::from_secs(10);

/// The pairs of a pool.
#[derive(Debug)]
pub(super) struct Slots {
    engine: Engine,
    pool: String,
    network: String,
    labels: BTreeMap<String, String>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    slots: BTreeMap<u64, Slot>,
}

#[derive(Debug)]
struct Slot {
    spec: PairSpec,
    pair: Option<Arc<Pair>>,
    users: usize,
    exclusive: bool,
    /// It is to be removed as soon as nobody uses it.
    unfit: bool,
}

/// A place on a pair.
#[derive(Debug)]
pub(super) struct Seat {
    slot: u64,
    mode: Mode,
    pub(super) broker: BackendInfo,
    pub(super) database: BackendInfo,
    pub(super) booted: Option<Duration>,
}

enum Step {
    Take(Box<Seat>),
    Boot(u64),
    Replace(u64, Arc<Pair>),
    Wait,
}

impl Slots {
    pub(super) fn new(
        engine: Engine,
        pool: String,
        network: String,
        labels: BTreeMap<String, String>,
    ) -> Self {
        Self {
            engine,
            pool,
            network,
            labels,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// A place for a lease; waits while all pairs are taken. `progress` is told what it waits for.
    pub(super) async fn take(
        &self,
        mode: Mode,
        spec: &PairSpec,
        mut progress: impl FnMut(&str),
    ) -> Result<Seat, String> {
        loop {
            // Registered before the state is read, so that no change is missed in between.
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let step = self.state.lock().await.step(mode, spec);
            match step {
                Step::Take(seat) => return Ok(*seat),
                Step::Boot(slot) => {
                    progress("starting a broker and a database");
                    return self.boot(slot, mode, spec).await;
                }
                Step::Replace(slot, pair) => {
                    progress("removing backends of other images");
                    self.discard(slot, Some(pair)).await;
                }
                Step::Wait => {
                    progress("waiting for a broker and a database to become free");
                    changed.await;
                }
            }
        }
    }

    async fn boot(&self, slot: u64, mode: Mode, spec: &PairSpec) -> Result<Seat, String> {
        let begin = Instant::now();
        let name = format!("{}-{slot}", self.pool);
        let booted = Pair::boot(&self.engine, spec, &name, &self.network, &self.labels).await;
        let mut state = self.state.lock().await;
        let result = match booted {
            Ok(pair) => {
                let pair = Arc::new(pair);
                let mut seat = Seat::on(slot, mode, &pair);
                seat.booted = Some(begin.elapsed());
                if let Some(slot) = state.slots.get_mut(&slot) {
                    slot.pair = Some(pair);
                }
                Ok(seat)
            }
            Err(error) => {
                state.slots.remove(&slot);
                Err(error.to_string())
            }
        };
        drop(state);
        self.changed.notify_waiters();
        result
    }

    /// Gives a place back. After an exclusive lease the pair passes the gate or is replaced.
    pub(super) async fn give_back(&self, seat: Seat, mut discard: bool) {
        let pair = {
            let mut state = self.state.lock().await;
            let Some(slot) = state.slots.get_mut(&seat.slot) else {
                return;
            };
            slot.unfit |= discard;
            if seat.mode == Mode::Shared && (slot.users > 1 || !slot.unfit) {
                slot.users -= 1;
                self.changed.notify_waiters();
                return;
            }
            // Still counted as a user, so that nobody else takes it meanwhile.
            slot.exclusive = true;
            discard = slot.unfit;
            slot.pair.clone()
        };
        let usable = !discard && self.gate(&seat).await;
        if usable {
            let mut state = self.state.lock().await;
            if let Some(slot) = state.slots.get_mut(&seat.slot) {
                slot.users = 0;
                slot.exclusive = false;
                // The addresses may have changed with a restart.
                if let Some(pair) = slot.pair.take() {
                    slot.pair = Some(Arc::new(pair.at(&self.engine, &self.network).await));
                }
            }
            drop(state);
            self.changed.notify_waiters();
        } else {
            self.discard(seat.slot, pair).await;
        }
    }

    /// Whether both backends answer.
    async fn gate(&self, seat: &Seat) -> bool {
        let check = |which: Backend, mut info: BackendInfo| async move {
            info.ip = self
                .engine
                .container_ip(&info.container, &self.network)
                .await
                .ok()?;
            backend::ready(&self.engine, which, &info, GATE_DEADLINE)
                .await
                .ok()
        };
        let (broker, database) = tokio::join!(
            check(Backend::Broker, seat.broker.clone()),
            check(Backend::Database, seat.database.clone())
        );
        broker.is_some() && database.is_some()
    }

    async fn discard(&self, slot: u64, pair: Option<Arc<Pair>>) {
        if let Some(pair) = pair {
            for info in [&pair.broker, &pair.database] {
                // What cannot be removed now goes with the pool.
                drop(self.engine.remove_container(&info.container).await);
            }
        }
        self.state.lock().await.slots.remove(&slot);
        self.changed.notify_waiters();
    }
}

impl State {
    fn step(&mut self, mode: Mode, spec: &PairSpec) -> Step {
        // A shared pair that is still booting will do, too, once it is there.
        let mut booting = false;
        for (&id, slot) in &mut self.slots {
            if slot.spec != *spec
                || slot.exclusive
                || slot.unfit
                || (mode == Mode::Exclusive && slot.users > 0)
            {
                continue;
            }
            match &slot.pair {
                Some(pair) => {
                    slot.users += 1;
                    slot.exclusive = mode == Mode::Exclusive;
                    return Step::Take(Box::new(Seat::on(id, mode, pair)));
                }
                None => booting = true,
            }
        }
        if booting && mode == Mode::Shared {
            return Step::Wait;
        }
        if self.slots.len() < MOST_PAIRS {
            self.next += 1;
            let exclusive = mode == Mode::Exclusive;
            self.slots.insert(
                self.next,
                Slot {
                    spec: spec.clone(),
                    pair: None,
                    users: 1,
                    exclusive,
                    unfit: false,
                },
            );
            return Step::Boot(self.next);
        }
        let idle = self
            .slots
            .iter_mut()
            .find(|(_, slot)| slot.users == 0 && slot.spec != *spec);
        if let Some((&id, slot)) = idle
            && let Some(pair) = slot.pair.clone()
        {
            slot.users = 1;
            slot.exclusive = true;
            return Step::Replace(id, pair);
        }
        Step::Wait
    }
}

impl Seat {
    fn on(slot: u64, mode: Mode, pair: &Pair) -> Self {
        Self {
            slot,
            mode,
            broker: pair.broker.clone(),
            database: pair.database.clone(),
            booted: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{State, Step};
    use crate::backend::Pair;
    use crate::pool::{BackendInfo, ImageRef, Mode, PairSpec};
    use std::sync::Arc;

    fn spec(image: &str) -> PairSpec {
        let image = ImageRef {
            reference: image.to_owned(),
            ours: true,
        };
        PairSpec {
            broker: image.clone(),
            database: image,
        }
    }

    fn finish(state: &mut State, slot: u64) {
        let info = BackendInfo {
            container: slot.to_string(),
            ip: [127, 0, 0, 1].into(),
            user: String::new(),
            password: String::new(),
            image: spec("a").broker,
        };
        state.slots.get_mut(&slot).unwrap().pair = Some(Arc::new(Pair::of(info.clone(), info)));
    }

    fn boot(state: &mut State, mode: Mode, image: &str) -> u64 {
        let Step::Boot(slot) = state.step(mode, &spec(image)) else {
            panic!("no boot")
        };
        finish(state, slot);
        slot
    }

    #[test]
    fn shared_leases_share_and_an_exclusive_one_does_not() {
        let mut state = State::default();
        let shared = boot(&mut state, Mode::Shared, "a");
        assert!(matches!(state.step(Mode::Shared, &spec("a")), Step::Take(seat) if seat.slot == shared));
        let exclusive = boot(&mut state, Mode::Exclusive, "a");
        assert_ne!(shared, exclusive);
        assert!(matches!(state.step(Mode::Exclusive, &spec("a")), Step::Wait));
        assert!(matches!(state.step(Mode::Shared, &spec("a")), Step::Take(seat) if seat.slot == shared));
    }

    #[test]
    fn an_unfit_pair_takes_no_more_leases() {
        let mut state = State::default();
        let slot = boot(&mut state, Mode::Shared, "a");
        state.slots.get_mut(&slot).unwrap().unfit = true;
        assert!(matches!(state.step(Mode::Shared, &spec("a")), Step::Boot(_)));
    }

    #[test]
    fn an_idle_pair_serves_an_exclusive_lease() {
        let mut state = State::default();
        let slot = boot(&mut state, Mode::Shared, "a");
        state.slots.get_mut(&slot).unwrap().users = 0;
        assert!(matches!(state.step(Mode::Exclusive, &spec("a")), Step::Take(seat) if seat.slot == slot));
        assert!(matches!(state.step(Mode::Shared, &spec("a")), Step::Boot(_)));
    }

    #[test]
    fn a_second_shared_lease_waits_for_the_boot_of_the_first() {
        let mut state = State::default();
        assert!(matches!(state.step(Mode::Shared, &spec("a")), Step::Boot(1)));
        assert!(matches!(state.step(Mode::Shared, &spec("a")), Step::Wait));
    }

    #[test]
    fn an_idle_pair_of_other_images_gives_way() {
        let mut state = State::default();
        let old = boot(&mut state, Mode::Shared, "a");
        boot(&mut state, Mode::Exclusive, "a");
        assert!(matches!(state.step(Mode::Shared, &spec("b")), Step::Wait));
        state.slots.get_mut(&old).unwrap().users = 0;
        assert!(matches!(state.step(Mode::Shared, &spec("b")), Step::Replace(slot, _) if slot == old));
    }
}
