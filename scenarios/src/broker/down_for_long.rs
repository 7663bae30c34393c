//! The broker is gone for longer than the first few attempts to reconnect.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::down_for_long",
    "services find back to a broker that was down for twenty seconds, without a storm of dials",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Broker).when(nth(10, ack().by("tags"))))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal_after(secs(20)).await?;
    pipeline.settled(&reports, secs(60)).await
}
