//! One of the services is deployed again after the tag was moved.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::partial",
    "a partial deploy keeps the pins of all other services, and what they run",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    let before = ops.digests().await?;
    ops.release().await?;
    ops.deploy(&["tags"]).await?;
    ops.is_good(Look::Pins).await?;
    ops.is_good(Look::Digests).await?;
    ops.only_changed(&before, &["tags"]).await
}
