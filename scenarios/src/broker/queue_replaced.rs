//! Another queue stands in the place of the tags service's own, so that it cannot declare it.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::queue_replaced",
    "a service that is refused its queue with 406 tries again until it is right",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let other = cx.fault(replace_queue("tags"))?.bitten().await?;
    pipeline.until(nth(1, channel_closed().by("tags")), secs(30)).await?;
    other.heal().await?;
    let reports = pipeline.inject(reports(10)).await?;
    pipeline.settled(&reports, secs(60)).await
}
