//! Faults as a scenario asks for them, and their life: armed, fired, bitten, healed.
//!
//! ```ignore
//! let outage = cx.fault(kill(Broker).when(nth(30, ack().by("analyzer")))).await?;
//! // .. the body goes on; the 30th ack is held, and the broker killed while it is ..
//! outage.bitten().await?.heal().await?;
//! ```
//!
//! A fault is a value of the schedule ([`harness_model::fault`]) before it is anything else. Its undoing is registered
//! before it is done, so that a panic, a deadline or Ctrl-C in the body leaves nothing broken behind. Each kind has a
//! file of its own, with how it is injected, what proves that it bit, and what proves that it is healed.

mod cut_link;
mod kill;
mod life;
mod restart;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::life::{Life, State};
use crate::world::{World, lock};
use harness_model::event::{Backend, Fate, FaultChange, Step, StepKind};
use harness_model::fault::{Cut, FaultKind, FaultPlan, Pattern, Target, Trigger};
use harness_model::name::{Key, Name};
use harness_runner::environment::Failure;
use harness_wire::recorder::Gate;

/// Longest wait for a trigger, when the scenario does not say otherwise.
const FIRE_DEADLINE: Duration = Duration::from_mins(1);

/// A fault that a scenario asks for.
#[derive(Debug, Clone)]
#[must_use = "a fault does nothing until it is given to `Cx::fault`"]
pub struct Fault {
    what: FaultKind,
    when: Option<(u64, When)>,
}

/// Which events a trigger counts, in the topology's roles.
#[derive(Debug, Clone)]
#[must_use = "a pattern does nothing by itself; see `nth`"]
pub struct When {
    step: StepKind,
    by: Option<Name>,
    queue: Option<Name>,
    key: Option<Key>,
}

/// A backend or a service, as a target.
pub trait Aim {
    /// The target.
    fn target(self) -> Target;
}

/// The message broker.
#[derive(Debug, Clone, Copy)]
pub struct Broker;

/// The database.
#[derive(Debug, Clone, Copy)]
pub struct Database;

