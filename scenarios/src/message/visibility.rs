//! Reports that are not public are among public ones.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "message::visibility",
    "a report that is not public is analysed and not announced",
    run
)
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let mut last = None;
    for name in ["shadow-report", "private-report", "shadow-without-tags"] {
        last = Some(pipeline.inject(named(name)).await?);
    }
    let reports = pipeline.inject(reports(5)).await?;
    if let Some(hidden) = last {
        pipeline.settled(&hidden, secs(30)).await?;
    }
    pipeline.settled(&reports, secs(60)).await
}
