//! What is known of one scenario, and what to do about it.

use std::collections::BTreeMap;

use harness_model::statistics::{seen_by, trials_to_see};
use harness_model::verdict::Kind;

use super::super::experiment::SIGNIFICANT;
use super::super::history::Line;
use super::super::plan::{Class, Counts};
use super::super::{Record, Suspect, Sweep};
use super::{Place, Said, conditions, past, percent, rate};

/// How often to try what has not come again.
const REPRODUCE: u64 = 59;

/// One scenario of the report.
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    pub(super) counts: Counts,
    pub(super) class: Class,
    /// All of its trials, in their order.
    pub(super) trials: Vec<&'a Record>,
    /// How many of its failures a quarantine waits for.
    pub(super) held: usize,
    pub(super) first: Option<&'a Record>,
    /// Earlier sweeps, the oldest first.
    pub(super) past: Vec<Counts>,
    /// How likely it is that it fails as often as before, if that can be said.
    pub(super) change: Option<f64>,
    pub(super) suspect: Option<&'a Suspect>,
}

/// All scenarios, the worst first.
pub(super) fn rows<'a>(sweep: &'a Sweep, history: &[Line]) -> Vec<Row<'a>> {
    let mut rows: Vec<_> = sweep
        .counts()
        .into_iter()
        .map(|(name, counts)| {
            let trials: Vec<_> = sweep
                .records
                .iter()
                .filter(|record| record.scenario == name)
                .collect();
            let failed = || trials.iter().copied().filter(|trial| has_failed(trial));
            Row {
                name,
                counts,
                class: counts.class(),
                held: failed().filter(|trial| trial.held).count(),
                first: failed().min_by_key(|trial| trial.n),
                trials: trials.clone(),
                past: past::past(sweep, history, name),
                change: None,
                suspect: sweep.suspects.get(name),
            }
        })
        .collect();
    past::compare(&mut rows);
    rows.sort_by_key(|row| (row.class, row.name));
    rows
}

fn has_failed(trial: &Record) -> bool {
    matches!(trial.verdict, Kind::Fail | Kind::Hang)
}

impl Row<'_> {
    /// All that is known of it, but for its counts and its trials.
    pub(super) fn says(&self, place: &Place<'_>) -> Vec<Said> {
        let mut said = Vec::new();
        if self.counts.failed == 0 && self.counts.telling() > 0 {
            let rate = percent(seen_by(self.counts.telling()));
            said.push(Said::fact(
                "would have been seen",
                format!("a rate of {rate} (95 %)"),
            ));
        }
        if let Some(first) = self.first {
            let text = format!("trial {}, seed {}, {}", first.n, first.seed, conditions(first));
            said.push(Said::fact("first failure", text));
            said.extend(first.what.iter().map(|what| Said::fact("it showed", what)));
        }
        said.extend(self.ways());
        if self.held > 0 {
            let text = format!("{} of {} failures", self.held, self.counts.failed);
            said.push(Said::fact("held by a quarantine", text));
        }
        if !self.past.is_empty() {
            said.push(past::before(self));
        }
        said.extend(self.suspect.map(known).unwrap_or_default());
        said.extend(self.commands(place));
        said
    }

    /// How often each rule was broken, if its failures are not all of one kind.
    fn ways(&self) -> Option<Said> {
        let mut ways: BTreeMap<&str, usize> = BTreeMap::new();
        for trial in self.trials.iter().filter(|trial| has_failed(trial)) {
            let what = trial.what.as_deref()?;
            *ways.entry(what.split(": ").next().unwrap_or(what)).or_default() += 1;
        }
        let each: Vec<_> = ways.iter().map(|(rule, n)| format!("{rule} {n}")).collect();
        (each.len() > 1).then(|| Said::fact("failures by rule", each.join(", ")))
    }

    /// What to do about it.
    fn commands(&self, place: &Place<'_>) -> Vec<Said> {
        let Some(first) = self.first else {
            return Vec::new();
        };
        let run = self.suspect.map(|suspect| suspect.run.as_str());
        let Some(place) = place(run, &first.trial) else {
            return Vec::new();
        };
        let times = match self.suspect.map(|suspect| suspect.again) {
            None => 1,
            Some(Some((failed @ 1.., of))) => trials_to_see((failed as f64 / of as f64).min(0.95)),
            Some(_) => REPRODUCE,
        };
        vec![
            Said::command("see it", format!("harness report {place}")),
            Said::command("again", format!("harness reproduce {place} --times {times}")),
        ]
    }

    /// What it takes to fail, in a word or two, as far as experiments have shown it.
    pub(super) fn takes(&self) -> String {
        let Some(suspect) = self.suspect else {
            return String::new();
        };
        let shown = suspect.arms.iter().filter(|arm| arm.p <= SIGNIFICANT);
        let shown: Vec<_> = shown
            .map(|arm| match arm.without.word() {
                "seed" => "its seed",
                word => word,
            })
            .collect();
        if shown.is_empty() {
            "not known".to_owned()
        } else {
            shown.join(", ")
        }
    }
}

