//! Somebody layers an image from elsewhere over the platform, by a tag.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::third_party",
    "an image from elsewhere needs a pin",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    ops.replace_override(|pins| format!("{pins}  cache:\n    image: cache:7\n")).await?;
    ops.is_bad(Look::ThirdParty, "third-party-pinned", "cache:7").await
}
