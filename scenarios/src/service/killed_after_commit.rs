//! The analyzer is killed when a report is committed and its event is about to be published.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::killed_after_commit",
    "a report that has its rows and comes again still gets its event",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Service("analyzer")).when(in_state(P0, "analyzer").of_report(1)))?;
    // The first is public, so it must have an event.
    let first = pipeline.inject(named("english-bin")).await?;
    let others = pipeline.inject(reports(9)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&first, secs(60)).await?;
    pipeline.settled(&others, secs(60)).await
}