/// What the experiments about a scenario have found.
fn known(suspect: &Suspect) -> Vec<Said> {
    let mut said = Vec::new();
    if let Some(parted) = &suspect.divergence {
        said.push(Said::fact("first difference", parted.to_string()));
    }
    said.push(match suspect.again {
        None => Said::fact("its first failure was not run again", "no time was left"),
        Some((_, 0)) => Said::fact("its first failure again", "no trial says anything"),
        Some((failed, of)) => Said::fact("its first failure again", rate(failed, of)),
    });
    for arm in &suspect.arms {
        let verdict = if arm.p <= SIGNIFICANT {
            "it takes this to fail"
        } else {
            "no difference is shown"
        };
        let without = if arm.without.word() == "seed" {
            "with other seeds".to_owned()
        } else {
            format!("without {}", arm.without)
        };
        let (failed, of) = arm.failed;
        let text = format!("{failed} of {of} failed, p {:.4}: {verdict}", arm.p);
        said.push(Said::fact(without, text));
    }
    said
}

#[cfg(test)]
mod tests {
    use harness_model::perturbation::Axis;
    use harness_model::seed::Seed;

    use super::super::super::Arm;
    use super::super::tests::sweep;
    use super::{Counts, Line, Suspect, Sweep, rows};

    fn line(run: &str, axes: &[Axis], failed: u64, of: u64) -> Line {
        let counts = Counts {
            passed: of - failed,
            failed,
            ..Counts::default()
        };
        Line {
            runs: vec![run.to_owned()],
            revision: "abc".to_owned(),
            seed: Seed(1),
            axes: axes.to_vec(),
            scenarios: [("a::b".to_owned(), counts)].into(),
        }
    }

