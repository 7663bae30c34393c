//! Messages that nobody can make sense of arrive between good ones.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "message::poison",
    "each broken message ends as a dead letter, whole, and good ones pass",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let before = pipeline.inject(reports(5)).await?;
    let poison = pipeline.inject(poison()).await?;
    let reports = pipeline.inject(reports(5)).await?;
    pipeline.settled(&before, secs(30)).await?;
    pipeline.settled(&poison, secs(30)).await?;
    pipeline.settled(&reports, secs(60)).await
}
