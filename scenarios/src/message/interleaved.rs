//! Many reports are worked on at the same time, by two instances of each service.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "message::interleaved",
    "what is said of one report is never said of another",
    run
)
.setup(&[Setup::Instances("analyzer", 2)])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(reports(120)).await?;
    pipeline.settled(&reports, secs(60)).await
}
