//! Faults of a trial, and their life: armed, fired, bitten, healed.
//!
//! ```ignore
//! let outage = cx.fault(kill(Broker).when(nth(30, ack().by("analyzer"))))?;
//! // .. the body goes on; the 30th ack is held, and the broker killed while it is ..
//! outage.bitten().await?.heal().await?;
//! ```
//!
//! While the database is away, the last attempts of consumers wait in the taps (`bars`): how long it takes to bring it
//! back must not decide which reports end as dead letters.
//!
//! A fault is a value of the schedule ([`harness_model::fault`]) before it is anything else; [`ask`] is how a scenario
//! makes one. Its undoing is registered before it is done, so that a panic, a deadline or Ctrl-C in the body leaves
//! nothing broken behind. Each kind has a file of its own, with how it is injected, what proves that it bit, how it is
//! healed and what proves that; they all do this through [`act::Act`].

mod act;
mod alarm;
pub mod ask;
mod broken;
mod close;
mod cut_link;
mod frames;
mod kill;
mod life;
mod locked;
mod out_of_memory;
mod pause;
mod permissions;
mod read_only;
mod restart;
mod shape_link;
mod starved;
mod upstream;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness_model::event::{Fate, FaultChange, Step};
use harness_model::fault::{FaultPlan, On, Trigger};
use harness_model::name::Name;
use harness_model::seed::Seed;
use harness_runner::environment::Failure;
use harness_stack::wait;
use harness_wire::recorder::Gate;

use self::act::{Act, Scene};
use self::ask::{Fault, resolve};
use self::life::{Life, State};
use crate::bars::{self, Bars};
use crate::world::{World, lock};

/// Longest wait for a fault to take effect, from when it is awaited.
const BITE_DEADLINE: Duration = Duration::from_mins(1);

/// A fault of a trial.
pub(crate) struct Armed {
    pub(crate) plan: FaultPlan,
    act: Box<dyn Act>,
    gate: Mutex<Option<Arc<Gate>>>,
    /// What waits for its healing.
    bars: Mutex<Option<Bars>>,
    life: Life,
}

/// A fault that was asked for. It is healed at the end of the trial if the scenario does not do it.
#[derive(Clone)]
#[must_use = "wait for `bitten`, or the scenario says nothing about the time after the fault"]
pub struct Outage {
    world: Arc<World>,
    armed: Arc<Armed>,
}

/// A fault that has taken effect.
#[must_use = "a fault that is not healed by the scenario is healed after it"]
pub struct Bitten {
    outage: Outage,
}

/// Resolves the roles of a fault, puts it on the schedule and lets it run on a task of its own.
pub(crate) fn arm(world: &Arc<World>, fault: Fault, seed: Seed) -> Result<Outage, Failure> {
    let turn = lock(&world.log).faults.len() + 1;
    let id = Name::new(format!("fault-{turn}"));
    let (what, when) = resolve(world, fault, seed.derive(&format!("schedule-{turn}")))?;
    let act = act::of(world, &what)?;
    let gate = if let Some(trigger) = &when {
        Some(Arc::new(world.recorder.arm(id.clone(), trigger.clone())))
    } else {
        let (id, change) = (id.clone(), FaultChange::Armed);
        world.note(None, Step::Fault { id, change });
        None
    };
    let readings = when.as_ref().and_then(readings);
    let armed = Arc::new(Armed {
        plan: FaultPlan { id, what, when },
        act,
        gate: Mutex::new(gate),
        bars: Mutex::default(),
        life: Life::new(),
    });
    lock(&world.log).faults.push(Arc::clone(&armed));
    let outage = Outage {
        world: Arc::clone(world),
        armed,
    };
    if let Some(queue) = readings {
        tokio::spawn(read_depth(outage.clone(), queue));
    }
    tokio::spawn(drive(outage.clone()));
    Ok(outage)
}

/// The queue that a trigger wants to be read.
fn readings(trigger: &Trigger) -> Option<Name> {
    match &trigger.on {
        On::Depth { queue, .. } => Some(queue.clone()),
        _ => trigger.after.as_deref().and_then(readings),
    }
}

/// Reads a queue, again and again, until the fault that waits for its depth does so no more.
async fn read_depth(outage: Outage, queue: Name) {
    let Outage { world, armed } = &outage;
    let reading = wait::until("the depth of a queue", BITE_DEADLINE, || async {
        if !armed.life.is_waiting() {
            return Ok(());
        }
        let depth = world.messenger.lock().await.depth(&queue).await;
        if let Ok(depth) = depth {
            let step = Step::Depth {
                queue: queue.clone(),
                ready: depth.ready,
                consumers: depth.consumers,
            };
            world.note(None, step);
        }
        Err("still waited for".to_owned())
    });
    // Whoever waits for the fault says that it did not come.
    drop(reading.await);
}

