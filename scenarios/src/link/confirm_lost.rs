//! The broker's confirm of an event is lost on its way to the analyzer.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::confirm_lost",
    "an event whose confirm was lost may come twice, and counts once",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(lose(confirm().by("analyzer")).times(1))?;
    let reports = pipeline.inject(reports(10)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
