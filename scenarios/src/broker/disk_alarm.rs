//! The broker runs out of disk space and blocks publishers, with an event about to be published.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::disk_alarm",
    "a disk alarm delays events and loses none",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(alarm(Resource::Disk).when(in_state(P0, "analyzer").number(3)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal_after(secs(4)).await?;
    pipeline.settled(&reports, secs(60)).await
}
