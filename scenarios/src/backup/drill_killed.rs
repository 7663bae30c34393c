//! A drill gets SIGTERM, another one SIGKILL, each with its scratch database up; a third one is killed with all its processes.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::drill_killed",
    "a drill that is ended or killed removes what it made; if its guard is killed with it, the next one does",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let backups = cx.backups()?;
    backups.load("thousand.sql").await?;
    backups.make().await?;
    backups.end_drill("TERM").await?;
    backups.left_nothing().await?;
    backups.end_drill("KILL").await?;
    backups.left_nothing().await?;
    backups.kill_all_of_drill().await?;
    backups.drill().await.map(drop)
}
