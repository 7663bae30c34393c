//! The analyzer loses its link three times with its hands full.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "message::redelivery_storm",
    "a report that is delivered again and again has one effect",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let mut cuts = Vec::new();
    for _ in 0..3 {
        let full = unacked(8, "analyzer");
        let when = match cuts.last() {
            None => full,
            Some(previous) => full.after(once(previous, Phase::Healed)),
        };
        cuts.push(cx.fault(cut("analyzer", Backend::Broker, Cut::Rst).when(when))?);
    }
    let reports = pipeline.inject(reports(150)).await?;
    for cut in cuts {
        cut.bitten().await?.heal().await?;
    }
    pipeline.settled(&reports, secs(60)).await
}
