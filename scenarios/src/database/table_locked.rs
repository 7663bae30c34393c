//! Somebody else holds the whole table of analyses.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::table_locked",
    "a locked table delays analyses and loses none",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(lock_table())?;
    let reports = pipeline.inject(reports(5)).await?;
    outage.bitten().await?.heal_after(secs(2)).await?;
    pipeline.settled(&reports, secs(60)).await
}
