//! The broker is killed at an ack of a quorum queue, which forgets none that it has taken.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::killed_under_quorum_queues",
    "with quorum queues, too, every confirmed report survives a SIGKILL of the broker",
    run
)
.exclusive()
.setup(&[Setup::Quorum])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Broker).when(nth(30, ack().by("analyzer"))))?;
    let reports = pipeline.inject(reports(60)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
