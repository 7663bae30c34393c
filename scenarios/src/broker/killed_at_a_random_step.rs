//! The broker is killed at an ack that the seed draws.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::killed_at_a_random_step",
    "wherever the broker is killed, nothing is lost",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Broker).when(nth(between(1, 40), ack())))?;
    let reports = pipeline.inject(reports(40)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
