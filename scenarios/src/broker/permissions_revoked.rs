//! The services' user loses its permissions, and then its connections.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::permissions_revoked",
    "services that are refused with 403 come back when they are allowed to",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let revoked = cx.fault(revoke_permissions())?;
    cx.fault(close_connections())?.bitten().await?.heal().await?;
    revoked.bitten().await?.heal().await?;
    let reports = pipeline.inject(reports(10)).await?;
    pipeline.settled(&reports, secs(60)).await
}
