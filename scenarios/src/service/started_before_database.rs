//! The tags service starts while the database is down.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::started_before_database",
    "a service waits for a database that is not there yet",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let service = cx.fault(kill(Service("tags")))?.bitten().await?;
    let database = cx.fault(kill(Database))?.bitten().await?;
    service.heal().await?;
    database.heal_after(secs(3)).await?;
    let reports = pipeline.inject(reports(10)).await?;
    pipeline.settled(&reports, secs(60)).await
}
