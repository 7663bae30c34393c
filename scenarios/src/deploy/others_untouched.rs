//! A container of somebody else's is on the engine while the box removes all that it sees, and pulls what others have.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::others_untouched",
    "what the ops box has not made it neither sees nor changes",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    let release = ops.release().await?;
    ops.deploy(&[]).await?;
    let foreign = cx.foreign_container().await?;
    ops.cannot_touch(&foreign).await?;
    ops.runs(&release).await?;
    foreign.still_runs().await
}
