//! The metadata is damaged, in one way at a time.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::metadata_damaged",
    "the drill finds metadata that is missing, wrong, or of something else, and says which it is",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let (pipeline, backups) = (cx.pipeline(), cx.backups()?);
    let reports = pipeline.inject(corpus()).await?;
    pipeline.settled(&reports, secs(30)).await?;
    backups.make().await?;
    let said = backups.drill_each(&Damage::OF_METADATA).await?;
    cx.golden("messages", &said)
}
