//! Measurements: `harness bench [NAME..]`.
//!
//! Every claim is a ratio or a difference whose two sides are measured in the same run, in turn, so that a machine that
//! gets slower in between slows both. Absolute times are shown beside it, for orientation. Each measurement has a bound
//! and says whether it is kept; one that is not ends the command with exit code 100.

mod boot;
mod provision;
mod relay;
mod sweep;
mod taps;
mod trigger;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use harness_runner::environment::Failure;
use harness_runner::exit::{Exit, Refusal};
use harness_runner::trial::Judge;

use crate::Scenario;
use crate::commands::print;
use crate::environment::Stack;

/// A measured number and its bound.
#[derive(Debug, Clone)]
struct Measure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    bound: Bound,
    beside: String,
}

/// What a number must keep.
#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Measure {
    fn kept(&self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.value >= bound,
            Bound::AtMost(bound) => self.value <= bound,
        }
    }

    fn line(&self) -> String {
        let (sign, bound) = match self.bound {
            Bound::AtLeast(bound) => (">=", bound),
            Bound::AtMost(bound) => ("<=", bound),
        };
        let kept = if self.kept() { "ok  " } else { "MISS" };
        format!(
            "{kept}  {:28} {:8.3} {:5} ({sign} {bound})  {}",
            self.name, self.value, self.unit, self.beside
        )
    }
}

/// What a measurement needs to run whole trials.
pub(crate) struct Trials {
    pub(crate) catalogue: &'static [Scenario],
    pub(crate) judge: Judge,
    /// At the same time.
    pub(crate) jobs: usize,
}

/// Names of the measurements, in the order in which they run.
const NAMES: &[&str] = &["amqp", "mysql", "provision", "boot", "trigger", "sweep"];

/// Runs the named measurements, or all.
pub(crate) async fn run(
    stack: &Stack,
    trials: &Trials,
    names: &[String],
    runs: u32,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(Refusal::config(format!("no measurement is called {unknown}"))
            .hint(format!("there are {}", NAMES.join(", "))));
    }
    let mut all_kept = true;
    for name in NAMES
        .iter()
        .filter(|name| names.is_empty() || names.iter().any(|asked| asked == *name))
    {
        let measured = match *name {
            "amqp" => taps::amqp(stack, runs).await,
            "mysql" => taps::mysql(stack, runs).await,
            "provision" => provision::measure(stack, runs).await,
            "boot" => boot::measure(stack, runs).await,
            "trigger" => trigger::measure(stack, runs).await,
            _ => sweep::measure(stack, trials, runs),
        };
        let measured = measured.map_err(|failure| Refusal::engine(failure.to_string()))?;
        for measure in measured {
            all_kept &= measure.kept();
            print(out, &measure.line())?;
        }
    }
    Ok(if all_kept { Exit::Passed } else { Exit::Failed })
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::infra(error.to_string())
}

/// The middle value; of an even number, the lower one of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

/// The value below which a share of the times lies, in milliseconds.
fn percentile_ms(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let index = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len().max(1)) - 1;
    times
        .get(index)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}

/// Labels of what a measurement starts.
fn labels(stack: &Stack, lease: &harness_stack::pool::Lease) -> BTreeMap<String, String> {
    harness_stack::service::labels(lease.grant(), &stack.paths.dir().display().to_string())
}

#[cfg(test)]
mod tests {
    use super::{median, percentile_ms};
    use std::time::Duration;

    #[test]
    fn medians_and_percentiles_are_values_that_were_measured() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.0).abs() < f64::EPSILON);
        let mut times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert!((percentile_ms(&mut times, 0.5) - 50.0).abs() < 1e-9);
        assert!((percentile_ms(&mut times, 0.99) - 99.0).abs() < 1e-9);
        assert!(percentile_ms(&mut [], 0.5).is_nan());
    }
}
