//! One service of the second release ends as soon as it is started, the last one to be replaced.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::fails_midway",
    "a deploy that fails midway puts back what it has replaced, so that the old version serves, and says so",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.budget(secs(150))
.waive(&[(
    "process-alive",
    "a service of the second release ends at once, as it is made to",
)])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    let release = ops.release().await?;
    ops.deploy(&[]).await?;
    let before = ops.digests().await?;
    ops.broken_release(&["tags"]).await?;
    ops.deploy_fails(&[], "the old version serves again").await?;
    ops.had_replaced(&["analyzer", "renderer"]).await?;
    ops.runs(&release).await?;
    ops.only_changed(&before, &[]).await
}
