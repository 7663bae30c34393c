//! What every kind of fault can do: be injected, prove it, be healed, prove that.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use harness_model::event::{Backend, Event, Fate, Step};
use harness_model::fault::{FaultKind, FaultPlan, Target};
use harness_model::name::Name;
use harness_runner::environment::Failure;
use harness_runner::scenario::Needs;
use harness_stack::client::HARNESS;
use harness_wire::recorder::Gate;

use super::{
    alarm, broken, close, cut_link, frames, kill, locked, out_of_memory, pause, permissions, read_only,
    restart, shape_link, starved, upstream,
};
use crate::world::{World, lock};

/// What shows that something has happened.
pub(super) type Proof = Result<String, Failure>;

/// One fault, with what it has to keep until it is healed.
pub(super) trait Act: Send + Sync {
    /// Does the damage, and proves that it took effect.
    ///
    /// An error says invalid when it did not bite, infra when it could not be tried.
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof>;

    /// Undoes the damage, also what was done before a failed proof, and proves that it is undone.
    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof>;

    /// What becomes of the frame that was held for it, once it is in effect. A frame whose connection has died is lost
    /// whatever this says.
    fn fate(&self, scene: &Scene) -> Fate {
        let _ = scene;
        Fate::Forwarded
    }
}

/// Where a fault is: in a trial, perhaps with a frame held for it.
pub(super) struct Scene {
    pub(super) world: Arc<World>,
    pub(super) id: Name,
    gate: Option<Arc<Gate>>,
    fired: Option<u64>,
}

impl Scene {
    pub(super) fn new(
        world: &Arc<World>,
        plan: &FaultPlan,
        fired: Option<u64>,
        gate: Option<Arc<Gate>>,
    ) -> Self {
        Self {
            world: Arc::clone(world),
            id: plan.id.clone(),
            gate,
            fired,
        }
    }

    /// Lets the held frame go. Only the first call does something.
    pub(super) fn release(&self, fate: Fate) {
        if let Some(gate) = &self.gate {
            gate.release(fate);
        }
    }

    /// The event that the held frame is.
    pub(super) fn held(&self) -> Option<Event> {
        let index = usize::try_from(self.fired?.checked_sub(1)?).ok()?;
        self.world.recorder.with(|events| events.get(index).cloned())
    }

    /// The proof that a fault bit: the first event after number `from` that `is` it, with `what` it shows.
    ///
    /// # Errors
    /// Invalid when there is none `within` the time, saying that `nobody` was touched.
    pub(super) async fn bite(
        &self,
        from: u64,
        within: Duration,
        what: &str,
        nobody: &str,
        is: impl Fn(&Event) -> bool,
    ) -> Proof {
        // What befalls the harness' own link proves nothing about a service.
        let of_service = |event: &Event| event.svc.as_ref().is_none_or(|svc| *svc != HARNESS) && is(event);
        match self.event(from, within, of_service).await {
            Some(n) => Ok(format!("{what}, event {n}")),
            None => Err(Failure::invalid(format!(
                "{nobody} within {} s",
                within.as_secs()
            ))),
        }
    }

    /// Waits for the first event after number `from` that `is` what it is awaited for, and gives its number; none within
    /// the time is none.
    pub(super) async fn event(
        &self,
        from: u64,
        within: Duration,
        is: impl Fn(&Event) -> bool,
    ) -> Option<u64> {
        let seen = async {
            let mut next = from;
            loop {
                let events = self.world.recorder.since(next);
                next += events.len() as u64;
                if let Some(found) = events.iter().find(|event| is(event)) {
                    return found.n;
                }
                self.world.recorder.past(next).await;
            }
        };
        tokio::time::timeout(within, seen).await.ok()
    }
}

/// The backend that a target is, if it is one.
pub(super) fn as_backend(target: &Target) -> Option<Backend> {
    match target {
        Target::Broker => Some(Backend::Broker),
        Target::Database => Some(Backend::Database),
        Target::Service(_) => None,
    }
}

/// Whether a fault does harm to a backend that other trials may be using.
fn hurts_a_backend(what: &FaultKind) -> bool {
    match what {
        FaultKind::Kill { target } | FaultKind::Restart { target } | FaultKind::Pause { target } => {
            as_backend(target).is_some()
        }
        FaultKind::Alarm { .. } | FaultKind::ReadOnly | FaultKind::DiskFull => true,
        _ => false,
    }
}

fn known(world: &World, service: &Name) -> Result<(), Failure> {
    world.tap(&world.role_of(service), Backend::Broker).map(drop)
}

