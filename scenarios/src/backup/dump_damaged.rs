//! The dump is damaged, in one way at a time, and its metadata fits it in every other respect.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::dump_damaged",
    "the drill finds each damage, says which it is, and removes what it made",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let (pipeline, backups) = (cx.pipeline(), cx.backups()?);
    let reports = pipeline.inject(corpus()).await?;
    pipeline.settled(&reports, secs(30)).await?;
    // Large enough for one row to be within the tolerance.
    backups.load("thousand.sql").await?;
    backups.make().await?;
    let said = backups.drill_each(&Damage::OF_DUMP).await?;
    cx.golden("messages", &said)
}
