//! The database is killed while the tags service works on a report.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::killed",
    "a SIGKILL of the database in the middle of a transaction loses nothing and leaves nothing half done",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Database).when(in_state(W, "tags").number(5)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
