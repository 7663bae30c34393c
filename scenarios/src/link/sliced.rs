//! The renderer gets every frame in pieces of seven bytes.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::sliced",
    "frames in small pieces are frames",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(shape("renderer", Backend::Broker, Shape { slice: 7, ..Shape::default() }))?;
    let reports = pipeline.inject(reports(10)).await?;
    let outage = outage.bitten().await?;
    pipeline.settled(&reports, secs(60)).await?;
    outage.heal().await
}
