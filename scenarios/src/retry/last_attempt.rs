//! A report has a row at the last attempt only.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "retry::last_attempt",
    "the last attempt counts",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(reports(3).rows_later()).await?;
    pipeline.until(nth(3, publish().by("analyzer").retried(3)), secs(30)).await?;
    pipeline.add_rows(&reports).await?;
    pipeline.settled(&reports, secs(60)).await
}
