//! The report of a sweep, as text in Markdown and as a page. Both say the same, from the same sentences.
//!
//! Names, errors and routing keys come from what shards have stored, which may be from anywhere. In Markdown all of it
//! stands in fences that cannot be closed from inside, so it can neither mention anybody nor be taken for markup.

mod markdown;
mod page;

use std::fmt::Write as _;

use harness_model::statistics::{fisher, holm, seen_by, trials_to_see, wilson};
use harness_model::verdict::Kind;

pub(crate) use self::markdown::markdown;
pub(crate) use self::page::page;
use super::history::Line;
use super::plan::{Class, Counts};
use super::{Record, Suspect, Sweep, merge};

/// Below this a difference is named.
const SIGNIFICANT: f64 = 0.05;
/// How many earlier sweeps are looked at.
const PAST: usize = 10;
/// How often to try what has not come again.
const REPRODUCE: u64 = 59;

/// One scenario of the report.
struct Row<'a> {
    name: &'a str,
    counts: Counts,
    class: Class,
    strip: Vec<Kind>,
    /// How many of its failures a quarantine waits for.
    held: usize,
    first: Option<&'a Record>,
    /// Earlier sweeps, the oldest first.
    past: Vec<Counts>,
    /// How likely it is that it fails as often as before, if that can be said.
    change: Option<f64>,
    suspect: Option<&'a Suspect>,
}

/// All scenarios, the worst first.
fn rows<'a>(sweep: &'a Sweep, history: &[Line]) -> Vec<Row<'a>> {
    let mut rows: Vec<_> = sweep
        .counts()
        .into_iter()
        .map(|(name, counts)| {
            let records = sweep.records.iter().filter(|record| record.scenario == name);
            let records: Vec<_> = records.collect();
            let failed = |record: &&&Record| matches!(record.verdict, Kind::Fail | Kind::Hang);
            Row {
                name,
                counts,
                class: counts.class(),
                strip: records.iter().map(|record| record.verdict).collect(),
                held: records.iter().filter(failed).filter(|record| record.held).count(),
                first: records
                    .iter()
                    .filter(failed)
                    .min_by_key(|record| record.n)
                    .copied(),
                past: past(sweep, history, name),
                change: None,
                suspect: sweep.suspects.get(name),
            }
        })
        .collect();
    compare(&mut rows);
    rows.sort_by_key(|row| (row.class, row.name));
    rows
}

/// What the latest earlier sweeps that have varied the same things have found of a scenario.
fn past(sweep: &Sweep, history: &[Line], name: &str) -> Vec<Counts> {
    let earlier =
        |line: &&Line| line.axes == sweep.axes && !line.runs.iter().any(|run| sweep.runs.contains(run));
    let found = history.iter().filter(earlier);
    let found = found.filter_map(|line| line.scenarios.get(name).copied());
    let mut found: Vec<_> = found.filter(|counts| counts.telling() > 0).collect();
    found.drain(..found.len().saturating_sub(PAST));
    found
}

/// Failures and trials of all of them together.
fn together(past: &[Counts]) -> (u64, u64) {
    let add = |(failed, of), counts: &Counts| (failed + counts.failed, of + counts.telling());
    past.iter().fold((0, 0), add)
}

/// Compares each scenario with its past: Fisher's test in both directions, corrected for the number of scenarios. Those
/// that have never failed cannot show a change, so they do not count as comparisons.
fn compare(rows: &mut [Row<'_>]) {
    let mut compared: Vec<_> = rows
        .iter_mut()
        .filter(|row| row.counts.telling() > 0 && row.counts.failed + together(&row.past).0 > 0)
        .filter(|row| !row.past.is_empty())
        .collect();
    let probability = |row: &&mut Row<'_>| {
        let (now, before) = ((row.counts.failed, row.counts.telling()), together(&row.past));
        (2.0 * fisher(now, before).min(fisher(before, now))).min(1.0)
    };
    let corrected = holm(&compared.iter().map(probability).collect::<Vec<_>>());
    for (row, p) in compared.iter_mut().zip(corrected) {
        row.change = Some(p);
    }
}

impl Row<'_> {
    /// All that is known of it, line by line, but for its trials.
    fn lines(&self, place: &dyn Fn(&Suspect) -> String) -> Vec<String> {
        let mut lines = Vec::new();
        if self.counts.failed == 0 && self.counts.telling() > 0 {
            let rate = percent(seen_by(self.counts.telling()));
            lines.push(format!("a rate of {rate} would have been seen (95 %)"));
        }
        if let Some(first) = self.first {
            let conditions = if first.perturbation.is_none() {
                "undisturbed".to_owned()
            } else {
                first.perturbation.to_string()
            };
            lines.push(format!(
                "first failure: trial {}, seed {}, {conditions}",
                first.n, first.seed
            ));
        }
        if self.held > 0 {
            lines.push(format!(
                "held by a quarantine: {} of {} failures",
                self.held, self.counts.failed
            ));
        }
        if !self.past.is_empty() {
            lines.push(self.before());
        }
        lines.extend(
            self.suspect
                .map(|suspect| known(suspect, place))
                .unwrap_or_default(),
        );
        lines
    }

    /// What earlier sweeps have found, and whether it has changed.
    fn before(&self) -> String {
        let each: Vec<_> = self
            .past
            .iter()
            .map(|counts| format!("{}/{}", counts.failed, counts.telling()))
            .collect();
        let (failed, of) = together(&self.past);
        let change = match self.change {
            Some(p) if p <= SIGNIFICANT => {
                let more = self.counts.failed * of > failed * self.counts.telling();
                let word = if more { "more" } else { "less" };
                format!("{word} often than before (p {p:.4})")
            }
            _ => "no change shown".to_owned(),
        };
        format!(
            "before: {} failed, {failed}/{of} together; {change}",
            each.join(" ")
        )
    }
}