/// Waits for the trigger, injects, proves.
async fn drive(outage: Outage) {
    let Outage { world, armed } = &outage;
    // The gate stays where the healer finds it as well.
    let gate = lock(&armed.gate).clone();
    let fired = match &gate {
        Some(gate) => tokio::select! {
            n = gate.fired() => Some(n),
            () = armed.life.disarmed() => return,
        },
        None => None,
    };
    if !armed.life.begin() {
        return;
    }
    let scene = Scene::new(world, &armed.plan, fired, gate);
    if bars::wanted(&armed.plan.what) {
        *lock(&armed.bars) = Some(Bars::close(&world.topology, &world.recorder));
    }
    if let Some(ms) = world.perturbation.fault_offset_ms {
        wait::pass(Duration::from_millis(ms.into())).await;
    }
    let still = world.still.read().await;
    let done = armed.act.inject(&scene).await;
    drop(still);
    // Only now, with the fault in effect, does the held frame learn its fate: it died with its connection, or, if that
    // still stands, it goes on.
    drop(lock(&armed.gate).take());
    scene.release(if done.is_ok() {
        armed.act.fate(&scene)
    } else {
        Fate::Forwarded
    });
    let outcome = done.map(|proof| {
        let change = FaultChange::Bitten { proof };
        let id = armed.plan.id.clone();
        world.note(None, Step::Fault { id, change });
    });
    armed.life.injected(outcome);
}

impl Armed {
    /// What is known of it, for a message.
    pub(crate) fn describe(&self) -> String {
        let seen = lock(&self.gate).as_ref().map(|gate| gate.count());
        let when = self.plan.when.as_ref().map(|trigger| {
            format!(
                " at {trigger} ({} seen so far)",
                seen.map_or("all".to_owned(), |count| count.to_string())
            )
        });
        format!("{}{}", self.plan.what, when.unwrap_or_default())
    }
}

impl Outage {
    /// The fault's id in the ledger.
    pub fn id(&self) -> &Name {
        &self.armed.plan.id
    }

    /// Waits until the fault has taken effect and has proved it.
    ///
    /// # Errors
    /// Invalid when its trigger does not fire in time or it did not bite; infra when the engine refused.
    pub async fn bitten(&self) -> Result<Bitten, Failure> {
        self.world
            .waiting_for(format!("{} to take effect", self.armed.describe()));
        match tokio::time::timeout(BITE_DEADLINE, self.armed.life.settled()).await {
            Ok(State::Failed(failure)) => Err(failure),
            Ok(State::Disarmed) => Err(Failure::invalid(format!(
                "{} was called off",
                self.armed.describe()
            ))),
            Ok(_) => Ok(Bitten { outage: self.clone() }),
            Err(_) => Err(Failure::invalid(format!(
                "{} did not happen within {} s",
                self.armed.describe(),
                BITE_DEADLINE.as_secs()
            ))),
        }
    }

    /// Undoes it and proves that it is undone. Disarms it if it has not fired.
    pub(crate) async fn heal(&self) -> Result<(), Failure> {
        let Self { world, armed } = self;
        if armed.life.disarm() {
            // Nobody is to be held up by it any more.
            if let Some(gate) = lock(&armed.gate).take() {
                gate.release(Fate::Forwarded);
            }
            return Ok(());
        }
        let bitten = match armed.life.settled().await {
            State::Bitten => true,
            // Whatever was done before the proof failed is undone.
            State::Failed(_) => false,
            _ => return Ok(()),
        };
        world.waiting_for(format!("{} to be healed", armed.plan.what));
        let scene = Scene::new(world, &armed.plan, None, None);
        let still = world.still.read().await;
        let healed = armed.act.heal(&scene).await;
        drop(still);
        drop(lock(&armed.bars).take());
        let proof = healed?;
        if bitten {
            let change = FaultChange::Healed { proof };
            let id = armed.plan.id.clone();
            world.note(None, Step::Fault { id, change });
        }
        armed.life.healed();
        Ok(())
    }
}

impl Bitten {
    /// Undoes the fault and waits until that is proved.
    ///
    /// # Errors
    /// Infra when it cannot be undone: the backend is then discarded.
    pub async fn heal(self) -> Result<(), Failure> {
        self.outage.heal().await
    }

    /// Lets the fault last, then undoes it: how long is a part of the fault, like the length of a delay.
    ///
    /// # Errors
    /// As [`Bitten::heal`].
    pub async fn heal_after(self, time: Duration) -> Result<(), Failure> {
        let what = format!("{} to last {} s", self.outage.armed.plan.what, time.as_secs_f64());
        self.outage.world.waiting_for(what);
        wait::pass(time).await;
        self.heal().await
    }
}

/// Heals whatever is still broken, the last fault first. All are tried; the first error is returned.
pub(crate) async fn heal_all(world: &Arc<World>) -> Result<(), Failure> {
    let faults: Vec<_> = lock(&world.log).faults.iter().rev().cloned().collect();
    let mut result = Ok(());
    for armed in faults {
        let outage = Outage {
            world: Arc::clone(world),
            armed,
        };
        result = result.and(outage.heal().await);
    }
    result
}
