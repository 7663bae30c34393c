//! A dump dies with half of its tables written; so does one whose script is killed.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::died_midway",
    "a dump that dies midway says so and leaves the last good one current, and it can still be restored",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let backups = cx.backups()?;
    backups.load("thousand.sql").await?;
    backups.make().await?;
    backups.load("broken_view.sql").await?;
    backups.fails_to_make("the dump died").await?;
    backups.load("million.sql").await?;
    backups.is_killed_midway().await?;
    backups.drill().await.map(drop)
}
