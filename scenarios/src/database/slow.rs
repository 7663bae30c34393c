//! The database answers the analyzer late.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::slow",
    "a slow database changes the speed and nothing else",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(delay(answer(Verb::Select).by("analyzer"), 400).times(5))?;
    let reports = pipeline.inject(reports(10)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
