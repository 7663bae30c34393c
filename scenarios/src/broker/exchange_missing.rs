//! The main exchange is gone when an event is about to be published to it.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::exchange_missing",
    "an event whose exchange is missing is not lost",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let missing = cx.fault(delete_exchange("main").when(in_state(P0, "analyzer")))?;
    let reports = pipeline.inject(named("english-bin")).await?;
    let missing = missing.bitten().await?;
    pipeline.until(nth(1, channel_closed().by("analyzer")), secs(30)).await?;
    missing.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
