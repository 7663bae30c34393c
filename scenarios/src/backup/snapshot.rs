//! Reports are written, analysed and tagged all through the backup.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::snapshot",
    "a backup under live writes is of one moment: its counts, its checksums and all of its tables",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let (pipeline, backups) = (cx.pipeline(), cx.backups()?);
    let reports = pipeline.inject(reports(250)).await?;
    let made = backups.make().await?;
    pipeline.settled(&reports, secs(60)).await?;
    backups.others_wrote_meanwhile(&made).await?;
    backups.drill().await?;
    backups.is_of_one_moment(&made).await
}
