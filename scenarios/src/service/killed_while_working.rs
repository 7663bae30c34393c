//! The analyzer is killed when it has begun to work on a report.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::killed_while_working",
    "work that was begun and not finished is begun again",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Service("analyzer")).when(in_state(W, "analyzer").of_report(3)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
