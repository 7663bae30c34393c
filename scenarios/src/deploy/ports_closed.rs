//! Ports in the configuration, those that containers have open, and the sockets behind them.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::ports_closed",
    "what is deployed is open to this machine only, and an opened port is noticed",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    ops.is_good(Look::Ports).await?;
    ops.replace_override(|pins| format!("{pins}    ports: !override [\"3000:8081\"]\n")).await?;
    ops.is_bad(Look::Ports, "port-policy", "3000").await
}
