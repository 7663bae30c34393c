//! How many trials of a scenario are due, and what its counts make of it.

use std::time::Duration;

use harness_model::statistics::{Sequential, Standing, wilson};
use harness_model::verdict::Kind;
use serde::{Deserialize, Serialize};

/// So many trials are run before anything is decided; if all of them fail, more would tell nothing new.
pub const FIRST: u64 = 5;
/// Most trials between two decisions.
pub const BLOCK: u64 = 8;
/// A scenario that has failed gets so many times the trials of one that has not: what stable ones leave.
pub const SUSPECT: u64 = 3;

/// How the trials of a scenario have ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// They passed.
    pub passed: u64,
    /// They failed or hung.
    pub failed: u64,
    /// The environment did not do its part.
    pub infra: u64,
    /// They did not exercise what they are for.
    pub invalid: u64,
}

/// What a scenario is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// It fails always, or nearly so.
    Regression,
    /// It fails now and then.
    Flaky,
    /// Nothing is known, because of the environment.
    Infra,
    /// Nothing is known, because its trials did not exercise what they are for.
    Invalid,
    /// It has not failed, and has not been run often enough to be called stable.
    Open,
    /// It has been run often enough.
    Stable,
}

impl Class {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Flaky => "flaky",
            Self::Infra => "infra",
            Self::Invalid => "invalid",
            Self::Open => "open",
            Self::Stable => "stable",
        }
    }
}

impl Counts {
    /// Adds a trial.
    pub fn count(&mut self, verdict: Kind) {
        *match verdict {
            Kind::Pass => &mut self.passed,
            Kind::Fail | Kind::Hang => &mut self.failed,
            Kind::Infra => &mut self.infra,
            Kind::Invalid => &mut self.invalid,
        } += 1;
    }

    /// Trials that say something about the pipeline.
    pub fn telling(self) -> u64 {
        self.passed + self.failed
    }

    /// All trials.
    pub fn all(self) -> u64 {
        self.telling() + self.infra + self.invalid
    }

    fn fails_always(self) -> bool {
        self.failed >= FIRST && wilson(self.failed, self.telling()).0 >= 0.5
    }

    /// Most of its trials say nothing of the pipeline.
    pub(crate) fn tells_nothing(self) -> bool {
        self.all() >= FIRST && self.telling() * 2 <= self.all()
    }

    /// It has failed, and not always: whether it fails again, and why, is worth asking.
    pub fn is_suspect(self) -> bool {
        self.failed > 0 && self.class() != Class::Regression
    }

    fn standing(self) -> Standing {
        Sequential::after(self.passed, self.failed).standing()
    }

    /// What the scenario is.
    pub fn class(self) -> Class {
        if self.fails_always() {
            Class::Regression
        } else if self.failed > 0 && self.standing() != Standing::Stable {
            Class::Flaky
        } else if self.tells_nothing() || (self.telling() == 0 && self.all() > 0) {
            if self.infra >= self.invalid {
                Class::Infra
            } else {
                Class::Invalid
            }
        } else if self.standing() == Standing::Stable {
            Class::Stable
        } else {
            Class::Open
        }
    }

    /// How many trials are due before the next decision, of `trials` that a scenario gets; 0 if it is left.
    pub fn due(self, trials: u64) -> u64 {
        let enough = self.standing() == Standing::Stable || self.fails_always();
        if enough || (self.failed == 0 && self.tells_nothing()) {
            return 0;
        }
        let cap = trials.saturating_mul(if self.failed > 0 { SUSPECT } else { 1 });
        let block = if self.all() < FIRST {
            FIRST - self.all()
        } else {
            // No more than it takes to be stable, so that none is run in vain.
            BLOCK.min(Sequential::after(self.passed, self.failed).clean_to_stable())
        };
        block.min(cap.saturating_sub(self.all()))
    }
}

