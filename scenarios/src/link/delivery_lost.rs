//! A delivery to the tags service is lost on its way, and the link is cut later.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::delivery_lost",
    "a delivery that never arrived comes again with the next connection",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let lost = cx.fault(lose(deliver().by("tags")).times(1))?;
    let cut = cx.fault(cut("tags", Backend::Broker, Cut::Rst).when(nth(10, ack().by("tags"))))?;
    let reports = pipeline.inject(reports(20)).await?;
    lost.bitten().await?.heal().await?;
    cut.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
