//! A backup script holds the whole dump in memory before it passes it on.

use harness::prelude::*;

/// The memory of the box, in MiB: as much as a good script needs at most.
const MEMORY: u32 = 80;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::held_in_memory",
    "a backup that holds a large dump in memory does well with enough of it, and fails with as much as a good one needs",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let backups = cx
        .backups()?
        .with_script("backup", "../ops/wrong/backup-holds-all.sh")?;
    backups.load("large.sql").await?;
    backups.make().await?;
    backups.is_larger_than(MEMORY).await?;
    backups.limit_memory(MEMORY).await?;
    backups.fails_to_make("backup failed").await
}
