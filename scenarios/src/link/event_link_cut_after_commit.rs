//! The analyzer's link to the broker is reset right behind the commit of a report, while its event is under way.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "link::event_link_cut_after_commit",
    "a committed analysis gets its event, however the link to the broker fares",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let outage = cx.fault(cut("analyzer", Backend::Broker, Cut::Rst).when(in_state(C2, "analyzer").of_report(2)))?;
    let reports = pipeline.inject(reports(10)).await?;
    outage.bitten().await?.heal().await?;
    pipeline.settled(&reports, secs(60)).await
}
