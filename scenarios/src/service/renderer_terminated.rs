//! The renderer is asked to end with deliveries in hand.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::renderer_terminated",
    "the renderer loses and doubles nothing when it is restarted",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(restart(Service("renderer")).when(nth(5, deliver().by("renderer"))))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
