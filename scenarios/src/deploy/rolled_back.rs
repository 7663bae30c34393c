//! Two releases, with reports in between and after; then the second is taken back.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::rolled_back",
    "a roll-back restores what ran before, and loses no data",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.budget(secs(150))
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let (ops, pipeline) = (cx.ops()?, cx.pipeline());
    let first = ops.release().await?;
    ops.deploy(&[]).await?;
    let before = ops.digests().await?;
    let early = pipeline.inject(reports(10)).await?;
    pipeline.settled(&early, secs(30)).await?;
    let second = ops.release().await?;
    ops.deploy(&[]).await?;
    ops.runs(&second).await?;
    ops.roll_back().await?;
    ops.runs(&first).await?;
    ops.only_changed(&before, &[]).await?;
    let late = pipeline.inject(reports(10)).await?;
    pipeline.settled(&late, secs(30)).await
}
