//! A table of a million rows goes through the backup and the drill, in less memory than it takes.

use harness::prelude::*;

/// The memory of the box, in MiB.
const MEMORY: u32 = 80;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::million",
    "a million rows are dumped and restored in bounded memory, and long work says how far it is",
    run
)
.setup(&[Setup::Box])
.budget(secs(200))
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let backups = cx.backups()?;
    backups.load("million.sql").await?;
    backups.limit_memory(MEMORY).await?;
    let made = backups.make().await?;
    made.shows_progress()?;
    backups.is_larger_than(MEMORY).await?;
    let report = backups.long_drill().await?;
    cx.golden("report", &report)
}
