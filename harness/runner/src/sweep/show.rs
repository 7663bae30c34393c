//! The report of a sweep, as text in Markdown and as a page. Both say the same, from the same sentences.
//!
//! Names, errors and routing keys come from what shards have stored, which may be from anywhere. In Markdown all of it
//! stands in fences that cannot be closed from inside, so it can neither mention anybody nor be taken for markup.

mod markdown;
mod page;
mod past;
mod row;

use std::fmt::{self, Write as _};

use harness_model::statistics::wilson;
use harness_model::verdict::Kind;

pub(crate) use self::markdown::markdown;
pub(crate) use self::page::page;
use self::row::{Row, rows};
use super::plan::Counts;
use super::{Record, Sweep, merge};

/// Where a trial is, for a command: by the id of its run, if that is known, and by its own within the run. Nothing, if it
/// is not here.
pub(crate) type Place<'a> = dyn Fn(Option<&str>, &str) -> Option<String> + 'a;

/// Something that is known of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    /// What it is about.
    about: String,
    /// What is said of that.
    text: String,
    /// The text is a command that can be given.
    command: bool,
}

impl Said {
    fn fact(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            about: about.into(),
            text: text.into(),
            command: false,
        }
    }

    fn command(about: &str, text: String) -> Self {
        Self {
            command: true,
            ..Self::fact(about, text)
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.about, self.text)
    }
}

/// The conditions of a trial in words.
fn conditions(trial: &Record) -> String {
    if trial.perturbation.is_none() {
        "undisturbed".to_owned()
    } else {
        trial.perturbation.to_string()
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

/// What the sweep was.
fn about(sweep: &Sweep) -> [String; 2] {
    let axes: Vec<_> = sweep.axes.iter().map(|axis| axis.word()).collect();
    [
        format!(
            "seed {}, revision {}, {} trials",
            sweep.seed,
            sweep.revision,
            sweep.records.len()
        ),
        format!("varied: {}", axes.join(", ")),
    ]
}

/// What should be here and is not, and what else is to be said of all of it.
fn gaps(sweep: &Sweep, notes: &[String]) -> Vec<String> {
    let shards = merge::missing(sweep);
    let mut lines: Vec<_> = shards
        .iter()
        .map(|part| format!("shard {part} is missing"))
        .collect();
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
    use super::{about, gaps};

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
            what: (n > passed).then(|| format!("no-loss: report {n} is nowhere")),
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

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(
            about(&sweep(3, 0)),
            ["seed 1, revision abc, 3 trials", "varied: seed, latency"]
        );
        assert_eq!(
            gaps(&sweep(3, 0), &["a note".to_owned()]),
            [
                "shard 2 is missing",
                "not in here are a::d",
                "no trial of a::c was run",
                "a note"
            ]
        );
    }
}
