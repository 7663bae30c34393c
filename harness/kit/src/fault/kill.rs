//! SIGKILL of a backend or a service.
//!
//! Inject: the taps' doors are closed first, so that a dial is refused from the kill on, then the engine kills.
//! Bit: the engine reports exit code 137 (128 + SIGKILL). Heal: start the same container again, with its data. Healed:
//! the backend answers, or the service's health endpoint does (unless it cannot, because a backend is down).

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::{Backend, Fate};
use harness_model::fault::Target;
use harness_model::name::Name;
use harness_runner::environment::Failure;
use harness_stack::{backend, service, wait};

use super::act::{Act, Proof, Scene, as_backend, note_container};
use crate::world::World;

/// What the engine reports for a process that SIGKILL ended.
pub(super) const KILLED: i64 = 137;

/// Longest time for a service to become healthy again.
const SERVICE_DEADLINE: Duration = Duration::from_secs(30);

/// SIGKILL.
pub(super) struct Kill {
    target: Target,
}

impl Kill {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
        }
    }
}

impl Act for Kill {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let (world, target) = (&scene.world, &self.target);
            let connections = as_backend(target).map(|which| world.connections(which));
            send(world, target, "SIGKILL").await?;
            let exit = ended(world, target, "killed").await?;
            if exit != KILLED {
                return Err(Failure::invalid(format!(
                    "{target} ended with code {exit}, so it was not SIGKILL that ended it"
                )));
            }
            Ok(match connections {
                Some(count) => format!("exit code {exit}; {count} connections of services were open"),
                None => format!("exit code {exit}"),
            })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        start(&scene.world, &self.target).boxed()
    }

    fn fate(&self, scene: &Scene) -> Fate {
        dies_with(scene, &self.target)
    }
}

/// A frame of a link that has lost one of its ends has nowhere to go; what a third party's link holds goes on.
pub(super) fn dies_with(scene: &Scene, target: &Target) -> Fate {
    let Some(event) = scene.held() else {
        return Fate::Forwarded;
    };
    let lost = match target {
        Target::Broker | Target::Database => event.step.link() == as_backend(target),
        // The taps of a service are shared by its instances: which of them a connection belongs to shows when it dies.
        Target::Service(name) => {
            let role = scene.world.role_of(name);
            event.svc.as_ref() == Some(&role) && scene.world.instances(&role) == 1
        }
    };
    if lost { Fate::Cut } else { Fate::Forwarded }
}

/// The container's id of a target.
pub(super) async fn container(world: &World, target: &Target) -> Result<String, Failure> {
    match target {
        Target::Broker => Ok(world.backend(Backend::Broker).container),
        Target::Database => Ok(world.backend(Backend::Database).container),
        Target::Service(name) => {
            let services = world.services.lock().await;
            services
                .get(name)
                .map(|running| running.container.clone())
                .ok_or_else(|| Failure::invalid(format!("{name} was not started")))
        }
    }
}

/// Sends a signal that ends a target. From then on its taps refuse, if it is a backend.
pub(super) async fn send(world: &World, target: &Target, signal: &str) -> Result<(), Failure> {
    let id = container(world, target).await?;
    if let Some(which) = as_backend(target) {
        world.close_doors(which).await;
    }
    world
        .engine
        .kill(&id, signal)
        .await
        .map_err(|error| Failure::infra(format!("{signal} to {target}: {error}")))
}

/// Waits for the exit code of a target that was sent a signal.
pub(super) async fn ended(world: &World, target: &Target, change: &str) -> Result<i64, Failure> {
    let id = container(world, target).await?;
    let exit = world
        .engine
        .wait_exit(&id)
        .await
        .map_err(|error| Failure::infra(format!("wait for the end of {target}: {error}")))?;
    note_container(world, &Name::new(target.to_string()), change, Some(exit));
    Ok(exit)
}

/// Starts a target that has ended, and waits until it is of use again.
pub(super) async fn start(world: &World, target: &Target) -> Proof {
    if let Some(which) = as_backend(target) {
        let took = world.start_backend(which).await?;
        return Ok(format!(
            "the {} answers after {:.1} s",
            backend::word(which),
            took.as_secs_f64()
        ));
    }
    let name = Name::new(target.to_string());
    let (ip, described) = {
        let mut services = world.services.lock().await;
        let running = services
            .get_mut(&name)
            .ok_or_else(|| Failure::infra(format!("{name} was not started")))?;
        running
            .restart(&world.engine)
            .await
            .map_err(|error| Failure::infra(format!("start {name} again: {error}")))?;
        (running.ip, running.service.clone())
    };
    note_container(world, &name, "started", None);
    if let Some(down) = world.down() {
        return Ok(format!(
            "{name} runs; it cannot be healthy while the {} is down",
            backend::word(down)
        ));
    }
    wait::until(&format!("{name} to be healthy"), SERVICE_DEADLINE, || async {
        service::health(ip, &described).await.verdict
    })
    .await
    .map_err(|timed_out| Failure::hang(timed_out.to_string()))?;
    Ok(format!("{name} is healthy"))
}
