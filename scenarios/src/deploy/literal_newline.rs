//! An override is written with a literal backslash and n where its lines should end.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::literal_newline",
    "an override with a literal \\n is refused",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    ops.is_good(Look::Override).await?;
    ops.replace_override(|pins| pins.replace('\n', r"\n")).await?;
    ops.is_bad(Look::Override, "override-parses", r"literal \n").await
}
