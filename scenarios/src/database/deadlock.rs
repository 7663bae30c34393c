//! The database ends every third transaction of the tags service because of a deadlock, twice.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::deadlock",
    "a transaction that was rolled back is done again, once",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(refuse(statement(Verb::Insert).by("tags"), DEADLOCK).every(3).times(2))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
