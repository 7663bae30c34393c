//! No byte passes on the tags service's link to the database for a while.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::half_open_database",
    "a silent database link delays reports and loses none",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(cut("tags", Backend::Database, Cut::HalfOpen).when(in_state(W, "tags").number(3)))?;
    let reports = pipeline.inject(reports(10)).await?;
    outage.bitten().await?.heal_after(secs(4)).await?;
    pipeline.settled(&reports, secs(60)).await
}
