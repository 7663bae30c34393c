//! The first deploy finds a database without migrations.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::migrated_first",
    "migrations are applied before the first container is made",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    ops.is_good(Look::Migrations).await?;
    ops.release().await?;
    ops.deploy(&["tags"]).await?;
    ops.is_good(Look::Migrations).await
}
