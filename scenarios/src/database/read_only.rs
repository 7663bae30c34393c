//! The database refuses to write for a while.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "database::read_only",
    "a read-only database delays reports and loses none",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let refusal = cx.fault(read_only().when(in_state(D, "analyzer").of_report(1)))?;
    let reports = pipeline.inject(reports(5)).await?;
    refusal.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
