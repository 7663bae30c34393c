//! The renderer is killed with a delivery on its way.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::killed_with_a_delivery",
    "the renderer shows each report once after it was killed",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Service("renderer")).when(in_state(D, "renderer").number(5)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
