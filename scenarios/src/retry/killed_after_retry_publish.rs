//! The analyzer is killed when a retry is in its queue and the original not acknowledged.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "retry::killed_after_retry_publish",
    "a retry and its original have one effect",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Service("analyzer")).when(in_state(R1, "analyzer").of_report(1)))?;
    let reports = pipeline.inject(reports(3).rows_later()).await?;
    let outage = outage.bitten().await?;
    pipeline.add_rows(&reports).await?;
    outage.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
