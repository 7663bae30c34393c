//! The broker is killed while the 30th acknowledgement is held: its effect is done, its message not yet gone.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::killed_mid_flight",
    "every confirmed report survives a SIGKILL of the broker at exactly the ack we name",
    run
)
.exclusive()
.must_see(&[StepKind::Held, StepKind::Released, StepKind::Recovered])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Broker).when(nth(30, ack().by("analyzer"))))?;
    let reports = pipeline.inject(reports(100)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
