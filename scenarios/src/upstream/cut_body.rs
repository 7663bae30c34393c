//! The model breaks off in the middle of an answer.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "upstream::cut_body",
    "half an answer is never saved as an analysis",
    run
)
.setup(&[Setup::Upstream("model")])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(upstream("model", Misbehaviour::CutBody).times(2))?;
    let reports = pipeline.inject(reports(5)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
