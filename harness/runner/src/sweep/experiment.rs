//! What makes a trial fail: it is run again as it was, and with one thing taken away, until it shows or is too much.
//!
//! Pure: it says how many repetitions of what are due, and takes what came of them. All of them are looked at [`LOOKS`]
//! times. Most causes show at the first look, after which nothing more is run of what has shown, nor of what fails as often
//! as before without the thing. What is left may be a cause that lets only some of the repetitions fail, and gets more.
//!
//! An axis is named wrongly in at most 5 % of the experiments in which none matters: at each look the probabilities of
//! Fisher's exact test are corrected for the number of axes by Holm's procedure, and for the number of looks by Bonferroni's
//! (Dunn, J. Am. Stat. Assoc. 56, 1961), so that it does not matter that looking again is decided by what was seen.

use harness_model::perturbation::Axis;
use harness_model::statistics::{fisher, holm};

use super::Arm;

/// After so many repetitions of each everything is looked at.
pub(super) const LOOKS: [u64; 2] = [8, 24];

/// At most so likely by chance is what is called shown.
pub(crate) const SIGNIFICANT: f64 = 0.05;

/// Failures, of how many repetitions that say something.
type Tally = (u64, u64);

/// Repetitions that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repetitions {
    /// What is taken away; nothing, if it is to be run as it was.
    pub(crate) without: Option<Axis>,
    /// The first of them, from 1.
    pub(crate) from: u64,
    /// The last of them.
    pub(crate) to: u64,
}

/// One experiment.
#[derive(Debug)]
pub(crate) struct Experiment {
    again: Option<Tally>,
    arms: Vec<Arm>,
    /// How many looks are over.
    looks: usize,
    /// Nothing more is to be run.
    over: bool,
}

impl Experiment {
    /// About a trial whose failure may take any of these.
    pub(crate) fn new(axes: &[Axis]) -> Self {
        let arm = |without: &Axis| Arm {
            without: *without,
            failed: (0, 0),
            p: 1.0,
        };
        Self {
            again: None,
            arms: axes.iter().map(arm).collect(),
            looks: 0,
            over: false,
        }
    }

    /// What is due before the next look: as it was first. Nothing, if the experiment is over.
    pub(crate) fn due(&self) -> Vec<Repetitions> {
        let Some(to) = LOOKS.get(self.looks).copied().filter(|_| !self.over) else {
            return Vec::new();
        };
        let from = self.looks.checked_sub(1).map_or(1, |before| LOOKS[before] + 1);
        let of = |without| Repetitions { without, from, to };
        let open: Vec<_> = self.arms.iter().filter(|arm| self.is_open(arm)).collect();
        if self.looks > 0 && open.is_empty() {
            return Vec::new();
        }
        let arms = open.into_iter().map(|arm| of(Some(arm.without)));
        std::iter::once(of(None)).chain(arms).collect()
    }

    /// More repetitions may still show something about it.
    fn is_open(&self, arm: &Arm) -> bool {
        let Some((failed, of)) = self.again.filter(|_| self.looks > 0) else {
            return self.looks == 0;
        };
        // It fails less often without it; rates are compared without dividing.
        arm.p > SIGNIFICANT && arm.failed.0 * of < failed * arm.failed.1
    }

    /// Takes what came of repetitions.
    pub(crate) fn count(&mut self, without: Option<Axis>, (failed, of): Tally) {
        let tally = match without {
            None => self.again.get_or_insert((0, 0)),
            Some(axis) => match self.arms.iter_mut().find(|arm| arm.without == axis) {
                Some(arm) => &mut arm.failed,
                None => return,
            },
        };
        *tally = (tally.0 + failed, tally.1 + of);
        // What does not fail again shows nothing by not failing without something.
        self.over |= self.again.is_some_and(|(failed, _)| failed == 0);
    }

    /// Nothing more can be run.
    pub(crate) fn stop(&mut self) {
        self.over = true;
    }

    /// Nothing more is to be run.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Looks at everything that was counted.
    pub(crate) fn look(&mut self) {
        self.looks += 1;
        let Some(again) = self.again else { return };
        let found = self.arms.iter().map(|arm| match arm.failed {
            (_, 0) => 1.0,
            failed => fisher(again, failed),
        });
        let corrected = holm(&found.collect::<Vec<_>>());
        for (arm, p) in self.arms.iter_mut().zip(corrected) {
            arm.p = arm.p.min(p * LOOKS.len() as f64);
        }
    }

    /// How many repetitions failed as it was, if there were any, and what came of taking things away: the most telling
    /// first, without what was not tried.
    pub(crate) fn found(mut self) -> (Option<Tally>, Vec<Arm>) {
        self.arms
            .sort_by(|a, b| a.p.total_cmp(&b.p).then(a.without.cmp(&b.without)));
        self.arms.retain(|arm| arm.failed.1 > 0);
        (self.again, self.arms)
    }
}

#[cfg(test)]
mod tests {
    use harness_model::perturbation::Axis;
    use harness_model::seed::Seed;

    use super::{Experiment, LOOKS, SIGNIFICANT};

    /// The axes of an experiment; latency is the one that matters, if any does.
    const AXES: [Axis; 5] = [
        Axis::Seed,
        Axis::Latency,
        Axis::Cpu,
        Axis::Pause,
        Axis::Neighbours,
    ];

