//! Everything that a backup and a drill start, write and leave is searched for the passwords that they were given.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::secrets",
    "no password is in an argument, a log, a file, an object or an image",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let backups = cx.backups()?;
    backups.load("thousand.sql").await?;
    backups.make().await?;
    backups.drill().await?;
    backups.shows_no_secret().await
}
