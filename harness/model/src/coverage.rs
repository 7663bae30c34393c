//! What a whole run has exercised, and what it has left idle.
//!
//! A trial that exercised nothing is invalid; `not-vacuous` sees to that. A *run* can still be blind as a whole: a kind of
//! fault that no scenario uses any more, a state of a message at which nothing ever happens, a rule that never had
//! anything to judge or that no planted bug ever breaks. [`Coverage`] counts, trial by trial, and says what is at zero.
//!
//! What is counted is what happened, by the ledger, not what was planned: a fault that took effect, a trigger on a state
//! that fired, a rule that was asked about evidence in which there is something for it ([`subject`]).

pub mod subject;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::{FaultChange, Step};
use crate::evidence::Evidence;
use crate::fault::{
    Cut, FaultKind, FaultPlan, FrameAction, MessageState, Misbehaviour, On, Resource, Target, Trigger,
};
use crate::invariant;
use crate::name::Name;

/// The words of all kinds of fault ([`crate::fault::FaultKind::word`]), in the order in which they are declared.
const FAULTS: [&str; 24] = [
    "kill",
    "restart",
    "pause",
    "out-of-memory",
    "cut-link",
    "shape-link",
    "frames",
    "alarm",
    "close-connections",
    "close-channel",
    "delete-queue",
    "redeclare-queue",
    "purge-queue",
    "unbind",
    "delete-exchange",
    "drop-policy",
    "drop-retry-queue",
    "revoke-permissions",
    "exhaust-connections",
    "lock-rows",
    "lock-table",
    "read-only",
    "disk-full",
    "upstream",
];

/// The ways of those kinds that have several, as [`ways`] words them.
const WAYS: [&str; 31] = [
    "kill broker",
    "kill database",
    "kill service",
    "restart broker",
    "restart database",
    "restart service",
    "pause broker",
    "pause database",
    "pause service",
    "cut-link fin",
    "cut-link rst",
    "cut-link half-open",
    "cut-link half-open one-way",
    "cut-link silent",
    "shape-link latency",
    "shape-link jitter",
    "shape-link rate",
    "shape-link slice",
    "shape-link one-way",
    "frames delay",
    "frames drop",
    "frames reorder",
    "frames refuse",
    "frames every",
    "alarm memory",
    "alarm disk",
    "upstream status",
    "upstream slow",
    "upstream never",
    "upstream garbage",
    "upstream cut-body",
];

/// In which of its ways a fault works; nothing for a kind that has only one.
fn ways(what: &FaultKind) -> Vec<&'static str> {
    let of_target = |target: &Target, words: [&'static str; 3]| {
        vec![match target {
            Target::Broker => words[0],
            Target::Database => words[1],
            Target::Service(_) => words[2],
        }]
    };
    match what {
        FaultKind::Kill { target } => of_target(target, ["kill broker", "kill database", "kill service"]),
        FaultKind::Restart { target } => {
            of_target(target, ["restart broker", "restart database", "restart service"])
        }
        FaultKind::Pause { target } => of_target(target, ["pause broker", "pause database", "pause service"]),
        FaultKind::CutLink { how, .. } => vec![match how {
            Cut::Fin => "cut-link fin",
            Cut::Rst => "cut-link rst",
            Cut::HalfOpen => "cut-link half-open",
            Cut::HalfOpenToService | Cut::HalfOpenFromService => "cut-link half-open one-way",
            Cut::Silent => "cut-link silent",
        }],
        FaultKind::ShapeLink { shape, .. } => [
            (shape.latency_ms, "shape-link latency"),
            (shape.jitter_ms, "shape-link jitter"),
            (shape.bytes_per_second, "shape-link rate"),
            (shape.slice, "shape-link slice"),
            (u32::from(shape.towards.is_some()), "shape-link one-way"),
        ]
        .into_iter()
        .filter_map(|(value, word)| (value > 0).then_some(word))
        .collect(),
        FaultKind::Frames { does, every, .. } => {
            let does = match does {
                FrameAction::Delay(_) => "frames delay",
                FrameAction::Drop => "frames drop",
                FrameAction::Reorder => "frames reorder",
                FrameAction::Refuse(_) => "frames refuse",
            };
            std::iter::once(does)
                .chain(every.map(|_| "frames every"))
                .collect()
        }
        FaultKind::Alarm { resource } => vec![match resource {
            Resource::Memory => "alarm memory",
            Resource::Disk => "alarm disk",
        }],
        FaultKind::Upstream { does, .. } => vec![match does {
            Misbehaviour::Status(_) => "upstream status",
            Misbehaviour::Slow(_) => "upstream slow",
            Misbehaviour::Never => "upstream never",
            Misbehaviour::Garbage => "upstream garbage",
            Misbehaviour::CutBody => "upstream cut-body",
        }],
        _ => Vec::new(),
    }
}

