//! How many trials a sweep gets through: the golden path, again and again, as many at a time as a run has by itself.
//!
//! The first trial is left out of the time: it may have to wait for the broker to boot, which a night does once.

use harness_model::seed::Seed;
use harness_model::verdict::Kind;
use harness_runner::cancel::Cancel;
use harness_runner::config::UnderTest;
use harness_runner::environment::Failure;
use harness_runner::quarantine::Ward;
use harness_runner::report::{Event, Reporter};
use harness_runner::run::{Planned, execute};
use harness_runner::store;
use harness_runner::trial::{Limits, Shared};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{Bound, Measure, Trials, failed};
use crate::environment::Stack;

/// What is run.
const GOLDEN_PATH: &str = "pipeline::golden_path";
/// Trials for each of the runs that are asked for.
const TRIALS: u32 = 12;

/// Nobody watches.
struct Silent;

impl Reporter for Silent {
    fn show(&mut self, _: &Event) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) fn measure(stack: &Stack, trials: &Trials, runs: u32) -> Result<Vec<Measure>, Failure> {
    let Trials {
        catalogue,
        judge,
        jobs,
    } = *trials;
    let scenario = catalogue
        .iter()
        .find(|scenario| scenario.name == GOLDEN_PATH)
        .ok_or_else(|| Failure::infra(format!("there is no scenario {GOLDEN_PATH}")))?;
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let out = camino::Utf8Path::from_path(folder.path())
        .ok_or_else(|| Failure::infra("the folder for temporary files is not UTF-8"))?;
    let run = store::Run::create(out, None, 1).map_err(|error| failed(&error))?;
    let (cancel, under_test, ward) = (Cancel::default(), UnderTest::default(), Ward::default());
    let runtime = Handle::current();
    let shared = Shared {
        environment: stack,
        judge,
        limits: Limits::default(),
        run: &run,
        under_test: &under_test,
        ward: &ward,
        cancel: &cancel,
    };
    let planned = |seeds: std::ops::Range<u32>| -> Vec<_> {
        seeds
            .map(|n| Planned {
                scenario,
                seed: Seed(u64::from(n)).derive("bench"),
            })
            .collect()
    };
    let count = TRIALS * runs.max(1);
    let timed = tokio::task::block_in_place(|| {
        execute(&shared, &planned(0..1), Seed(0), 1, &runtime, &mut Silent);
        let begin = Instant::now();
        let summary = execute(
            &shared,
            &planned(1..count + 1),
            Seed(0),
            jobs,
            &runtime,
            &mut Silent,
        );
        (summary, begin.elapsed())
    });
    let (summary, took) = timed;
    if let Some(bad) = summary
        .finished
        .iter()
        .find(|ended| ended.verdict.kind != Kind::Pass)
    {
        let what = bad
            .verdict
            .findings
            .first()
            .map_or("", |finding| finding.what.as_str());
        return Err(Failure::infra(format!(
            "a trial did not pass, so its time says nothing: {what}"
        )));
    }
    Ok(vec![Measure {
        name: "sweep of the golden path",
        value: f64::from(count) * 60.0 / took.as_secs_f64(),
        unit: "/min",
        bound: Bound::AtLeast(20.0),
        beside: format!("{count} trials, {jobs} at a time, in {:.0} s", took.as_secs_f64()),
    }])
}
