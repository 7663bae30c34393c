//! The registry is gone when the second deploy begins.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::registry_lost",
    "a deploy without a registry says so and changes nothing",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    let release = ops.release().await?;
    ops.deploy(&[]).await?;
    let before = ops.digests().await?;
    ops.lose_registry().await?;
    ops.deploy_fails(&[], "cannot be reached").await?;
    ops.only_changed(&before, &[]).await?;
    ops.runs(&release).await
}
