//! The database is killed under the analyzer, and back before its retries are used up.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::down_within_retries",
    "a database outage that is shorter than the retries sends no good report to the dead letters",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Database).when(in_state(W, "analyzer").number(5)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
