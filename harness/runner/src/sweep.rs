//! Many trials of each scenario, under conditions that are drawn: how often does it fail, and what makes it fail?
//!
//! - `plan`: how many trials of a scenario are due, and what its counts make of it; pure, one scenario at a time;
//! - `night`: runs what is due, round after round, then the experiments about what has failed, but not always;
//!   `experiment`: what is due of those, and what they show; pure;
//! - `merge`: adds up shards; `history`: what earlier sweeps have found; `show`: the report.
//!
//! What is run of a scenario depends on the sweep's seed and on the results of this scenario, and on nothing else:
//! neither on which trial ends first nor on the other scenarios. So the shards of a sweep, which are made of whole
//! scenarios, add up to the sweep that one machine would have made. With a budget of time this holds up to its end.

mod experiment;
pub(crate) mod history;
pub(crate) mod merge;
pub mod night;
pub mod plan;
pub(crate) mod show;

use std::collections::{BTreeMap, BTreeSet};

use harness_model::divergence::Divergence;
use harness_model::perturbation::{Axis, Perturbation};
use harness_model::seed::Seed;
use harness_model::verdict::Kind;
use serde::{Deserialize, Serialize};

use plan::Counts;

/// The file in a run's folder that a sweep is stored in.
pub const STORED: &str = "sweep.json";

/// A part of a sweep: the m-th of n.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    /// Which one, from 1.
    pub part: u32,
    /// Of how many.
    pub of: u32,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(part, of)| {
            let (part, of) = (part.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&part).then_some(Self { part, of })
        });
        numbers.ok_or_else(|| "M/N, for example 1/3".to_owned())
    }
}

/// One trial of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its scenario.
    pub scenario: String,
    /// Which trial of its scenario, from 1.
    pub n: u64,
    /// Its seed.
    pub seed: Seed,
    /// Its conditions.
    #[serde(default, skip_serializing_if = "Perturbation::is_none")]
    pub perturbation: Perturbation,
    /// What it ended with.
    pub verdict: Kind,
    /// Its id within the run, which is its folder there as well.
    pub trial: String,
    /// It did not pass, in a way that a quarantine waits for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// The worst finding, if there is one: its rule, and the first line of what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
}

/// One comparison of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// What was taken away.
    pub without: Axis,
    /// How many trials failed then, of how many.
    pub failed: (u64, u64),
    /// How likely such a difference is by chance, corrected for the number of comparisons and of looks.
    pub p: f64,
}

/// What is known of a scenario that has failed, but not always.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// The run that its first trial that failed belongs to.
    pub run: String,
    /// That trial, by its id within the run.
    pub trial: String,
    /// The first step in which that differs from the trials that passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
    /// How many repetitions of it failed, of how many that say something; nothing if no time was left for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<(u64, u64)>,
    /// The same with one thing taken away, the most telling first.
    pub arms: Vec<Arm>,
}

/// A sweep, or several shards of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The runs that it is made of.
    pub runs: Vec<String>,
    /// The revision of the checkout.
    pub revision: String,
    /// Its seed.
    pub seed: Seed,
    /// What was varied.
    pub axes: Vec<Axis>,
    /// Trials of each scenario.
    pub trials: u64,
    /// Which shards are there.
    pub shards: BTreeSet<Shard>,
    /// The scenarios that all shards together were asked for.
    pub asked: BTreeSet<String>,
    /// Those of them that were dealt to the shards that are there.
    pub dealt: BTreeSet<String>,
    /// Its trials, by scenario and number.
    pub records: Vec<Record>,
    /// What was found out about scenarios that have failed, but not always.
    pub suspects: BTreeMap<String, Suspect>,
}

impl Sweep {
    /// The counts of each scenario.
    pub fn counts(&self) -> BTreeMap<&str, Counts> {
        let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
        for record in &self.records {
            counts.entry(&record.scenario).or_default().count(record.verdict);
        }
        counts
    }

    /// The scenarios that should have been run here and have no trial: nothing is known of them.
    pub fn untried(&self) -> Vec<&str> {
        let tried = self.counts();
        let dealt = self.dealt.iter().map(String::as_str);
        dealt.filter(|name| !tried.contains_key(name)).collect()
    }

    /// The scenarios of shards that are not there.
    pub(crate) fn elsewhere(&self) -> Vec<&str> {
        self.asked.difference(&self.dealt).map(String::as_str).collect()
    }

    /// Brings the trials into their order.
    pub(crate) fn sort(&mut self) {
        self.records
            .sort_by(|a, b| (&a.scenario, a.n).cmp(&(&b.scenario, b.n)));
    }
}

#[cfg(test)]
mod tests {
    use super::Shard;

    #[test]
    fn a_shard_is_one_of_so_many() {
        assert_eq!("2/3".parse(), Ok(Shard { part: 2, of: 3 }));
        for bad in ["0/3", "4/3", "1", "1/", "a/b", "1/0"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
