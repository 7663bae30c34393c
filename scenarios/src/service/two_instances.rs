//! Two analyzers and two tag services share their queues, and every message comes twice.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::two_instances",
    "two instances at work on the same report have one effect",
    run
)
.setup(&[Setup::Instances("analyzer", 2), Setup::Instances("tags", 2)])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(reports(40).times(2)).await?;
    pipeline.settled(&reports, secs(60)).await
}
