//! The retry queue is gone when a report is to be retried.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::retry_queue_missing",
    "a retry that no queue takes is not mistaken for one that was taken",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let missing = cx.fault(drop_retry_queue("analysis"))?.bitten().await?;
    let reports = pipeline.inject(reports(2).rows_later()).await?;
    pipeline.until(nth(1, returned().by("analyzer")), secs(30)).await?;
    missing.heal().await?;
    pipeline.add_rows(&reports).await?;
    pipeline.settled(&reports, secs(60)).await
}