/// What may be idle, with the reason.
const EXEMPT: [(Part, &str, &str); 2] = [
    (
        Part::Fault,
        "disk-full",
        "it is refused: it would fill the engine's own disk",
    ),
    (
        Part::Broken,
        "not-vacuous",
        "it makes a trial invalid, which is no detection",
    ),
];

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Kinds of fault that took effect.
    Fault,
    /// Their ways, where a kind has several.
    Way,
    /// States of a message at which a trigger fired.
    State,
    /// Rules that had something to judge.
    Judged,
    /// Rules that some planted bug broke.
    Broken,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Fault, Self::Way, Self::State, Self::Judged, Self::Broken];

    /// What it is, for a heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Fault => "kinds of fault that took effect",
            Self::Way => "ways in which they did",
            Self::State => "message states at which a fault fired",
            Self::Judged => "invariants that had something to judge",
            Self::Broken => "invariants that a planted bug broke",
        }
    }

    fn words(self) -> Vec<String> {
        let rules = || invariant::ALL.iter().map(|rule| rule.id.to_owned()).collect();
        match self {
            Self::Fault => FAULTS.map(str::to_owned).to_vec(),
            Self::Way => WAYS.map(str::to_owned).to_vec(),
            Self::State => MessageState::ALL.map(|state| state.to_string()).to_vec(),
            Self::Judged | Self::Broken => rules(),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.heading())
    }
}

/// How often each thing was exercised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Trials that were looked at.
    pub trials: u64,
    /// Times, by part and word: in how many trials, or by how many bugs. A part that nothing is known of is not there.
    pub times: BTreeMap<Part, BTreeMap<String, u64>>,
}

impl Default for Coverage {
    fn default() -> Self {
        let mut coverage = Self {
            trials: 0,
            times: BTreeMap::new(),
        };
        for part in [Part::Fault, Part::Way, Part::State, Part::Judged] {
            coverage.open(part);
        }
        coverage
    }
}

impl Coverage {
    fn open(&mut self, part: Part) -> &mut BTreeMap<String, u64> {
        self.times
            .entry(part)
            .or_insert_with(|| part.words().into_iter().map(|word| (word, 0)).collect())
    }

    fn count(&mut self, part: Part, words: impl IntoIterator<Item = String>) {
        // Once for each trial or bug, however often it is there.
        let words: std::collections::BTreeSet<_> = words.into_iter().collect();
        let times = self.open(part);
        for word in words {
            // What an older or newer harness has stored and this one does not know is none of its parts.
            if let Some(times) = times.get_mut(&word) {
                *times += 1;
            }
        }
    }

    /// Counts a trial: its faults as they were scheduled, its evidence, and whether the rules were asked at all.
    pub fn trial(&mut self, faults: &[FaultPlan], evidence: &Evidence, judged: bool) {
        self.trials += 1;
        let happened = |fault: &Name, wanted: fn(&FaultChange) -> bool| {
            let events = evidence.ledger.events().iter();
            events
                .map(|event| &event.step)
                .any(|step| matches!(step, Step::Fault { id, change } if id == fault && wanted(change)))
        };
        let bitten =
            |fault: &&FaultPlan| happened(&fault.id, |change| matches!(change, FaultChange::Bitten { .. }));
        let fired =
            |fault: &&FaultPlan| happened(&fault.id, |change| matches!(change, FaultChange::Fired { .. }));
        let bitten = || faults.iter().filter(bitten).map(|fault| &fault.what);
        self.count(Part::Fault, bitten().map(|what| what.word().to_owned()));
        self.count(Part::Way, bitten().flat_map(ways).map(str::to_owned));
        let triggers = faults
            .iter()
            .filter(fired)
            .filter_map(|fault| fault.when.as_ref());
        self.count(Part::State, triggers.flat_map(states));
        if judged {
            let asked = subject::of(evidence)
                .into_iter()
                .filter(|rule| !evidence.plan.waived.contains_key(*rule));
            self.count(Part::Judged, asked.map(str::to_owned));
        }
    }

