//! A report has no row at the first two attempts.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "retry::two_failures",
    "a report that failed twice is tried a third time, and no other queue sees it",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(reports(3).rows_later()).await?;
    pipeline.until(nth(3, publish().by("analyzer").retried(2)), secs(30)).await?;
    pipeline.add_rows(&reports).await?;
    pipeline.settled(&reports, secs(60)).await
}
