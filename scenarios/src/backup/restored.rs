//! The schema holds what dumps have been known to lose; the drill restores it, and so does the harness.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::restored",
    "every row, blob, odd character, NULL, zero date, generated column, trigger, routine and event comes back",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let (pipeline, backups) = (cx.pipeline(), cx.backups()?);
    let reports = pipeline.inject(corpus()).await?;
    pipeline.settled(&reports, secs(30)).await?;
    backups.load("odd.sql").await?;
    // Large enough for one row to be within the tolerance.
    backups.load("thousand.sql").await?;
    backups.make().await?;
    let report = backups.drill().await?;
    cx.golden("report", &report)?;
    backups.brings_everything_back().await
}
