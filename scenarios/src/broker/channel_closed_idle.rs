//! The broker closes the tags service's channel when nothing is in flight on it.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::channel_closed_idle",
    "a consumer comes back after its channel alone was closed, also if nothing else would tell it",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(close_channel("tags"))?;
    // One report: behind its ack there is no delivery that could show the client what it missed.
    let reports = pipeline.inject(reports(1)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
