//! The database stands still for a while.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::paused",
    "a stalled database delays reports and loses none",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(pause(Database).when(in_state(W, "analyzer").number(4)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal_after(secs(4)).await?;
    pipeline.settled(&reports, secs(60)).await
}
