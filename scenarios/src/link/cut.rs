//! The tags service's link to the broker is reset while a delivery to it is held.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::cut",
    "a reset on one service's link, with a delivery on its way, loses nothing and disturbs nobody else",
    run
)
.must_see(&[StepKind::Held, StepKind::Disconnect])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let cut = cx.fault(cut("tags", Backend::Broker, Cut::Rst).when(nth(5, deliver().by("tags"))))?;
    let reports = pipeline.inject(reports(20)).await?;
    cut.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
