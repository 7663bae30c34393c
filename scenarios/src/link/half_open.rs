//! The analyzer's connections to the broker are dead, and nothing says so.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::half_open",
    "a dead link is noticed by its missing heartbeats, and replaced",
    run
)
.must_see(&[StepKind::AmqpOpened])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let silence = cx.fault(
        cut("analyzer", Backend::Broker, Cut::Silent).when(nth(5, deliver().by("analyzer"))),
    )?;
    let reports = pipeline.inject(reports(20)).await?;
    silence.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
