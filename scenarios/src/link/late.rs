//! Every byte between the analyzer and the broker is late, by a different time.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::late",
    "latency and jitter change the speed and nothing else",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(shape("analyzer", Backend::Broker, Shape { latency_ms: 30, jitter_ms: 20, ..Shape::default() }))?;
    let reports = pipeline.inject(reports(20)).await?;
    let outage = outage.bitten().await?;
    pipeline.settled(&reports, secs(60)).await?;
    outage.heal().await
}