/// The service with this role.
#[derive(Debug, Clone, Copy)]
pub struct Service(pub &'static str);

impl Aim for Broker {
    fn target(self) -> Target {
        Target::Broker
    }
}

impl Aim for Database {
    fn target(self) -> Target {
        Target::Database
    }
}

impl Aim for Service {
    fn target(self) -> Target {
        Target::Service(Name::new(self.0))
    }
}

/// SIGKILL.
pub fn kill(aim: impl Aim) -> Fault {
    Fault {
        what: FaultKind::Kill { target: aim.target() },
        when: None,
    }
}

/// SIGTERM, wait for the exit, start again.
pub fn restart(aim: impl Aim) -> Fault {
    Fault {
        what: FaultKind::Restart { target: aim.target() },
        when: None,
    }
}

/// The connections of `service` to a backend are cut.
pub fn cut(service: &str, backend: Backend, how: Cut) -> Fault {
    Fault {
        what: FaultKind::CutLink {
            service: Name::new(service),
            backend,
            how,
        },
        when: None,
    }
}

impl Fault {
    /// Not at once, but at a step; the frame that is this step is held until the fault has taken effect.
    pub fn when(mut self, trigger: (u64, When)) -> Self {
        self.when = Some(trigger);
        self
    }
}

/// The nth event that matches, counted from when the fault is armed.
pub fn nth(nth: u64, when: When) -> (u64, When) {
    (nth, when)
}

/// Acknowledgements by consumers; one that covers several deliveries counts for each.
pub fn ack() -> When {
    When::any(StepKind::Ack)
}

/// Deliveries to consumers.
pub fn deliver() -> When {
    When::any(StepKind::Deliver)
}

/// Publishes.
pub fn publish() -> When {
    When::any(StepKind::Publish)
}

impl When {
    /// Any step of this kind.
    pub fn any(step: StepKind) -> Self {
        Self {
            step,
            by: None,
            queue: None,
            key: None,
        }
    }

    /// On the links of this service only.
    pub fn by(mut self, service: &str) -> Self {
        self.by = Some(Name::new(service));
        self
    }

    /// Of the queue with this role only.
    pub fn on(mut self, queue: &str) -> Self {
        self.queue = Some(Name::new(queue));
        self
    }

    /// Of this message only.
    pub fn of(mut self, key: impl Into<Key>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// A fault of a trial.
pub(crate) struct Armed {
    pub(crate) plan: FaultPlan,
    gate: Mutex<Option<Arc<Gate>>>,
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
pub(crate) fn arm(world: &Arc<World>, fault: Fault) -> Result<Outage, Failure> {
    let trigger = fault
        .when
        .map(|(nth, when)| resolve(world, nth, when))
        .transpose()?;
    check_target(world, &fault.what)?;
    let mut log = lock(&world.log);
    let id = Name::new(format!("fault-{}", log.faults.len() + 1));
    let plan = FaultPlan {
        id: id.clone(),
        what: fault.what,
        when: trigger.clone(),
    };
    let gate = if let Some(trigger) = trigger {
        Some(Arc::new(world.recorder.arm(id, trigger)))
    } else {
        world.note(
            None,
            Step::Fault {
                id,
                change: FaultChange::Armed,
            },
        );
        None
    };
    let armed = Arc::new(Armed {
        plan,
        gate: Mutex::new(gate),
        life: Life::new(),
    });
    log.faults.push(Arc::clone(&armed));
    drop(log);
    let outage = Outage {
        world: Arc::clone(world),
        armed,
    };
    tokio::spawn(drive(outage.clone()));
    Ok(outage)
}

fn resolve(world: &World, nth: u64, when: When) -> Result<Trigger, Failure> {
    if let Some(service) = &when.by {
        world.tap(service, Backend::Broker)?;
    }
    let queue = when
        .queue
        .map(|role| {
            world
                .topology
                .queue(&role)
                .map(|queue| queue.name.clone())
                .ok_or_else(|| {
                    let known: Vec<_> = world.topology.queues.keys().map(Name::as_str).collect();
                    Failure::invalid(format!("no queue has the role {role}"))
                        .hint(format!("there are {}", known.join(", ")))
                })
        })
        .transpose()?;
    let on = Pattern {
        by: when.by,
        queue,
        key: when.key,
        ..Pattern::new(when.step)
    };
    Ok(Trigger::nth(nth, on))
}

fn check_target(world: &World, what: &FaultKind) -> Result<(), Failure> {
    match what {
        FaultKind::Kill {
            target: Target::Service(service),
        }
        | FaultKind::Restart {
            target: Target::Service(service),
        }
        | FaultKind::CutLink { service, .. } => world.tap(service, Backend::Broker).map(drop),
        FaultKind::Kill { .. } | FaultKind::Restart { .. } => Ok(()),
        other => Err(Failure::invalid(format!("{other} is not offered"))),
    }
}

/// Waits for the trigger, injects, proves.
async fn drive(outage: Outage) {
    let Outage { world, armed } = &outage;
    // The gate stays where the healer finds it as well.
    let gate = lock(&armed.gate).clone();
    if let Some(gate) = &gate {
        tokio::select! {
            _ = gate.fired() => {}
            () = armed.life.disarmed() => return,
        }
    }
    if !armed.life.begin() {
        return;
    }
    let done = match &armed.plan.what {
        FaultKind::Kill { target } => kill::inject(world, target).await,
        FaultKind::Restart { target } => restart::inject(world, target).await,
        FaultKind::CutLink {
            service,
            backend,
            how,
        } => cut_link::inject(world, service, *backend, *how).await,
        other => Err(Failure::invalid(format!("{other} is not offered"))),
    };
    // Only now, with the fault in effect, does the held frame learn its fate: it died with its connection, or, if that
    // still stands, it goes on.
    drop(lock(&armed.gate).take());
    if let Some(gate) = gate {
        gate.release(if done.is_ok() {
            fate(&armed.plan.what)
        } else {
            Fate::Forwarded
        });
    }
    let outcome = done.map(|proof| {
        let change = FaultChange::Bitten { proof };
        let id = armed.plan.id.clone();
        world.note(None, Step::Fault { id, change });
    });
    armed.life.injected(outcome);
}

/// What becomes of the held frame when the fault is in effect.
fn fate(what: &FaultKind) -> Fate {
    match what {
        FaultKind::CutLink {
            how: Cut::HalfOpen, ..
        } => Fate::Forwarded,
        FaultKind::Kill { .. } | FaultKind::CutLink { .. } | FaultKind::Restart { .. } => Fate::Cut,
        _ => Fate::Forwarded,
    }
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
    /// Waits until the fault has taken effect and has proved it.
    ///
    /// # Errors
    /// Invalid when its trigger does not fire in time or it did not bite; infra when the engine refused.
    pub async fn bitten(&self) -> Result<Bitten, Failure> {
        self.world
            .waiting_for(format!("{} to take effect", self.armed.describe()));
        match tokio::time::timeout(FIRE_DEADLINE, self.armed.life.settled()).await {
            Ok(State::Failed(failure)) => Err(failure),
            Ok(State::Disarmed) => Err(Failure::invalid(format!(
                "{} was called off",
                self.armed.describe()
            ))),
            Ok(_) => Ok(Bitten { outage: self.clone() }),
            Err(_) => Err(Failure::invalid(format!(
                "{} did not happen within {} s",
                self.armed.describe(),
                FIRE_DEADLINE.as_secs()
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
            // Whatever was done before the proof failed is undone; a link of which nothing was cut needs no healing.
            State::Failed(_) if !matches!(armed.plan.what, FaultKind::CutLink { .. }) => false,
            _ => return Ok(()),
        };
        world.waiting_for(format!("{} to be healed", armed.plan.what));
        let proof = match &armed.plan.what {
            FaultKind::Kill { target } => kill::heal(world, target).await,
            FaultKind::Restart { target } => restart::heal(world, target).await,
            FaultKind::CutLink {
                service,
                backend,
                how,
            } => cut_link::heal(world, service, *backend, *how).await,
            _ => Ok("it was never injected".to_owned()),
        }?;
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
}

/// Heals whatever is still broken, the last fault first.
pub(crate) async fn heal_all(world: &Arc<World>) -> Result<(), Failure> {
    let faults: Vec<_> = lock(&world.log).faults.iter().rev().cloned().collect();
    for armed in faults {
        Outage {
            world: Arc::clone(world),
            armed,
        }
        .heal()
        .await?;
    }
    Ok(())
}
