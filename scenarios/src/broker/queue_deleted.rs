//! The queue of the tags service is deleted under it, and made again.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::queue_deleted",
    "a consumer that the broker has cancelled consumes again",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    cx.fault(delete_queue("tags"))?.bitten().await?.heal().await?;
    let reports = pipeline.inject(reports(10)).await?;
    pipeline.settled(&reports, secs(60)).await
}
