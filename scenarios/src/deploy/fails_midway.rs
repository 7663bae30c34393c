//! The services of the second release end as soon as they are started.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::fails_midway",
    "a deploy that fails midway leaves the old version serving, and says so",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.budget(secs(150))
.waive(&[("process-alive", "the services of the second release end at once, as they are made to")])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    let release = ops.release().await?;
    ops.deploy(&[]).await?;
    let before = ops.digests().await?;
    ops.broken_release().await?;
    ops.deploy_fails(&[], "the old version serves again").await?;
    ops.runs(&release).await?;
    ops.only_changed(&before, &[]).await
}
