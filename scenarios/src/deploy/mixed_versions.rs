//! One of the services is of another release than the others.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::mixed_versions",
    "services of two releases are told from services of one",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    let second = ops.release().await?;
    ops.deploy(&["renderer"]).await?;
    ops.is_bad(Look::Versions, "versions-agree", &second.git_sha).await?;
    ops.deploy(&[]).await?;
    ops.runs(&second).await
}
