//! The broker is killed right behind a rejection, before it need have dead-lettered the message.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "broker::killed_at_rejection",
    "a message that is rejected while the broker dies ends as a dead letter nevertheless",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(kill(Broker).when(in_state(X0, "tags")))?;
    let poison = pipeline.inject(poison()).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&poison, secs(60)).await
}
