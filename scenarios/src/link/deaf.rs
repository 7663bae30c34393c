//! What the broker sends does not come to the analyzer any more; what the analyzer sends still arrives.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::deaf",
    "a service that hears nothing of the broker gives the link up, though the broker hears it",
    run
)
.must_see(&[StepKind::AmqpOpened])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let deaf = cx.fault(
        cut("analyzer", Backend::Broker, Cut::HalfOpenToService).when(nth(5, deliver().by("analyzer"))),
    )?;
    let reports = pipeline.inject(reports(20)).await?;
    let deaf = deaf.bitten().await?;
    pipeline
        .until(nth(1, hang_up().by("analyzer").to(Backend::Broker)), secs(60))
        .await?;
    deaf.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
