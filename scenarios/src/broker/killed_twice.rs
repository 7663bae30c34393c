//! The broker is killed again as soon as it has come back.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::killed_twice",
    "a second SIGKILL during the recovery from the first loses nothing",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let first = cx.fault(kill(Broker).when(nth(10, ack().by("analyzer"))))?;
    let second = cx.fault(kill(Broker).when(nth(1, connect().by("analyzer")).after(once(&first, Phase::Healed))))?;
    let reports = pipeline.inject(reports(40)).await?;
    first.bitten().await?.heal().await?;
    second.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
