//! One of two analyzers is killed; the other goes on.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::one_of_two_killed",
    "the other instance takes over what the killed one had",
    run
)
.setup(&[Setup::Instances("analyzer", 2)])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Service("analyzer-2")).when(nth(20, ack().by("analyzer"))))?;
    let reports = pipeline.inject(reports(60)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
