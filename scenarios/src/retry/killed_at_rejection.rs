//! The analyzer is killed when a rejection is about to leave it.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "retry::killed_at_rejection",
    "a rejection that was lost is made again",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Service("analyzer")).when(in_state(N0, "analyzer")))?;
    let poison = pipeline.inject(poison()).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&poison, secs(60)).await
}
