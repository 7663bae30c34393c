//! Somebody else holds the rows of the analyses for longer than a lock is waited for.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::rows_locked",
    "locked rows delay analyses and lose none",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(lock_rows())?;
    let reports = pipeline.inject(reports(5)).await?;
    outage.bitten().await?.heal_after(secs(4)).await?;
    pipeline.settled(&reports, secs(60)).await
}
