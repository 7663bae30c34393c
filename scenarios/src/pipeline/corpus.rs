//! Every report of fixtures/reports, as citizens write them.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "pipeline::corpus",
    "every written report, whatever its script, tags, place or picture, has all its effects",
    run
)
.must_see(&[StepKind::Confirm, StepKind::Deliver, StepKind::Ack])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(corpus()).await?;
    pipeline.settled(&reports, secs(60)).await?;
    cx.golden("end_state", &pipeline.end_state().await?)
}
