//! Backups at the ends of an ISO year, and a second before and after a Sunday.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::weekly",
    "on a Sunday (UTC), and on no other day, both objects are kept under the ISO year and week",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let backups = cx.backups()?;
    for start in [
        "2026-12-31T03:00:00Z",
        "2027-01-02T23:59:40Z",
        "2027-01-03T00:00:00Z",
        "2027-01-03T23:59:40Z",
        "2027-01-04T00:00:00Z",
        "2029-12-30T03:00:00Z",
    ] {
        backups.make_at(start).await?;
        backups.weekly_copies_are_right(start).await?;
    }
    Ok(())
}
