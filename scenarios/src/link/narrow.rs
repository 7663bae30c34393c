//! The link between the tags service and the database carries few bytes a second.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::narrow",
    "a narrow link changes the speed and nothing else",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(shape("tags", Backend::Database, Shape { bytes_per_second: 20_000, ..Shape::default() }))?;
    let reports = pipeline.inject(reports(10)).await?;
    let outage = outage.bitten().await?;
    pipeline.settled(&reports, secs(60)).await?;
    outage.heal().await
}
