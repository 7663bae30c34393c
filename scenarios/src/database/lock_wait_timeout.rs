//! Statements of the analyzer give up waiting for a lock.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::lock_wait_timeout",
    "a statement that timed out is done again, once",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(refuse(statement(Verb::Insert).by("analyzer"), LOCK_WAIT_TIMEOUT).times(2))?;
    let reports = pipeline.inject(reports(10)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
