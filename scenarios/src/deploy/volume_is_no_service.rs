//! An override pins what stands under top-level volumes.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::volume_is_no_service",
    "names under volumes and configs are not taken for services",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    ops.is_good(Look::Pins).await?;
    ops.replace_override(|pins| format!("{pins}  tiles:\n    image: tiles\n")).await?;
    ops.is_bad(Look::Pins, "pins-complete", "is no service").await
}
