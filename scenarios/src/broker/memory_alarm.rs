//! The broker runs out of memory and blocks publishers, with an event about to be published.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::memory_alarm",
    "blocked publishers wait, and go on when the alarm is over",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(alarm(Resource::Memory).when(in_state(P0, "analyzer").number(3)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal_after(secs(4)).await?;
    pipeline.settled(&reports, secs(60)).await
}
