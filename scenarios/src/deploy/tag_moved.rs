//! The tag is moved while a deploy gets what it has pinned; later all containers are made anew.

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
    let other = ops.release().await?;
    ops.tag(&release).await?;
    ops.deploy_while_tag_moves(&other).await?;
    ops.runs(&release).await?;
    ops.recreate().await?;
    ops.runs(&release).await
}
