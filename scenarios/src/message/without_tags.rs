//! Reports have tags, no tags, null for tags and an empty list of tags.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "message::without_tags",
    "a report without tags is analysed like any other",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(reports(60)).await?;
    pipeline.settled(&reports, secs(60)).await
}
