//! An override pins to a digest that lacks a digit.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::short_digest",
    "a digest of the wrong length is refused",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    ops.replace_override(|pins| pins.trim_end().split_at(pins.trim_end().len() - 1).0.to_owned() + "\n").await?;
    ops.is_refused().await
}
