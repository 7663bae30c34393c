//! How many trials a sweep gets through: the golden path under all conditions that are drawn, as many at a time as a run has
//! by itself.
//!
//! A trial before it is left out of the time: it may have to wait for the broker to boot, which a night does once.

use harness_model::seed::Seed;
use harness_model::verdict::Kind;
use harness_runner::cancel::Cancel;
use harness_runner::config::UnderTest;
use harness_runner::environment::Failure;
use harness_runner::quarantine::Ward;
use harness_runner::report::{Event, Reporter};
use harness_runner::run::{Planned, execute};
use harness_runner::store;
use harness_runner::sweep::night::{self, Asked};
use harness_runner::trial::{Limits, Shared};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{Bound, Measure, Trials, failed};
use crate::environment::Stack;
use crate::perturb::AXES;

/// What is run.
const GOLDEN_PATH: &str = "pipeline::golden_path";
/// Trials for each of the runs that are asked for. A sweep leaves a scenario that is stable after 59.
const TRIALS: u64 = 12;

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
    let first = Planned {
        scenario,
        seed: Seed(0).derive("bench"),
    };
    let asked = Asked {
        seed: Seed(0),
        axes: AXES.to_vec(),
        trials: TRIALS * u64::from(runs.max(1)),
        budget: None,
        jobs,
    };
    let (swept, took) = tokio::task::block_in_place(|| {
        execute(&shared, &[first], Seed(0), 1, &runtime, &mut Silent);
        let begin = Instant::now();
        let swept = night::run(
            asked,
            std::slice::from_ref(scenario),
            &shared,
            &runtime,
            &mut Silent,
        );
        (swept, begin.elapsed())
    });
    let (records, _) = swept.map_err(|error| failed(&error))?;
    let count = records.len();
    let bad = records
        .iter()
        .filter(|record| record.verdict != Kind::Pass)
        .count();
    if bad > 0 {
        return Err(Failure::infra(format!(
            "{bad} of {count} trials did not pass, so their time says nothing"
        )));
    }
    Ok(vec![Measure {
        name: "sweep of the golden path",
        value: count as f64 * 60.0 / took.as_secs_f64(),
        unit: "/min",
        bound: Bound::AtLeast(20.0),
        beside: format!("{count} trials, {jobs} at a time, in {:.0} s", took.as_secs_f64()),
    }])
}
