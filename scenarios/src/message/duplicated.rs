//! Every message is published five times.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "message::duplicated",
    "a duplicate changes nothing",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(reports(12).times(5)).await?;
    pipeline.settled(&reports, secs(60)).await
}
