//! The database has no connection left for the services.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::connections_exhausted",
    "services wait for a database that refuses them, and lose nothing",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(exhaust_connections())?;
    let reports = pipeline.inject(reports(5)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
