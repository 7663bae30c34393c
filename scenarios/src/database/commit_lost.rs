//! The tags service's link to the database is cut when a commit is about to reach it.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::commit_lost",
    "a commit that never arrived is done again",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(cut("tags", Backend::Database, Cut::Rst).when(in_state(C0, "tags")))?;
    let reports = pipeline.inject(reports(10)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
