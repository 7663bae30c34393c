//! What numbers of trials say about a rate of failure.
//!
//! All rates are shares from 0 to 1. Every function says where its formula is from; the tests hold them against published
//! values. Nothing here is an estimate by simulation.

mod fisher;
mod sequential;

pub use self::fisher::{fisher, holm};
pub use self::sequential::{Sequential, Standing};

/// The quantile of the normal distribution for two-sided intervals of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// The interval in which the rate lies with 95 % confidence after `failures` in `trials`: Wilson's score interval (J. Am.
/// Stat. Assoc. 22, 1927). Without a trial everything is possible.
pub fn wilson(failures: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, rate) = (trials as f64, failures as f64 / trials as f64);
    let scale = 1.0 + Z * Z / n;
    let middle = (rate + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Where nothing or everything has failed the formula gives the end exactly, but for rounding.
    let low = if failures == 0 { 0.0 } else { middle - half };
    let high = if failures >= trials { 1.0 } else { middle + half };
    (low.max(0.0), high.min(1.0))
}

/// How sure a one-sided bound is.
const CONFIDENCE: f64 = 0.95;

/// The largest rate with which `failures` or fewer of `trials` are not yet less likely than 5 %: the upper end of the
/// one-sided interval of Clopper and Pearson (Biometrika 26, 1934), found by bisection.
pub fn at_most(failures: u64, trials: u64) -> f64 {
    if failures >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let rate = f64::midpoint(low, high);
        if up_to(failures, trials, rate) > 1.0 - CONFIDENCE {
            low = rate;
        } else {
            high = rate;
        }
    }
    high
}

/// The probability of `failures` or fewer in `trials`, each of which fails with this rate.
fn up_to(failures: u64, trials: u64, rate: f64) -> f64 {
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

/// How many trials it takes to see at least one failure with 95 % probability, if each fails with this rate: the smallest
/// n with (1 - rate)^n at most 0.05.
pub fn trials_to_see(rate: f64) -> u64 {
    let clean: f64 = 1.0 - CONFIDENCE;
    (clean.ln() / (-rate).ln_1p()).ceil() as u64
}

/// The rate of failure that so many trials show at least once with 95 % probability.
pub fn seen_by(trials: u64) -> f64 {
    if trials == 0 {
        return 1.0;
    }
    let clean: f64 = 1.0 - CONFIDENCE;
    1.0 - clean.powf(1.0 / trials as f64)
}

#[cfg(test)]
mod tests {
    use super::{at_most, seen_by, trials_to_see, wilson};

    #[test]
    fn wilsons_interval_is_that_of_the_tables() {
        for (failures, trials, low, high) in [
            (0, 20, 0.0, 0.161_1),
            (0, 59, 0.0, 0.061_1),
            (0, 300, 0.0, 0.012_6),
            (1, 20, 0.008_9, 0.236_1),
            (10, 20, 0.299_3, 0.700_7),
            (20, 20, 0.838_9, 1.0),
            (0, 0, 0.0, 1.0),
        ] {
            let found = wilson(failures, trials);
            assert!(
                (found.0 - low).abs() < 5e-5 && (found.1 - high).abs() < 5e-5,
                "{failures} of {trials}: {found:?}"
            );
        }
    }

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
            let found = at_most(failures, trials);
            assert!((found - bound).abs() < 5e-5, "{failures} of {trials}: {found}");
        }
    }

    #[test]
    fn so_many_trials_show_such_a_rate() {
        for (rate, trials) in [(0.05, 59), (0.02, 149), (0.01, 299), (0.005, 598), (0.001, 2_995)] {
            assert_eq!(trials_to_see(rate), trials, "{rate}");
            assert!(seen_by(trials) <= rate && seen_by(trials - 1) > rate, "{rate}");
        }
        assert!(seen_by(0) >= 1.0);
    }
}
