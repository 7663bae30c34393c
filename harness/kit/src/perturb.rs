//! The conditions of a trial of a sweep: late links, little processor and memory, another order of starts and of reports, a
//! service that stands still for a moment.
//!
//! None of it is a fault, so the ledger has no life of it and no rule makes room for it. But for the pause it is there from
//! before the body to the end of the trial. A scenario that shapes a link or limits a service itself has its own way as
//! long as it does. A pause and what is done for a fault wait for each other ([`World::still`]), so that neither finds a
//! container in the other's state. Late faults are [`crate::fault`]'s own, busy neighbours the runner's.

use std::sync::Arc;
use std::time::Duration;

use harness_model::event::Step;
use harness_model::fault::Shape;
use harness_model::name::Name;
use harness_model::perturbation::{Axis, Pause, Perturbation};
use harness_model::seed::Seed;
use harness_runner::environment::Failure;
use harness_stack::client::HARNESS;
use harness_stack::engine::Engine;
use harness_stack::wait;
use harness_wire::tap::{Shaping, Tap};

use crate::world::{LinkId, World};

/// What can be varied.
pub(crate) const AXES: &[Axis] = &[
    Axis::Seed,
    Axis::Latency,
    Axis::Cpu,
    Axis::Memory,
    Axis::Pause,
    Axis::StartOrder,
    Axis::MessageOrder,
    Axis::FaultOffset,
    Axis::Neighbours,
];

/// Makes the links of services late, as long as what this gives is kept.
pub(crate) fn late<'a>(
    perturbation: &Perturbation,
    taps: impl IntoIterator<Item = (&'a LinkId, &'a Tap)>,
    seed: Seed,
) -> Vec<Shaping> {
    let Some(latency_ms) = perturbation.latency_ms else {
        return Vec::new();
    };
    let shape = Shape {
        latency_ms,
        ..Shape::default()
    };
    let of_services = taps.into_iter().filter(|((service, _), _)| *service != HARNESS);
    of_services
        .map(|((service, _), tap)| tap.shape(shape, seed.derive(service)))
        .collect()
}

/// Limits a service that was just started.
///
/// # Errors
/// Infra when the engine cannot.
pub(crate) async fn limit(
    perturbation: &Perturbation,
    engine: &Engine,
    name: &Name,
    container: &str,
) -> Result<(), Failure> {
    let memory = perturbation.memory_mib.map(|mib| i64::from(mib) << 20);
    let cpus = perturbation
        .cpu_thousandths
        .map(|part| i64::from(part) * 1_000_000);
    if memory.is_none() && cpus.is_none() {
        return Ok(());
    }
    engine
        .limit(container, memory, cpus)
        .await
        .map_err(|error| Failure::infra(format!("limit {name}: {error}")))
}

/// Pauses a service at the delivery that is drawn, if there are as many; the task ends with the trial.
pub(crate) fn pause(world: &Arc<World>) {
    let Some(pause) = world.perturbation.pause.clone() else {
        return;
    };
    let roles: Vec<_> = world.topology.services.keys().cloned().collect();
    let Some(role) = roles.get(pause.service as usize % roles.len().max(1)).cloned() else {
        return;
    };
    let world = Arc::downgrade(world);
    tokio::spawn(async move {
        let (mut seen, mut deliveries) = (0, 0);
        while deliveries < pause.delivery {
            // Nothing keeps the world between two looks, so this ends when the trial does.
            let Some(recorder) = world.upgrade().map(|world| world.recorder.clone()) else {
                return;
            };
            let grown = tokio::time::timeout(LOOK, recorder.past(seen)).await;
            if grown.is_err() {
                continue;
            }
            let events = recorder.since(seen);
            seen += events.len() as u64;
            let to_it = |event: &&harness_model::event::Event| {
                event.svc.as_ref() == Some(&role) && matches!(event.step, Step::Deliver { .. })
            };
            deliveries += events.iter().filter(to_it).count() as u64;
        }
        if let Some(world) = world.upgrade() {
            stand_still(&world, &role, &pause).await;
        }
    });
}

/// Longest time for which a trial that has ended is not noticed.
const LOOK: Duration = Duration::from_secs(1);

async fn stand_still(world: &World, role: &Name, pause: &Pause) {
    let still = world.still.write().await;
    let Some(container) = world
        .services
        .lock()
        .await
        .get(role)
        .map(|running| running.container.clone())
    else {
        return;
    };
    // It does not run: a fault has ended it, or paused it itself.
    if let Err(error) = world.engine.pause(&container).await {
        tracing::info!("{role} cannot be paused: {error}");
        return;
    }
    let text = format!("conditions: {role} stands still for {} ms", pause.ms);
    world.note(None, Step::Note { text });
    wait::pass(Duration::from_millis(pause.ms.into())).await;
    if let Err(error) = world.engine.unpause(&container).await {
        let text = format!("conditions: {role} cannot go on: {error}");
        world.note(None, Step::Note { text });
    }
    drop(still);
}

/// Brings things into the order that a seed gives, if there is one. Each has a name, and its place follows from it.
pub(crate) fn order<T>(things: &mut [T], seed: Option<Seed>, name: impl Fn(&T) -> String) {
    if let Some(seed) = seed {
        things.sort_by_cached_key(|thing| {
            let name = name(thing);
            (seed.derive(&name), name)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::order;
    use harness_model::seed::Seed;

    #[test]
    fn an_order_follows_from_its_seed() {
        let of = |seed: Option<u64>| {
            let mut things: Vec<u32> = (1..=8).collect();
            order(&mut things, seed.map(Seed), ToString::to_string);
            things
        };
        assert_eq!(of(None), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(of(Some(1)), of(Some(1)));
        assert_ne!(of(Some(1)), of(Some(2)));
        let mut sorted = of(Some(1));
        sorted.sort_unstable();
        assert_eq!(sorted, of(None), "nothing is lost");
    }
}
