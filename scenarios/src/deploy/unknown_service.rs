//! An override pins a service that is misspelt.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::unknown_service",
    "a pin for an unknown service is noticed, and the service that was meant is named",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    ops.replace_override(|pins| pins.replace("  renderer:", "  rendrer:")).await?;
    ops.is_bad(Look::Pins, "pins-complete", "did you mean `renderer`?").await
}
