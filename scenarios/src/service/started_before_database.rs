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
    pipeline.until(nth(1, refused_dial().by("tags")), secs(30)).await?;
    database.heal().await?;
    let reports = pipeline.inject(reports(10)).await?;
    pipeline.settled(&reports, secs(60)).await
}
