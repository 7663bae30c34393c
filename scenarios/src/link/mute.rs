//! What the renderer sends does not come to the broker any more; what the broker sends still arrives.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::mute",
    "a service that the broker has given up, for it hears nothing of it, does its work again and counts nothing twice",
    run
)
.must_see(&[StepKind::AmqpOpened])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let mute = cx.fault(
        cut("renderer", Backend::Broker, Cut::HalfOpenFromService).when(nth(5, deliver().by("renderer"))),
    )?;
    let reports = pipeline.inject(reports(20)).await?;
    let mute = mute.bitten().await?;
    pipeline
        .until(nth(1, hang_up().by("renderer").to(Backend::Broker)), secs(60))
        .await?;
    mute.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
