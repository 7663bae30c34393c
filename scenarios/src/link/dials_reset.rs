//! The analyzer's link to the broker is lost, and every new connection is reset as soon as it is made.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::dials_reset",
    "a service whose connections are reset for ten seconds dials with patience, and finds back",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let resets = cx.fault(lose(connect().by("analyzer").to(Backend::Broker)))?;
    let cut = cx.fault(
        cut("analyzer", Backend::Broker, Cut::Rst).when(nth(5, ack().by("analyzer"))),
    )?;
    let reports = pipeline.inject(reports(20)).await?;
    let lost = cut.bitten().await?;
    resets.bitten().await?.heal_after(secs(10)).await?;
    lost.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
