//! The link from the tags service to the database carries few bytes a second; answers come back as ever.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::narrow",
    "a narrow link changes the speed and nothing else",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let narrow = Shape { bytes_per_second: 20_000, towards: Some(Side::Server), ..Shape::default() };
    let outage = cx.fault(shape("tags", Backend::Database, narrow))?;
    let reports = pipeline.inject(reports(10)).await?;
    let outage = outage.bitten().await?;
    pipeline.settled(&reports, secs(60)).await?;
    outage.heal().await
}
