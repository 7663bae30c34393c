//! The broker is killed when a retry is in its queue and the original not yet acknowledged.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::killed_at_retry",
    "a retry that is confirmed survives a SIGKILL of the broker, and its original brings no second effect",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Broker).when(in_state(R1, "analyzer").of_report(2)))?;
    let reports = pipeline.inject(reports(4).rows_later()).await?;
    let outage = outage.bitten().await?;
    pipeline.add_rows(&reports).await?;
    outage.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