    fn said(sweep: &Sweep, history: &[Line]) -> Vec<String> {
        let of = |run: Option<&str>, _: &str| run.map(|_| "DIR/2/a.b".to_owned());
        let said = rows(sweep, history)[0].says(&of);
        said.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_failure_and_its_conditions_are_said() {
        let lines = said(&sweep(6, 3), &[]);
        assert_eq!(
            lines,
            [
                "first failure: trial 7, seed 47, latency 7 ms",
                "it showed: no-loss: report 7 is nowhere",
                "held by a quarantine: 1 of 3 failures"
            ]
        );
        assert_eq!(
            said(&sweep(0, 1), &[]),
            [
                "first failure: trial 1, seed 41, undisturbed",
                "it showed: no-loss: report 1 is nowhere"
            ]
        );
        assert_eq!(
            said(&sweep(59, 0), &[]),
            ["would have been seen: a rate of 5.0 % (95 %)"]
        );
    }

    #[test]
    fn what_fails_in_several_ways_is_counted_by_rule() {
        let mut sweep = sweep(6, 3);
        sweep.records[7].what = Some("deadline: body was not done".to_owned());
        let lines = said(&sweep, &[]);
        assert_eq!(lines[2], "failures by rule: deadline 1, no-loss 2");
    }

    #[test]
    fn what_it_takes_is_said_and_a_regression_can_be_looked_at() {
        let mut sweep = sweep(6, 1);
        let arm = |without, p| Arm {
            without,
            failed: (0, 8),
            p,
        };
        let suspect = Suspect {
            run: "r".to_owned(),
            trial: "7/a.b".to_owned(),
            divergence: None,
            again: Some((8, 8)),
            arms: vec![
                arm(Axis::Latency, 0.001),
                arm(Axis::Seed, 0.01),
                arm(Axis::Cpu, 0.06),
            ],
        };
        assert_eq!(rows(&sweep, &[])[0].takes(), "");
        sweep.suspects = [("a::b".to_owned(), suspect)].into();
        assert_eq!(rows(&sweep, &[])[0].takes(), "latency, its seed");
        let regression = super::super::tests::sweep(0, 5);
        let said = rows(&regression, &[])[0].says(&|_, trial| Some(format!("DIR/{trial}")));
        let commands: Vec<_> = said
            .iter()
            .filter(|said| said.command)
            .map(|said| &*said.text)
            .collect();
        assert_eq!(
            commands,
            [
                "harness report DIR/1/a.b",
                "harness reproduce DIR/1/a.b --times 1"
            ]
        );
    }

    #[test]
    fn a_change_against_earlier_sweeps_is_said_if_it_is_shown() {
        let same = [Axis::Seed, Axis::Latency];
        let history = |failed| -> Vec<_> {
            (0..12)
                .map(|n| line(&format!("{n}"), &same, failed, 60))
                .collect()
        };
        for (now, failed, change) in [
            (sweep(80, 20), 1, "more often than before (p "),
            (sweep(59, 1), 1, "no change shown"),
            (sweep(100, 0), 20, "less often than before (p "),
            (sweep(59, 0), 0, "no change shown"),
        ] {
            let lines = said(&now, &history(failed));
            let before = lines.iter().find(|line| line.starts_with("before: ")).unwrap();
            let each = vec![format!("{failed}/60"); 10].join(" ");
            assert!(
                before.starts_with(&format!(
                    "before: {each} failed, {}/600 together; {change}",
                    10 * failed
                )),
                "{before}"
            );
        }
    }

    #[test]
    fn sweeps_that_varied_other_things_and_the_sweep_itself_are_not_compared() {
        let others = [
            line("0", &[Axis::Seed], 9, 60),
            line("1", &[], 9, 60),
            line("r", &[Axis::Seed, Axis::Latency], 9, 60),
        ];
        let lines = said(&sweep(20, 0), &others);
        assert!(!lines.iter().any(|line| line.starts_with("before")), "{lines:?}");
    }

    #[test]
    fn without_time_nothing_is_counted() {
        let mut sweep = sweep(6, 1);
        let mut with = |again| {
            let suspect = Suspect {
                run: "r".to_owned(),
                trial: "7/a.b".to_owned(),
                divergence: None,
                again,
                arms: Vec::new(),
            };
            sweep.suspects = [("a::b".to_owned(), suspect)].into();
            said(&sweep, &[])[2..].join("\n")
        };
        for (again, first) in [
            (None, "its first failure was not run again: no time was left\n"),
            (Some((0, 0)), "its first failure again: no trial says anything\n"),
            (
                Some((0, 8)),
                "its first failure again: 0 of 8 failed, between 0.0 % and 32.4 %\n",
            ),
        ] {
            assert_eq!(
                with(again),
                format!(
                    "{first}see it: harness report DIR/2/a.b\nagain: harness reproduce DIR/2/a.b --times 59"
                )
            );
        }
        assert!(with(Some((4, 8))).ends_with("--times 5"));
    }
}
