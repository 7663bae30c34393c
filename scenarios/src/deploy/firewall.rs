//! The rules of the firewall, as they are and as they were.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::firewall",
    "a rule that opens what the policy closes is noticed",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    ops.is_good(Look::Firewall).await?;
    ops.rules_are_bad("../ops/deploy/firewall-before.rules", "3000")
}
