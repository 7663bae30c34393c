//! What a number of trials says about those that were not run.

use harness_model::verdict::Kind;

use crate::report::Finished;

/// How sure the bound is.
const CONFIDENCE: f64 = 0.95;

/// The largest rate of failure with which `failures` or fewer of `trials` are not yet less likely than 1 - confidence:
/// the upper end of the one-sided interval of Clopper and Pearson (Biometrika 26, 1934), found by bisection.
pub(crate) fn upper(failures: u64, trials: u64) -> f64 {
    if failures >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let rate = f64::midpoint(low, high);
        if at_most(failures, trials, rate) > 1.0 - CONFIDENCE {
            low = rate;
        } else {
            high = rate;
        }
    }
    high
}

/// The probability of `failures` or fewer in `trials`, each of which fails with this rate.
fn at_most(failures: u64, trials: u64, rate: f64) -> f64 {
    // Logarithms, because the first term underflows for many trials.
    let (fail, pass) = (rate.ln(), (-rate).ln_1p());
    let mut choose = 0.0;
    let mut sum = 0.0;
    for k in 0..=failures {
        sum += (choose + k as f64 * fail + (trials - k) as f64 * pass).exp();
        choose += ((trials - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    sum
}

/// The bound for a run, in a sentence.
pub(crate) fn sentence(finished: &[Finished]) -> String {
    let trials = finished.len() as u64;
    let passed = finished.iter().filter(|ended| ended.verdict.kind == Kind::Pass);
    let failures = trials - passed.count() as u64;
    format!(
        "{failures} of {trials} trials did not pass; at most {:.2} % of such trials do not (95 % sure)",
        100.0 * upper(failures, trials)
    )
}

#[cfg(test)]
mod tests {
    use super::upper;

    #[test]
    fn the_bound_is_the_one_of_the_tables() {
        // Without a failure it is 1 - 0.05^(1/n); the others are from the quantiles of the beta distribution.
        for (failures, trials, bound) in [
            (0, 1, 0.95),
            (0, 10, 0.2589),
            (0, 300, 0.009_936),
            (1, 10, 0.3942),
            (2, 20, 0.2826),
            (5, 5, 1.0),
        ] {
            let found = upper(failures, trials);
            assert!((found - bound).abs() < 5e-5, "{failures} of {trials}: {found}");
        }
    }
}
