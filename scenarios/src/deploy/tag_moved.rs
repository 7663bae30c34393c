//! The tag is moved after the deploy, and all containers are made anew.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::tag_moved",
    "a tag that is moved after it was pinned changes nothing of what runs",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    let release = ops.release().await?;
    ops.deploy(&[]).await?;
    ops.release().await?;
    ops.recreate().await?;
    ops.runs(&release).await
}
