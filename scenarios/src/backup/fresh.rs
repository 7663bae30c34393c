//! The check of freshness is shown logs of all ages, and such as nobody can read.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::fresh",
    "a backup counts as fresh for thirty hours, and what cannot be read never does",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let backups = cx.backups()?;
    backups.make().await?;
    backups.is_fresh_now().await?;
    backups.freshness_is_judged_right().await
}
