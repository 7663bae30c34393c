//! What a trial ends with.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::Key;

/// The kinds of verdict, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Every invariant holds, every golden matches.
    Pass,
    /// The trial did not exercise what it is for: a fault did not bite, or a must-see event is missing.
    Invalid,
    /// The engine, an image or a backend did not do its part; nothing can be said of the pipeline.
    Infra,
    /// A deadline passed.
    Hang,
    /// The pipeline broke a promise.
    Fail,
}

impl Kind {
    /// The word that people and JSON see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Invalid => "invalid",
            Self::Infra => "infra",
            Self::Hang => "hang",
            Self::Fail => "fail",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which verdict it makes.
    pub kind: Kind,
    /// The invariant, or `body`, `golden`, `deadline`, `engine`.
    pub rule: String,
    /// What is wrong, in a sentence.
    pub what: String,
    /// The reports concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
    /// The ledger events that show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<u64>,
}

/// Where a trial's time went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Phase names and their lengths, in the order in which they ran.
    pub phases: Vec<(String, Duration)>,
}

impl Timings {
    /// The sum of all phases.
    pub fn total(&self) -> Duration {
        self.phases.iter().map(|(_, length)| *length).sum()
    }
}

/// The verdict on one trial, with all that is wrong, worst first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The worst of the findings; pass without any.
    pub kind: Kind,
    /// All findings, worst first, else in the order in which they were found.
    pub findings: Vec<Finding>,
    /// Numbers that are recorded whatever the verdict, for example recovery time in milliseconds.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub measures: std::collections::BTreeMap<String, u64>,
    /// Where the time went.
    #[serde(default)]
    pub timings: Timings,
}

impl Verdict {
    /// The verdict that follows from `findings`: worst wins.
    pub fn of(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.kind));
        let kind = findings.first().map_or(Kind::Pass, |worst| worst.kind);
        Self {
            kind,
            findings,
            measures: std::collections::BTreeMap::new(),
            timings: Timings::default(),
        }
    }
}

impl Finding {
    /// A finding without reports or events.
    pub fn new(kind: Kind, rule: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            kind,
            rule: rule.into(),
            what: what.into(),
            keys: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The same, about these reports.
    #[must_use]
    pub fn about(mut self, keys: impl IntoIterator<Item = Key>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// The same, shown by these events.
    #[must_use]
    pub fn shown_by(mut self, events: impl IntoIterator<Item = u64>) -> Self {
        self.events.extend(events);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Kind, Verdict};

    #[test]
    fn the_worst_finding_decides_and_stands_first() {
        let found = |kind| Finding::new(kind, "rule", "what");
        assert_eq!(Verdict::of(vec![]).kind, Kind::Pass);
        let verdict = Verdict::of(vec![found(Kind::Invalid), found(Kind::Fail), found(Kind::Hang)]);
        assert_eq!(verdict.kind, Kind::Fail);
        let kinds: Vec<_> = verdict.findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, [Kind::Fail, Kind::Hang, Kind::Invalid]);
    }
}
