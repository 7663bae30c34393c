//! The broker stands still until a service gives its connection up.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::paused_beyond_heartbeat",
    "a silent broker is noticed by its missing heartbeats, and found again",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(pause(Broker).when(nth(10, ack().by("analyzer"))))?;
    let reports = pipeline.inject(reports(20)).await?;
    let stalled = outage.bitten().await?;
    pipeline.until(nth(1, hang_up().by("analyzer")), secs(60)).await?;
    stalled.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
