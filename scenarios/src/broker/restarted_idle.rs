//! What the pipeline's old gate did, but checked in full: one report, an idle restart, one report.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::restarted_idle",
    "an idle restart of the broker costs no report, before or after it",
    run
)
.exclusive()
.must_see(&[StepKind::AmqpClosed, StepKind::Consume])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let before = pipeline.inject(reports(1)).await?;
    pipeline.settled(&before, secs(30)).await?;

    cx.fault(restart(Broker))?.bitten().await?.heal().await?;

    let after = pipeline.inject(reports(1)).await?;
    pipeline.settled(&after, secs(60)).await
}
