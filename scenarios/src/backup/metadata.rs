//! What the metadata says is compared with what can be known without it.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::metadata",
    "the metadata is complete and true: object, size, times, and the rows of every table",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let (pipeline, backups) = (cx.pipeline(), cx.backups()?);
    let reports = pipeline.inject(corpus()).await?;
    pipeline.settled(&reports, secs(30)).await?;
    backups.load("odd.sql").await?;
    let made = backups.make().await?;
    backups.metadata_is_true(&made).await?;
    cx.golden("metadata", &made.canonical())
}
