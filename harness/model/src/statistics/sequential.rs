//! When enough trials have been run.

/// Wald's sequential probability ratio test (Ann. Math. Stat. 16, 1945) between a rate of failure that is put up with and
/// one that has to be seen, with 5 % error on both sides.
///
/// The walk is not ended where it crosses the upper bound: a first failure crosses it at once, and what is wanted then is
/// not a decision but more trials. It may come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sequential {
    clean: u64,
    failed: u64,
}

/// The rate that is put up with.
const PUT_UP_WITH: f64 = 0.001;
/// The rate that has to be seen.
const SEEN: f64 = 0.05;
/// Both kinds of error.
const ERROR: f64 = 0.05;

/// Where the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Below the lower bound: a rate that has to be seen would have shown.
    Stable,
    /// Between the bounds.
    Open,
    /// Above the upper bound.
    Suspect,
}

impl Sequential {
    /// After so many trials that passed, and so many that failed.
    pub fn after(clean: u64, failed: u64) -> Self {
        Self { clean, failed }
    }

    /// The logarithm of the ratio of the likelihoods.
    fn ratio(self) -> f64 {
        let failed = (SEEN / PUT_UP_WITH).ln();
        let clean = ((1.0 - SEEN) / (1.0 - PUT_UP_WITH)).ln();
        self.failed as f64 * failed + self.clean as f64 * clean
    }

    /// Where it stands.
    pub fn standing(self) -> Standing {
        let ratio = self.ratio();
        if ratio <= (ERROR / (1.0 - ERROR)).ln() {
            Standing::Stable
        } else if ratio >= ((1.0 - ERROR) / ERROR).ln() {
            Standing::Suspect
        } else {
            Standing::Open
        }
    }

    /// How many more trials have to pass, at the least, before it stands at stable.
    pub fn clean_to_stable(self) -> u64 {
        let clean = ((1.0 - SEEN) / (1.0 - PUT_UP_WITH)).ln();
        let missing = self.ratio() - (ERROR / (1.0 - ERROR)).ln();
        if missing <= 0.0 {
            0
        } else {
            (missing / -clean).ceil() as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sequential, Standing};

    #[test]
    fn fifty_nine_clean_trials_are_enough_and_a_failure_costs_seventy_eight() {
        assert_eq!(Sequential::default().clean_to_stable(), 59);
        assert_eq!(Sequential::after(58, 0).standing(), Standing::Open);
        assert_eq!(Sequential::after(59, 0).standing(), Standing::Stable);
        assert_eq!(Sequential::after(0, 1).standing(), Standing::Suspect);
        assert_eq!(Sequential::after(0, 1).clean_to_stable(), 137);
        assert_eq!(Sequential::after(136, 1).standing(), Standing::Open);
        assert_eq!(Sequential::after(137, 1).standing(), Standing::Stable);
    }
}
