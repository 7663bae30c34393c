//! Messages look unusual and are right nevertheless: large, extended, of another content type.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "message::odd",
    "what is unusual and right is processed",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(odd()).await?;
    pipeline.settled(&reports, secs(60)).await
}
