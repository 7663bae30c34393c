//! A report has no row at the first attempt.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "retry::one_failure",
    "a report that failed once is tried again, by its own consumer only",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(reports(3).rows_later()).await?;
    pipeline.until(nth(3, publish().by("analyzer").retried(1)), secs(30)).await?;
    pipeline.add_rows(&reports).await?;
    pipeline.settled(&reports, secs(60)).await
}
