//! Reports come in while every service is replaced.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::under_load",
    "a deploy under load loses nothing and doubles nothing",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.budget(secs(150))
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let (ops, pipeline) = (cx.ops()?, cx.pipeline());
    ops.release().await?;
    ops.deploy(&[]).await?;
    let second = ops.release().await?;
    let reports = pipeline.inject(reports(300)).await?;
    ops.deploy(&[]).await?;
    pipeline.settled(&reports, secs(60)).await?;
    ops.runs(&second).await
}
