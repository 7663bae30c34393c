//! The analyzer's link to the database is cut when a commit is done and its answer on the way.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::commit_answer_lost",
    "a commit whose answer was lost is not done twice",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(cut("analyzer", Backend::Database, Cut::Rst).when(in_state(C1, "analyzer").of_report(2)))?;
    let reports = pipeline.inject(reports(10)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
