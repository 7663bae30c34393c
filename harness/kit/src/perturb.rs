//! The conditions of a trial of a sweep: late links, little processor and memory, another order of starts and of reports.
//!
//! None of it is a fault, so the ledger has no life of it and no rule makes room for it. It is there from before the body
//! to the end of the trial. A scenario that shapes a link or limits a service itself has its own way as long as it does.
//! A pause ([`Axis::Pause`]) is not offered here: it would meet the faults of scenarios that kill the same service.

use harness_model::fault::Shape;
use harness_model::name::Name;
use harness_model::perturbation::{Axis, Perturbation};
use harness_model::seed::Seed;
use harness_runner::environment::Failure;
use harness_stack::client::HARNESS;
use harness_stack::engine::Engine;
use harness_wire::tap::{Shaping, Tap};

use crate::world::LinkId;

/// What can be varied.
pub(crate) const AXES: &[Axis] = &[
    Axis::Seed,
    Axis::Latency,
    Axis::Cpu,
    Axis::Memory,
    Axis::StartOrder,
    Axis::MessageOrder,
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
