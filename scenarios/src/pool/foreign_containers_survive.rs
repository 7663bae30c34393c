//! Somebody else's container is on the engine while we clean up as thoroughly as we ever do.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "pool::foreign_containers_survive",
    "cleaning up, also after a pool that was killed, leaves a container that is not ours running",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let foreign = cx.foreign_container().await?;
    cx.orphan_of_a_dead_pool().await?;
    let reaped = cx.reap().await?;
    if reaped.containers != 1 {
        return Err(Failure::fail(format!(
            "1 orphan was there, {} containers were removed",
            reaped.containers
        )));
    }
    foreign.still_runs().await
}