fn cell(verdict: Kind) -> char {
    match verdict {
        Kind::Pass => '.',
        Kind::Fail => 'F',
        Kind::Hang => 'H',
        Kind::Infra => 'i',
        Kind::Invalid => '-',
    }
}

fn percent(rate: f64) -> String {
    format!("{:.1} %", 100.0 * rate)
}

/// The counts of a scenario in words.
fn told(counts: Counts) -> String {
    let mut text = if counts.telling() == 0 {
        "no trial says anything".to_owned()
    } else {
        rate(counts.failed, counts.telling())
    };
    for (n, word) in [(counts.infra, "infra"), (counts.invalid, "invalid")] {
        if n > 0 {
            _ = write!(text, "; {n} {word}");
        }
    }
    text
}

fn rate(failed: u64, of: u64) -> String {
    let (low, high) = wilson(failed, of);
    format!(
        "{failed} of {of} failed, between {} and {}",
        percent(low),
        percent(high)
    )
}

/// What the experiments about a scenario have found.
fn known(suspect: &Suspect, place: &dyn Fn(&Suspect) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(parted) = &suspect.divergence {
        lines.push(format!("first difference: {parted}"));
    }
    lines.push(match suspect.again {
        None => "its first failure was not run again: no time was left".to_owned(),
        Some((_, 0)) => "its first failure again: no trial says anything".to_owned(),
        Some((failed, of)) => format!("its first failure again: {}", rate(failed, of)),
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
        lines.push(format!(
            "{without}: {failed} of {of} failed, p {:.4}: {verdict}",
            arm.p
        ));
    }
    let times = match suspect.again {
        Some((failed @ 1.., of)) => trials_to_see((failed as f64 / of as f64).min(0.95)),
        _ => REPRODUCE,
    };
    lines.push(format!(
        "again: harness reproduce {} --times {times}",
        place(suspect)
    ));
    lines
}

/// What the sweep was, what should be here and is not, and what else is to be said of all of it.
fn facts(sweep: &Sweep, notes: &[String]) -> Vec<String> {
    let axes: Vec<_> = sweep.axes.iter().map(|axis| axis.word()).collect();
    let mut lines = vec![
        format!(
            "seed {}, revision {}, {} trials",
            sweep.seed,
            sweep.revision,
            sweep.records.len()
        ),
        format!("varied: {}", axes.join(", ")),
    ];
    let shards = merge::missing(sweep);
    lines.extend(shards.iter().map(|part| format!("shard {part} is missing")));
    let elsewhere = sweep.elsewhere();
    if !elsewhere.is_empty() {
        lines.push(format!("not in here are {}", elsewhere.join(", ")));
    }
    let untried = sweep.untried();
    lines.extend(untried.iter().map(|name| format!("no trial of {name} was run")));
    lines.extend(notes.iter().cloned());
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use harness_model::perturbation::{Axis, Perturbation};
    use harness_model::seed::Seed;
    use harness_model::verdict::Kind;

    use super::super::{Record, Shard, Sweep};
    use super::{Counts, Line, Suspect, facts, rows};

    /// A sweep of `a::b` in which so many passed, and then so many failed.
    pub(in crate::sweep) fn sweep(passed: u64, failed: u64) -> Sweep {
        let record = |n| Record {
            scenario: "a::b".to_owned(),
            n,
            seed: Seed(40 + n),
            perturbation: Perturbation {
                latency_ms: (n > 1).then_some(7),
                ..Perturbation::default()
            },
            verdict: if n > passed { Kind::Fail } else { Kind::Pass },
            trial: format!("{n}/a.b"),
            held: n == passed + 2,
        };
        Sweep {
            runs: vec!["r".to_owned()],
            revision: "abc".to_owned(),
            seed: Seed(1),
            axes: vec![Axis::Seed, Axis::Latency],
            trials: 100,
            shards: [Shard { part: 1, of: 2 }].into(),
            asked: ["a::b", "a::c", "a::d"].map(str::to_owned).into(),
            dealt: ["a::b", "a::c"].map(str::to_owned).into(),
            records: (1..=passed + failed).map(record).collect(),
            suspects: [].into(),
        }
    }

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
        let of = |_: &Suspect| "DIR/2/a.b".to_owned();
        rows(sweep, history)[0].lines(&of)
    }

    #[test]
    fn what_is_missing_is_said() {
        let lines = facts(&sweep(3, 0), &["a note".to_owned()]);
        assert_eq!(
            lines,
            [
                "seed 1, revision abc, 3 trials",
                "varied: seed, latency",
                "shard 2 is missing",
                "not in here are a::d",
                "no trial of a::c was run",
                "a note"
            ]
        );
    }

    #[test]
    fn the_first_failure_and_its_conditions_are_said() {
        let lines = said(&sweep(6, 3), &[]);
        assert_eq!(
            lines,
            [
                "first failure: trial 7, seed 47, latency 7 ms",
                "held by a quarantine: 1 of 3 failures"
            ]
        );
        assert_eq!(
            said(&sweep(0, 1), &[]),
            ["first failure: trial 1, seed 41, undisturbed"]
        );
        assert_eq!(
            said(&sweep(59, 0), &[]),
            ["a rate of 5.0 % would have been seen (95 %)"]
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
            said(&sweep, &[])[1..].join("\n")
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
                format!("{first}again: harness reproduce DIR/2/a.b --times 59")
            );
        }
        assert!(with(Some((4, 8))).ends_with("--times 5"));
    }
}