    /// Counts a planted bug, by the rules that it broke.
    pub fn bug(&mut self, broken: impl IntoIterator<Item = String>) {
        self.count(Part::Broken, broken);
    }

    /// The words of a part that are at zero and may not be; empty for a part that nothing is known of.
    pub fn idle(&self, part: Part) -> Vec<&str> {
        let exempt = |word: &str| {
            EXEMPT
                .iter()
                .any(|(of, exempt, _)| *of == part && *exempt == word)
        };
        let times = self.times.get(&part).into_iter().flatten();
        times
            .filter(|(word, times)| **times == 0 && !exempt(word))
            .map(|(word, _)| word.as_str())
            .collect()
    }

    /// What may be idle in this part, each with the reason.
    pub fn exempt(part: Part) -> impl Iterator<Item = (&'static str, &'static str)> {
        EXEMPT
            .iter()
            .filter(move |(of, ..)| *of == part)
            .map(|(_, word, why)| (*word, *why))
    }
}

/// The states that a trigger waited for, and those before it.
fn states(trigger: &Trigger) -> Vec<String> {
    let mut found = trigger.after.as_deref().map(states).unwrap_or_default();
    if let On::State { state, .. } = trigger.on {
        found.push(state.to_string());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Coverage, FAULTS, Part, WAYS, subject};
    use crate::event::{Event, FaultChange, Step};
    use crate::evidence::{EndState, Evidence, Plan};
    use crate::fault::{FaultKind, FaultPlan, MessageState, On, Target, Trigger};
    use crate::invariant;
    use crate::ledger::Ledger;
    use crate::topology::Topology;

    fn evidence(steps: Vec<Step>) -> Evidence {
        let topology = include_str!("../../../fixtures/topologies/ci.toml");
        let events = steps.into_iter().zip(1..).map(|(step, n)| Event {
            n,
            at: n,
            svc: None,
            conn: None,
            chan: None,
            step,
        });
        Evidence {
            plan: Plan {
                scenario: "a::b".into(),
                topology: Topology::parse("ci.toml", topology).unwrap(),
                must_see: [].into(),
                faults: Vec::new(),
                injected: Vec::new(),
                waived: [].into(),
                recovery_budget_ms: 1,
            },
            ledger: Ledger::from_events(events.collect()),
            end: EndState::default(),
        }
    }

    fn change(id: &str, change: FaultChange) -> Step {
        Step::Fault {
            id: id.into(),
            change,
        }
    }

    fn bitten(id: &str) -> Step {
        let proof = "exit code 137".to_owned();
        change(id, FaultChange::Bitten { proof })
    }

    fn kill_at(id: &str, state: MessageState) -> FaultPlan {
        let on = On::State {
            state,
            by: "tags".into(),
            key: None,
        };
        FaultPlan {
            id: id.into(),
            what: FaultKind::Kill {
                target: Target::Broker,
            },
            when: Some(Trigger {
                nth: 1,
                on,
                after: None,
            }),
        }
    }

    #[test]
    fn the_words_are_those_of_all_kinds_of_fault() {
        let error = serde_json::from_str::<FaultKind>(r#"{"kind": "?"}"#)
            .unwrap_err()
            .to_string();
        let (_, known) = error.split_once("expected one of ").unwrap();
        let known: Vec<_> = known.split('`').skip(1).step_by(2).collect();
        assert_eq!(known, FAULTS);
    }

    #[test]
    fn each_way_of_a_fault_counts_by_itself() {
        let plan = |id: &str, what: &str| FaultPlan {
            id: id.into(),
            what: serde_json::from_str(what).unwrap(),
            when: None,
        };
        let faults = [
            plan("a", r#"{"kind": "kill", "target": "broker"}"#),
            plan(
                "b",
                r#"{"kind": "cut-link", "service": "tags", "backend": "broker", "how": "silent"}"#,
            ),
            plan("c", r#"{"kind": "kill", "target": "database"}"#),
        ];
        let mut coverage = Coverage::default();
        coverage.trial(&faults, &evidence(vec![bitten("a"), bitten("b")]), true);
        let mut idle = WAYS.to_vec();
        idle.retain(|way| !["kill broker", "cut-link silent"].contains(way));
        idle.sort_unstable();
        assert_eq!(coverage.idle(Part::Way), idle);
    }

    #[test]
    fn a_fault_counts_when_it_bit_and_a_state_when_it_fired() {
        let plan = [kill_at("a", MessageState::A0), kill_at("b", MessageState::C1)];
        let mut coverage = Coverage::default();
        coverage.trial(&plan, &evidence(vec![change("a", FaultChange::Armed)]), true);
        assert!(coverage.idle(Part::Fault).contains(&"kill"));
        assert!(coverage.idle(Part::State).contains(&"A0"));

        let fired = change("a", FaultChange::Fired { by: 1 });
        coverage.trial(&plan, &evidence(vec![fired.clone()]), true);
        assert!(coverage.idle(Part::Fault).contains(&"kill"));
        assert!(!coverage.idle(Part::State).contains(&"A0"));
        assert!(
            coverage.idle(Part::State).contains(&"C1"),
            "the other one did not fire"
        );

        coverage.trial(&plan, &evidence(vec![fired, bitten("a")]), true);
        assert_eq!(coverage.times[&Part::Fault]["kill"], 1);
        assert_eq!(coverage.times[&Part::State]["A0"], 2);
        assert_eq!(coverage.trials, 3);
    }

    #[test]
    fn a_state_before_another_trigger_counts() {
        let mut plan = kill_at("a", MessageState::A0);
        let when = kill_at("", MessageState::R1).when.map(Box::new);
        plan.when.as_mut().unwrap().after = when;
        let mut coverage = Coverage::default();
        coverage.trial(
            &[plan],
            &evidence(vec![change("a", FaultChange::Fired { by: 1 })]),
            true,
        );
        let idle = coverage.idle(Part::State);
        assert!(!idle.contains(&"A0") && !idle.contains(&"R1") && idle.contains(&"R0"));
    }

    #[test]
    fn a_rule_that_was_waived_or_not_asked_has_judged_nothing() {
        let mut trial = evidence(vec![]);
        trial.plan.faults.push(kill_at("a", MessageState::A0));
        let idle = |trial: &Evidence, judged| {
            let mut coverage = Coverage::default();
            coverage.trial(&[], trial, judged);
            coverage.idle(Part::Judged).contains(&"not-vacuous")
        };
        assert!(!idle(&trial, true));
        assert!(idle(&trial, false));
        trial.plan.waived.insert("not-vacuous".into(), "because".into());
        assert!(idle(&trial, true));
    }

    #[test]
    fn what_bugs_break_is_asked_only_if_bugs_are_known() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.idle(Part::Broken), [""; 0]);
        coverage.bug(["no-loss".to_owned(), "no-loss".to_owned(), "body".to_owned()]);
        coverage.bug(["no-loss".to_owned()]);
        assert_eq!(coverage.times[&Part::Broken]["no-loss"], 2);
        let idle = coverage.idle(Part::Broken);
        assert!(idle.contains(&"atomic") && !idle.contains(&"no-loss"));
        assert!(!idle.contains(&"not-vacuous"), "exempt");
    }

    #[test]
    fn exempt_are_only_things_that_there_are() {
        for part in Part::ALL {
            for (word, why) in Coverage::exempt(part) {
                assert!(part.words().contains(&word.to_owned()), "{word}");
                assert!(!why.is_empty());
            }
        }
        assert_eq!(Coverage::default().idle(Part::Fault).len(), FAULTS.len() - 1);
    }

    #[test]
    fn every_rule_has_a_subject() {
        for rule in invariant::ALL {
            assert!(
                subject::is_known(rule.id),
                "say in `coverage::subject` what {} needs",
                rule.id
            );
        }
    }
}
