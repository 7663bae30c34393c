//! A backup script is careless with its password in every way that there is.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "backup::secrets_kept",
    "a password is found in an argument, a log, a file, an archive, a name, an object and a layer of an image",
    run
)
.setup(&[Setup::Box])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let backups = cx
        .backups()?
        .with_script("backup", "../ops/wrong/backup-keeps-secrets.sh")?;
    backups.load("thousand.sql").await?;
    backups.make().await?;
    backups
        .shows_secrets(&[
            "database stands in the arguments of `env true --password=",
            "database stands in the log ops-backup-1: ",
            "database stands in the file /var/lib/notes/my.cnf",
            "database stands in the file /var/lib/notes/packed;",
            "database stands in the file /var/lib/notes/of-<secret:database>;",
            "database in base64 stands in the object ",
            "database stands in the image ",
        ])
        .await
}
