//! SIGKILL of a backend or a service.
//!
//! Inject: the taps' doors are closed first, so that a dial is refused from the kill on, then the engine kills.
//! Bit: the engine reports exit code 137 (128 + SIGKILL). Heal: start the same container again, with its data. Healed:
//! the backend answers, or the service's health endpoint does.

use std::time::Duration;

use harness_model::event::{Backend, Step};
use harness_model::fault::Target;
use harness_model::name::Name;
use harness_runner::environment::Failure;
use harness_stack::{backend, wait};

use crate::world::World;

/// What the engine reports for a process that SIGKILL ended.
const KILLED: i64 = 137;

/// Longest time for a service to become healthy again.
pub(super) const SERVICE_DEADLINE: Duration = Duration::from_secs(30);

/// The backend that a target is, if it is one.
pub(super) fn as_backend(target: &Target) -> Option<Backend> {
    match target {
        Target::Broker => Some(Backend::Broker),
        Target::Database => Some(Backend::Database),
        Target::Service(_) => None,
    }
}

/// The container's id of a target.
async fn container(world: &World, target: &Target) -> Result<String, Failure> {
    match target {
        Target::Broker => Ok(world.backend(Backend::Broker).container),
        Target::Database => Ok(world.backend(Backend::Database).container),
        Target::Service(role) => {
            let services = world.services.lock().await;
            services
                .get(role)
                .map(|running| running.container.clone())
                .ok_or_else(|| Failure::invalid(format!("{role} was not started")))
        }
    }
}

/// Ends a target with a signal and waits for its exit code.
pub(super) async fn end(world: &World, target: &Target, signal: &str, change: &str) -> Result<i64, Failure> {
    let refused = |error| Failure::infra(format!("{signal} to {target}: {error}"));
    let id = container(world, target).await?;
    if let Some(which) = as_backend(target) {
        world.close_doors(which).await;
    }
    world.engine.kill(&id, signal).await.map_err(refused)?;
    let exit = world.engine.wait_exit(&id).await.map_err(refused)?;
    let name = Name::new(target.to_string());
    world.note(
        None,
        Step::Container {
            name,
            change: change.to_owned(),
            exit: Some(exit),
        },
    );
    Ok(exit)
}

pub(super) async fn inject(world: &World, target: &Target) -> Result<String, Failure> {
    let connections = as_backend(target).map(|which| world.connections(which));
    let exit = end(world, target, "SIGKILL", "killed").await?;
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

pub(super) async fn heal(world: &World, target: &Target) -> Result<String, Failure> {
    if let Some(which) = as_backend(target) {
        let took = world.start_backend(which).await?;
        return Ok(format!(
            "the {} answers after {:.1} s",
            backend::word(which),
            took.as_secs_f64()
        ));
    }
    let Target::Service(role) = target else {
        return Ok(String::new());
    };
    let mut services = world.services.lock().await;
    let running = services
        .get_mut(role)
        .ok_or_else(|| Failure::infra(format!("{role} was not started")))?;
    running
        .restart(&world.engine)
        .await
        .map_err(|error| Failure::infra(format!("start {role} again: {error}")))?;
    world.note(
        None,
        Step::Container {
            name: role.clone(),
            change: "started".to_owned(),
            exit: None,
        },
    );
    let running = &*running;
    wait::until(&format!("{role} to be healthy"), SERVICE_DEADLINE, || async {
        running.health().await.verdict
    })
    .await
    .map_err(|timed_out| Failure::hang(timed_out.to_string()))?;
    Ok(format!("{role} is healthy"))
}
