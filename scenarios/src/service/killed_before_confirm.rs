//! The analyzer is killed when its event is in the queue and the confirm on the way.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::killed_before_confirm",
    "an event that was published by a service that died is counted once",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Service("analyzer")).when(in_state(P1, "analyzer").number(3)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
