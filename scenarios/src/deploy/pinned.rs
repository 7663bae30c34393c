//! All services are deployed for the first time.

use harness::prelude::*;

pub(crate) const SCENARIO: harness::Scenario = scenario!(
    "deploy::pinned",
    "every service is pinned by digest, Compose takes the files, and what runs is what is pinned",
    run
)
.setup(&[Setup::Deployed])
.must_see(&[StepKind::Script, StepKind::Process, StepKind::Engine])
.done();

async fn run(cx: &mut Cx) -> Outcome {
    let ops = cx.ops()?;
    let release = ops.release().await?;
    ops.deploy(&[]).await?;
    ops.runs(&release).await?;
    cx.golden("pins", &ops.pins().await?)?;
    cx.golden("effective", &ops.effective().await?)?;
    ops.shows_no_secret().await
}
