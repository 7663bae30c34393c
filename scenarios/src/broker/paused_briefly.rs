//! The broker stands still for less than the heartbeat.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::paused_briefly",
    "a short stall of the broker costs nothing but time",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(pause(Broker).when(nth(10, ack().by("analyzer"))))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal_after(secs(3)).await?;
    pipeline.settled(&reports, secs(60)).await
}
