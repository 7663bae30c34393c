//! Metadata without checksums, as deployed scripts write it: only counts can be compared.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::tolerance",
    "without checksums a count may differ by the tolerance and no more, and a count of zero not at all",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let backups = cx.backups()?;
    backups.load("thousand.sql").await?;
    backups.make().await?;
    backups.forget_checksums().await?;
    backups.counted_by(0.2).drill().await?;
    backups.counted_by(-0.1).drill().await?;
    backups.counted_by(0.3).drill_fails().await?;
    backups.drill_of_uncounted_fails().await
}