/// The names on the broker of a queue and what belongs to it.
pub(super) fn queue<'a>(
    world: &'a World,
    role: &Name,
) -> Result<&'a harness_model::topology::Queue, Failure> {
    world.topology.queue(role).ok_or_else(|| {
        let known: Vec<_> = world.topology.queues.keys().map(Name::as_str).collect();
        Failure::invalid(format!("no queue has the role {role}"))
            .hint(format!("there are {}", known.join(", ")))
    })
}

/// What a kind of fault does.
///
/// # Errors
/// Invalid when it is aimed at something that is not there, would hurt other trials, or is not offered here.
pub(super) fn of(world: &Arc<World>, what: &FaultKind) -> Result<Box<dyn Act>, Failure> {
    if hurts_a_backend(what) && world.needs != Needs::Exclusive {
        return Err(
            Failure::invalid(format!("{what} would hurt the trials that share this backend"))
                .hint("declare the scenario with `.exclusive()`"),
        );
    }
    Ok(match what {
        FaultKind::Kill { target } => {
            if let Target::Service(service) = target {
                known(world, service)?;
            }
            Box::new(kill::Kill::new(target))
        }
        FaultKind::Restart { target } => {
            if let Target::Service(service) = target {
                known(world, service)?;
            }
            Box::new(restart::Restart::new(target))
        }
        FaultKind::Pause { target } => {
            if let Target::Service(service) = target {
                known(world, service)?;
            }
            Box::new(pause::Pause::new(target))
        }
        FaultKind::OutOfMemory { service } => {
            known(world, service)?;
            Box::new(out_of_memory::OutOfMemory::new(service))
        }
        FaultKind::CutLink {
            service,
            backend,
            how,
        } => {
            known(world, service)?;
            Box::new(cut_link::CutLink::new(service, *backend, *how))
        }
        FaultKind::ShapeLink {
            service,
            backend,
            shape,
        } => {
            known(world, service)?;
            Box::new(shape_link::ShapeLink::new(service, *backend, *shape))
        }
        FaultKind::Frames {
            on,
            does,
            every,
            limit,
        } => Box::new(frames::Frames::new(on, *does, *every, *limit)),
        FaultKind::Alarm { resource } => Box::new(alarm::Alarm::new(*resource)),
        FaultKind::CloseConnections => Box::new(close::Connections),
        FaultKind::CloseChannel { service } => {
            known(world, service)?;
            Box::new(close::Channel::new(service))
        }
        FaultKind::DeleteQueue { queue: role }
        | FaultKind::RedeclareQueue { queue: role }
        | FaultKind::PurgeQueue { queue: role }
        | FaultKind::DropPolicy { queue: role }
        | FaultKind::DropRetryQueue { queue: role } => {
            queue(world, role)?;
            Box::new(broken::Broken::new(what))
        }
        FaultKind::DeleteExchange { exchange } => {
            if !world.topology.exchanges.contains_key(exchange) {
                return Err(Failure::invalid(format!("no exchange has the role {exchange}")));
            }
            Box::new(broken::Broken::new(what))
        }
        FaultKind::Unbind { route } => {
            if !world.topology.routes.contains_key(route) {
                return Err(Failure::invalid(format!("no route has the role {route}")));
            }
            Box::new(broken::Broken::new(what))
        }
        FaultKind::RevokePermissions => Box::new(permissions::Permissions),
        FaultKind::ExhaustConnections => Box::<starved::Starved>::default(),
        FaultKind::LockRows => Box::new(locked::Locked::rows()),
        FaultKind::LockTable => Box::new(locked::Locked::table()),
        FaultKind::ReadOnly => Box::new(read_only::ReadOnly),
        FaultKind::DiskFull => {
            return Err(Failure::invalid(
                "a full disk of the database is not offered: its data lies on the engine's own disk, \
                 and filling that would hurt everybody",
            ));
        }
        FaultKind::Upstream { name, does, limit } => {
            if !world.upstreams.contains_key(name) {
                return Err(
                    Failure::invalid(format!("the harness does not play {name} in this trial"))
                        .hint("declare the scenario with `.setup(&[Setup::Upstream(..)])`"),
                );
            }
            Box::new(upstream::Misbehave::new(name, *does, *limit))
        }
    })
}

/// Notes what happened to a container.
pub(super) fn note_container(world: &World, name: &Name, change: &str, exit: Option<i64>) {
    world.note(
        None,
        Step::Container {
            name: name.clone(),
            change: change.to_owned(),
            exit,
        },
    );
}

/// The trial's user on both backends, which is also its virtual host and its schema.
pub(super) fn trial_name(world: &World) -> String {
    lock(&world.grant).lease.clone()
}
