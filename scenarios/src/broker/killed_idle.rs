//! The broker is killed between two batches, with nothing under way.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::killed_idle",
    "the next reports after a SIGKILL of an idle broker are processed like the ones before",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let before = pipeline.inject(reports(5)).await?;
    pipeline.settled(&before, secs(30)).await?;
    cx.fault(kill(Broker))?.bitten().await?.heal().await?;
    let reports = pipeline.inject(reports(5)).await?;
    pipeline.settled(&reports, secs(60)).await
}
