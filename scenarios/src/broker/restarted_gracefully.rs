//! The broker is restarted by an operator while reports are being worked on.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::restarted_gracefully",
    "a graceful restart in the middle of the work loses and doubles nothing",
    run
)
.exclusive()
.must_see(&[StepKind::AmqpClosed, StepKind::Held])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(restart(Broker).when(nth(20, deliver().by("analyzer"))))?;
    let reports = pipeline.inject(reports(60)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
