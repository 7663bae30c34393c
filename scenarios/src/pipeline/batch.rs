//! Two hundred reports at once: physical and digital, of all languages, with and without tags.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "pipeline::batch",
    "200 mixed reports each have all their effects exactly once",
    run
)
.must_see(&[StepKind::Confirm, StepKind::Deliver, StepKind::Ack])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(reports(200)).await?;
    pipeline.settled(&reports, secs(60)).await
}
