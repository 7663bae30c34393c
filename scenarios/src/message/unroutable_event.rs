//! No queue takes events when one is about to be published.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "message::unroutable_event",
    "an event that no queue took is not mistaken for one that was taken",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let missing = cx.fault(unbind("analysed").when(in_state(P0, "analyzer").of_report(1)))?;
    let reports = pipeline.inject(named("english-bin")).await?;
    let missing = missing.bitten().await?;
    pipeline.until(nth(1, returned().by("analyzer")), secs(30)).await?;
    missing.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
