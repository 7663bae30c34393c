//! Somebody else's script, written in another style, runs unmodified.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::foreign",
    "a deploy by another script is judged by the same rules",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?.deploying_by("../ops/foreign/deploy-release.toml")?;
    let first = ops.release().await?;
    ops.deploy(&[]).await?;
    ops.runs(&first).await?;
    let before = ops.digests().await?;
    ops.release().await?;
    ops.deploy(&["tags"]).await?;
    ops.is_good(Look::Pins).await?;
    ops.only_changed(&before, &["tags"]).await?;
    ops.shows_no_secret().await
}
