//! The broker is killed while a backlog waits in a queue whose consumer stands still.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::killed_with_backlog",
    "what is confirmed and still queued survives a SIGKILL of the broker",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let stalled = cx.fault(pause(Service("analyzer")))?.bitten().await?;
    let outage = cx.fault(kill(Broker).when(depth(40, "analysis")))?;
    let reports = pipeline.inject(reports(60)).await?;
    outage.bitten().await?.heal().await?;
    stalled.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
