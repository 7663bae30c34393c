//! The model says that it is asked too often.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "upstream::rate_limited",
    "a model that wants to be left alone is asked again later",
    run
)
.setup(&[Setup::Upstream("model")])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(upstream("model", Misbehaviour::Status(429)).times(3))?;
    let reports = pipeline.inject(reports(5)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
