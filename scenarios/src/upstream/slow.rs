//! The model is slow.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "upstream::slow",
    "a slow model changes the speed and nothing else",
    run
)
.setup(&[Setup::Upstream("model")])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(upstream("model", Misbehaviour::Slow(700)))?;
    let reports = pipeline.inject(reports(12)).await?;
    let outage = outage.bitten().await?;
    pipeline.settled(&reports, secs(60)).await?;
    outage.heal().await
}
