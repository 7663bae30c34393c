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
    let refusal = cx.fault(exhaust_connections().when(in_state(D, "analyzer").of_report(1)))?;
    let reports = pipeline.inject(reports(5)).await?;
    refusal.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
