//! The analyzer's link to the broker ends with a FIN while an event is about to be published.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::closed",
    "an orderly end of a link in the middle of work loses nothing",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(cut("analyzer", Backend::Broker, Cut::Fin).when(in_state(P0, "analyzer").number(5)))?;
    let reports = pipeline.inject(reports(20)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
