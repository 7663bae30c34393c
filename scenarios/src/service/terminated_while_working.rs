//! The analyzer is asked to end in the middle of its work.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::terminated_while_working",
    "a service that is asked to end finishes what it has begun",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(restart(Service("analyzer")).when(in_state(W, "analyzer").of_report(3)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
