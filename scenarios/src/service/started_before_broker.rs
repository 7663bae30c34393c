//! The analyzer starts while the broker is down.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "service::started_before_broker",
    "a service waits for a broker that is not there yet",
    run
)
.exclusive()
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let service = cx.fault(kill(Service("analyzer")))?.bitten().await?;
    let broker = cx.fault(kill(Broker))?.bitten().await?;
    service.heal().await?;
    broker.heal_after(secs(3)).await?;
    let reports = pipeline.inject(reports(10)).await?;
    pipeline.settled(&reports, secs(60)).await
}
