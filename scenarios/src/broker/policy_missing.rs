//! The dead-letter policy of a queue is gone while poison arrives.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::policy_missing",
    "without a policy a rejection drops the message, and nothing else is harmed",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let missing = cx.fault(drop_policy("analysis"))?.bitten().await?;
    let poison = pipeline.inject(poison()).await?;
    pipeline.settled(&poison, secs(30)).await?;
    missing.heal().await?;
    let reports = pipeline.inject(reports(10)).await?;
    pipeline.settled(&reports, secs(60)).await
}
