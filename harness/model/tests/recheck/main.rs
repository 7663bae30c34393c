//! A stored trial is judged again, as it was and with one thing changed at a time.
//!
//! The evidence in these folders was written by runs against containers: `pipeline::golden_path`, one report and one
//! canary, and `broker::restarted_idle`, where the broker is restarted between two reports. So the invariants are tried
//! here against what services, broker and database really do, and not only against what a test says they do. It has to
//! be taken anew when the format of the ledger changes, and then be judged before it is kept.

mod change;
mod happened;
mod left;
mod outage;

use std::collections::BTreeSet;

use harness_model::evidence::Evidence;
use harness_model::invariant::{ALL, judge};
use harness_model::ledger::Ledger;

use happened::HAPPENED;
use left::LEFT;
use outage::IN_AN_OUTAGE;

macro_rules! stored {
    ($folder:literal) => {
        Evidence {
            plan: serde_json::from_str(include_str!(concat!($folder, "/plan.json"))).expect("a plan"),
            ledger: Ledger::read(&include_bytes!(concat!($folder, "/ledger.jsonl"))[..]).expect("a ledger"),
            end: serde_json::from_str(include_str!(concat!($folder, "/end_state.json")))
                .expect("an end state"),
        }
    };
}

/// Nothing goes wrong.
fn quiet() -> Evidence {
    stored!("golden_path")
}

/// The broker is away for ten seconds.
fn outage() -> Evidence {
    stored!("restarted_idle")
}

/// The rules that find something.
fn rules(evidence: &Evidence) -> BTreeSet<String> {
    judge(evidence).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn stored_trials_that_passed_pass_again() {
    for stored in [quiet(), outage()] {
        let findings = judge(&stored);
        assert!(findings.is_empty(), "{}: {findings:#?}", stored.plan.scenario);
    }
}

#[test]
fn each_change_is_found_by_the_rules_that_it_breaks_and_by_no_other() {
    let mut wrong = Vec::new();
    let tables = [
        (quiet as fn() -> Evidence, LEFT),
        (quiet, HAPPENED),
        (outage, IN_AN_OUTAGE),
    ];
    for (stored, mutations) in tables {
        for (name, mutate, expected) in mutations {
            let mut evidence = stored();
            mutate(&mut evidence);
            assert_ne!(evidence, stored(), "{name} changes nothing");
            let found = rules(&evidence);
            let expected: BTreeSet<_> = expected.iter().map(|rule| (*rule).to_owned()).collect();
            if found != expected {
                wrong.push(format!("{name}: found by {found:?}, expected {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rule_finds_some_change() {
    let tried: BTreeSet<_> = LEFT
        .iter()
        .chain(HAPPENED)
        .flat_map(|(.., rules)| *rules)
        .copied()
        .collect();
    let all: BTreeSet<_> = ALL.iter().map(|invariant| invariant.id).collect();
    assert_eq!(tried, all);
}
