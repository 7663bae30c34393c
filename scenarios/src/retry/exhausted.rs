//! Reports never get a row.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "retry::exhausted",
    "after the last attempt a report ends as a dead letter, and others pass",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let hopeless = pipeline.inject(reports(3).without_rows()).await?;
    let reports = pipeline.inject(reports(10)).await?;
    pipeline.settled(&hopeless, secs(60)).await?;
    pipeline.settled(&reports, secs(60)).await
}
