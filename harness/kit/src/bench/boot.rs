//! What the harness adds to the broker's own boot: from asking the pool for a cold pair to having it.

use harness_model::event::Backend;
use harness_runner::environment::Failure;
use harness_stack::backend;
use harness_stack::container::Container;
use harness_stack::pool::Mode;
use tokio::time::Instant;

use super::{Bound, Measure, failed, labels, median};
use crate::environment::Stack;

pub(super) async fn measure(stack: &Stack, runs: u32) -> Result<Vec<Measure>, Failure> {
    let (mut own, mut ours, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..runs.max(1) {
        // A lease to have a network, and an exclusive one that is discarded, so that the next has to boot.
        let cold = stack.take(Mode::Exclusive, "bench").await?;
        let broker_alone = {
            let begin = Instant::now();
            let mut info = cold.grant().broker.clone();
            let launch = backend::launch_alone(
                Backend::Broker,
                &info.image,
                &info.password,
                &cold.grant().lease,
                &cold.grant().backends,
                &labels(stack, &cold),
            );
            let container = Container::start(&launch).await.map_err(|error| failed(&error))?;
            info.container = container.id().to_owned();
            info.ip = stack
                .engine
                .container_ip(&info.container, &cold.grant().backends)
                .await
                .map_err(|error| failed(&error))?;
            backend::ready(&stack.engine, Backend::Broker, &info, backend::BOOT_DEADLINE)
                .await
                .map_err(|error| failed(&error))?;
            let took = begin.elapsed().as_secs_f64();
            container.remove().await.map_err(|error| failed(&error))?;
            took
        };
        cold.release(true).await.map_err(|error| failed(&error))?;
        let begin = Instant::now();
        let lease = stack.take(Mode::Exclusive, "bench").await?;
        let took = begin.elapsed().as_secs_f64();
        let booted = lease.grant().booted_ms;
        lease.release(true).await.map_err(|error| failed(&error))?;
        if booted.is_none() {
            // Another run's pair was idle: that is no boot.
            continue;
        }
        own.push(broker_alone);
        ours.push(took);
        ratios.push(took / broker_alone);
    }
    let beside = format!(
        "broker alone {:.1} s, broker and database through the pool {:.1} s, median of {} pairs",
        median(own.clone()),
        median(ours),
        own.len()
    );
    Ok(vec![Measure {
        name: "stack ready / broker boot",
        value: median(ratios),
        unit: "ratio",
        bound: Bound::AtMost(1.1),
        beside,
    }])
}
