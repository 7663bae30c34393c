//! One report, and everything that it leaves behind.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "pipeline::golden_path",
    "every row, tag, point, event and wire step of one report is as reviewed",
    run
)
.must_see(&[StepKind::Confirm, StepKind::Deliver, StepKind::Ack])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(named("english-bin")).await?;
    pipeline.settled(&reports, secs(30)).await?;
    cx.golden("end_state", &pipeline.end_state().await?)?;
    cx.golden("ledger", &pipeline.ledger_of(&reports))
}