/// Whether rounds are over after so much of a budget of time. Once there are suspects a quarter of it is kept back for the
/// experiments about them, so that a sweep which ends by the clock does more than count.
pub fn rounds_are_over(spent: Duration, budget: Option<Duration>, suspects: bool) -> bool {
    budget.is_some_and(|budget| spent >= if suspects { budget * 3 / 4 } else { budget })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Class, Counts, Kind, rounds_are_over};

    /// Runs trials whose verdicts `verdict` gives by number, until the scenario is left.
    fn run(trials: u64, verdict: impl Fn(u64) -> Kind) -> Counts {
        let mut counts = Counts::default();
        loop {
            let due = counts.due(trials);
            if due == 0 {
                return counts;
            }
            let from = counts.all() + 1;
            (from..from + due).for_each(|n| counts.count(verdict(n)));
        }
    }

    #[test]
    fn a_stable_scenario_is_left_after_the_least_number_of_trials() {
        let counts = run(500, |_| Kind::Pass);
        assert_eq!((counts.all(), counts.class()), (59, Class::Stable));
        let counts = run(20, |_| Kind::Pass);
        assert_eq!((counts.all(), counts.class()), (20, Class::Open));
    }

    #[test]
    fn one_failure_has_to_be_made_up_for() {
        let counts = run(500, |n| if n == 30 { Kind::Fail } else { Kind::Pass });
        assert_eq!((counts.passed, counts.failed), (59 + 78, 1));
        assert_eq!(counts.class(), Class::Stable);
        assert!(counts.is_suspect(), "made up for, and still unexplained");
    }

    #[test]
    fn what_fails_now_and_then_is_a_suspect() {
        for (passed, failed, suspect) in [(59, 0, false), (0, 1, true), (300, 7, true), (0, 5, false)] {
            let counts = Counts {
                passed,
                failed,
                ..Counts::default()
            };
            assert_eq!(counts.is_suspect(), suspect, "{counts:?}");
        }
    }

    #[test]
    fn a_quarter_of_the_time_is_kept_for_suspects() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        for (spent, budget, suspects, over) in [
            (0, Some(60), false, false),
            (44, Some(60), true, false),
            (45, Some(60), true, true),
            (45, Some(60), false, false),
            (59, Some(60), false, false),
            (60, Some(60), false, true),
            (60, Some(60), true, true),
            (6000, None, true, false),
        ] {
            assert_eq!(
                rounds_are_over(minutes(spent), budget.map(minutes), suspects),
                over,
                "{spent} of {budget:?}, {suspects}"
            );
        }
    }

    #[test]
    fn what_fails_now_and_then_gets_more_trials_and_is_flaky() {
        let counts = run(100, |n| if n % 20 == 7 { Kind::Hang } else { Kind::Pass });
        assert_eq!((counts.all(), counts.class()), (300, Class::Flaky));
    }

    #[test]
    fn what_fails_always_is_left_at_once() {
        let counts = run(100, |_| Kind::Fail);
        assert_eq!((counts.all(), counts.class()), (5, Class::Regression));
        let counts = run(100, |n| if n == 2 { Kind::Pass } else { Kind::Fail });
        assert_eq!(counts.class(), Class::Regression, "nearly always");
    }

    #[test]
    fn infra_and_invalid_are_neither_failures_nor_clean() {
        let counts = run(100, |_| Kind::Infra);
        assert_eq!((counts.all(), counts.class()), (5, Class::Infra));
        assert_eq!(run(100, |_| Kind::Invalid).class(), Class::Invalid);
        let counts = run(100, |n| if n % 3 == 0 { Kind::Infra } else { Kind::Pass });
        assert_eq!((counts.passed, counts.class()), (59, Class::Stable));
        let counts = run(100, |n| if n % 3 == 0 { Kind::Fail } else { Kind::Infra });
        assert_ne!(
            counts.class(),
            Class::Infra,
            "what has failed is not hidden by it"
        );
    }
}
