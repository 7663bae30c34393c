//! A deploy fails midway, and its script puts back the last service only, though it says that all is as it was.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::left_mixed",
    "a failed deploy that leaves services of two releases is noticed, whatever its script says",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.budget(secs(150))
.waive(&[(
    "process-alive",
    "a service of the second release ends at once, as it is made to",
)])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx
        .ops()?
        .with_script("deploy", "../ops/wrong/deploy-puts-back-one.sh")?;
    ops.release().await?;
    ops.deploy(&[]).await?;
    let broken = ops.broken_release(&["tags"]).await?;
    ops.deploy_fails(&[], "the old version serves again").await?;
    ops.is_bad(Look::Digests, "running-digest", "service analyzer")
        .await?;
    ops.is_bad(Look::Versions, "versions-agree", &broken.git_sha)
        .await
}
