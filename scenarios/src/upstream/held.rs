//! Fifty reports wait for a model that takes its time.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "upstream::held",
    "as many reports are worked on at once as are declared, and no more are taken",
    run
)
.setup(&[Setup::Upstream("model")])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(upstream("model", Misbehaviour::Slow(1000)))?;
    let reports = pipeline.inject(reports(50)).await?;
    let outage = outage.bitten().await?;
    pipeline.settled(&reports, secs(60)).await?;
    outage.heal().await
}
