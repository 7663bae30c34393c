//! An operator throws away what waits in a queue.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::queue_purged",
    "what is purged is gone for one service, and nothing else happens",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let stalled = cx.fault(pause(Service("tags")))?.bitten().await?;
    let purge = cx.fault(purge("tags").when(depth(5, "tags")))?;
    let reports = pipeline.inject(reports(20)).await?;
    purge.bitten().await?.heal().await?;
    stalled.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
