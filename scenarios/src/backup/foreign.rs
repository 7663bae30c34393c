//! A backup script in another style, unmodified: functions, here-documents over ssh, here-strings, no checksums.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::foreign",
    "a backup script that somebody else wrote runs unmodified, and what it makes is judged alike",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let (pipeline, backups) = (cx.pipeline(), cx.backups()?.by("backup-nightly.toml")?);
    let reports = pipeline.inject(reports(20)).await?;
    pipeline.settled(&reports, secs(30)).await?;
    let made = backups.make().await?;
    backups.metadata_is_true(&made).await?;
    backups.is_fresh_now().await?;
    backups.drill().await?;
    backups.shows_no_secret().await
}
