//! The model fails once.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "upstream::fails_once",
    "a failed request is tried again, and never saved as an analysis",
    run
)
.setup(&[Setup::Upstream("model")])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(upstream("model", Misbehaviour::Status(500)).times(1))?;
    let reports = pipeline.inject(reports(3)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
