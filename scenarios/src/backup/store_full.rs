//! The object store takes no more.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::store_full",
    "a store that is full is named as the reason, and the last good dump stays current",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let backups = cx.backups()?;
    backups.load("thousand.sql").await?;
    backups.make().await?;
    backups.fill_store().await?;
    backups.fails_to_make("The store is full").await?;
    backups.drill().await.map(drop)
}
