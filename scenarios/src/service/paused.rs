//! The tags service stands still for a while.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::paused",
    "a service that stood still goes on where it was",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(pause(Service("tags")).when(in_state(W, "tags").number(3)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal_after(secs(3)).await?;
    pipeline.settled(&reports, secs(60)).await
}
