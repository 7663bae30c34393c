//! No byte passes on the analyzer's link to the broker, and nobody says so.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::half_open",
    "a dead link is noticed by its missing heartbeats, and replaced",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(cut("analyzer", Backend::Broker, Cut::HalfOpen).when(nth(5, deliver().by("analyzer"))))?;
    let reports = pipeline.inject(reports(20)).await?;
    let dead = outage.bitten().await?;
    pipeline.until(nth(1, hang_up().by("analyzer")), secs(60)).await?;
    dead.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
