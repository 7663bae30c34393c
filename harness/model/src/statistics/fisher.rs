//! Whether two groups of trials fail at different rates, also when several pairs of groups are compared.

/// How likely it is, if both groups fail at one rate, that the first has at least so many of the failures: Fisher's exact
/// test, one-sided (The Design of Experiments, 1935). A group is failures and trials.
pub fn fisher(first: (u64, u64), second: (u64, u64)) -> f64 {
    let (failed, trials) = (first.0 + second.0, first.1 + second.1);
    let most = failed.min(first.1);
    let all = choose(trials, failed);
    let tail: f64 = (first.0..=most)
        .filter(|in_first| failed - in_first <= second.1)
        .map(|in_first| (choose(first.1, in_first) + choose(second.1, failed - in_first) - all).exp())
        .sum();
    tail.min(1.0)
}

/// The logarithm of the number of ways to choose `k` of `n`.
fn choose(n: u64, k: u64) -> f64 {
    (0..k.min(n - k))
        .map(|i| ((n - i) as f64).ln() - ((i + 1) as f64).ln())
        .sum()
}

/// The probabilities, corrected for the number of comparisons: Holm's step-down procedure (Scand. J. Stat. 6, 1979). One
/// that is at most 0.05 may be called significant, whatever the others are.
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<_> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut corrected = vec![0.0; probabilities.len()];
    let mut least: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        let factor = (probabilities.len() - rank) as f64;
        least = least.max((factor * probabilities[index]).min(1.0));
        corrected[index] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::{fisher, holm};

    #[test]
    fn fishers_test_gives_the_textbook_values() {
        for (first, second, probability) in [
            // The lady tasting tea: all four right, and three of four.
            ((4, 4), (0, 4), 1.0 / 70.0),
            ((3, 4), (1, 4), 17.0 / 70.0),
            ((8, 8), (0, 8), 1.0 / 12_870.0),
            ((0, 8), (0, 8), 1.0),
            ((1, 10), (9, 12), 0.999_92),
        ] {
            let found = fisher(first, second);
            assert!(
                (found - probability).abs() < 1e-4,
                "{first:?} {second:?}: {found}"
            );
        }
    }

    #[test]
    fn holms_correction_steps_down() {
        let close = |found: Vec<f64>, wanted: &[f64]| {
            assert!(
                found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12),
                "{found:?}"
            );
        };
        close(holm(&[0.01, 0.04, 0.03, 0.005]), &[0.03, 0.06, 0.06, 0.02]);
        close(holm(&[0.6, 0.7]), &[1.0, 1.0]);
        close(holm(&[]), &[]);
    }
}