    /// Whether something with this rate happens, by a seed.
    fn happens(rate: f64, seed: Seed) -> bool {
        (seed.0 >> 11) as f64 / (1_u64 << 53) as f64 <= rate
    }

    /// Runs an experiment whose trial fails with one rate under latency and another without it; which axes it names, and
    /// how many repetitions it took.
    fn experiment(with: f64, without: f64, seed: Seed) -> (Vec<Axis>, u64) {
        let mut experiment = Experiment::new(&AXES);
        let mut took = 0;
        loop {
            let due = experiment.due();
            if due.is_empty() {
                break;
            }
            for due in due {
                if experiment.is_over() {
                    break;
                }
                let rate = if due.without == Some(Axis::Latency) {
                    without
                } else {
                    with
                };
                let repetitions = (due.from..=due.to).map(|k| seed.derive(&format!("{:?}-{k}", due.without)));
                let failed = repetitions.filter(|seed| happens(rate, *seed)).count() as u64;
                let of = due.to + 1 - due.from;
                took += of;
                experiment.count(due.without, (failed, of));
            }
            experiment.look();
        }
        let (_, arms) = experiment.found();
        let named = arms.iter().filter(|arm| arm.p <= SIGNIFICANT);
        (named.map(|arm| arm.without).collect(), took)
    }

    /// Of a thousand experiments: how many name latency, how many name something else, and the repetitions that one takes.
    fn thousand(with: f64, without: f64) -> (usize, usize, u64) {
        let all: Vec<_> = (0..1_000).map(|n| experiment(with, without, Seed(n))).collect();
        let right = all.iter().filter(|(named, _)| named.contains(&Axis::Latency));
        let wrong = |(named, _): &&(Vec<Axis>, u64)| named.iter().any(|axis| *axis != Axis::Latency);
        let took: u64 = all.iter().map(|(_, took)| took).sum();
        (right.count(), all.iter().filter(wrong).count(), took / 1_000)
    }

    #[test]
    fn what_fails_only_under_an_axis_is_found_and_nothing_else_is_named() {
        for (with, without, at_least, at_most) in [
            // Always under the axis and never without it: the first look is enough.
            (1.0, 0.0, 1_000, 50),
            // Now and then without it as well, as what fails with 5 % does.
            (1.0, 0.05, 999, 50),
            (0.75, 0.0, 990, 110),
            (0.5, 0.0, 930, 125),
            (0.4, 0.0, 750, 125),
        ] {
            let (right, wrong, took) = thousand(with, without);
            assert!(
                right >= at_least && wrong <= 50 && took <= at_most,
                "{with} and {without}: {right} right, {wrong} wrong, {took} repetitions each"
            );
        }
    }

    #[test]
    fn where_no_axis_matters_hardly_ever_one_is_named() {
        for rate in [0.05, 0.2, 0.5, 0.8, 1.0] {
            let (right, wrong, took) = thousand(rate, rate);
            assert!(right + wrong <= 50, "at {rate}: {} of 1000", right + wrong);
            assert!(took <= LOOKS[1] * 6, "{took}");
        }
    }

    #[test]
    fn what_has_shown_and_what_fails_as_often_is_not_run_again() {
        let mut experiment = Experiment::new(&[Axis::Latency, Axis::Cpu, Axis::Pause]);
        let due: Vec<_> = experiment.due().iter().map(|due| due.without).collect();
        assert_eq!(
            due,
            [None, Some(Axis::Latency), Some(Axis::Cpu), Some(Axis::Pause)]
        );
        experiment.count(None, (7, 8));
        experiment.count(Some(Axis::Latency), (0, 8));
        experiment.count(Some(Axis::Cpu), (7, 8));
        experiment.count(Some(Axis::Pause), (5, 8));
        experiment.look();
        let due = experiment.due();
        let axes: Vec<_> = due.iter().map(|due| due.without).collect();
        assert_eq!(axes, [None, Some(Axis::Pause)]);
        assert_eq!((due[1].from, due[1].to), (LOOKS[0] + 1, LOOKS[1]));
        experiment.count(None, (13, 16));
        experiment.count(Some(Axis::Pause), (11, 16));
        experiment.look();
        assert_eq!(experiment.due(), []);
        let (again, arms) = experiment.found();
        assert_eq!(again, Some((20, 24)));
        assert_eq!(arms[0].without, Axis::Latency);
        assert!(arms[0].p < SIGNIFICANT && arms[1].p > SIGNIFICANT, "{arms:?}");
    }

    #[test]
    fn an_experiment_without_time_or_without_axes_says_so() {
        assert_eq!(Experiment::new(&AXES).found(), (None, Vec::new()));
        let mut alone = Experiment::new(&[]);
        alone.count(None, (3, 8));
        alone.look();
        assert_eq!(alone.due(), []);
        assert_eq!(alone.found().0, Some((3, 8)));
        let mut vain = Experiment::new(&AXES);
        vain.count(None, (0, 8));
        assert!(vain.is_over(), "what does not fail again says nothing of an axis");
        let mut stopped = Experiment::new(&AXES);
        stopped.count(None, (8, 8));
        stopped.count(Some(Axis::Seed), (0, 8));
        stopped.stop();
        stopped.look();
        assert_eq!(stopped.due(), []);
        let (_, arms) = stopped.found();
        assert_eq!(arms.len(), 1, "of what was not tried nothing is said: {arms:?}");
        assert!(arms[0].p <= SIGNIFICANT, "what was tried counts");
    }
}
