//! The list of invariants, waivers, and what holds for all of them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::event::{Backend, Event, Fate, Step};
use crate::evidence::{EndState, Evidence};
use crate::fault::{FaultKind, Target};
use crate::invariant::testing::{Trial, accepted, found};
use crate::invariant::{ALL, Case, judge, measures, waivers};
use crate::ledger::Ledger;
use crate::verdict::Kind;

/// Some of everything, and nothing wrong.
fn sample() -> Trial {
    let mut trial = Trial::new();
    trial.report(1);
    trial.poison("p");
    trial.plan_report(2, &["bin"]);
    trial.inject(2);
    let delivery = trial.deliver("analysis", 2);
    trial.retry("analyzer", "analysis", 2, 1);
    trial.ack(delivery);
    trial.wait_ms(1000);
    trial.deliver_retry("analysis", 2, Some(1));
    trial.plan_kill("f", Target::Broker, None);
    trial.fault("f", crate::event::FaultChange::Armed);
    trial.kill_broker();
    trial.bitten("f");
    trial.container("broker", "started", None);
    trial.healed("f");
    let delivery = trial.deliver_retry("analysis", 2, Some(1));
    trial.write("analyzer", 2);
    trial.rows(2);
    let event = trial.announce(2);
    trial.confirm(event);
    let ack = trial.ack(delivery);
    trial.fate(ack, Fate::Forwarded);
    trial.tagged(2);
    trial.rendered(2);
    trial.say(Step::Phase {
        name: "canary".into(),
    });
    trial.recovered(10);
    trial
}

/// For each invariant, a sample with one thing wrong.
fn planted(rule: &str) -> Trial {
    let mut trial = sample();
    match rule {
        "no-loss" => trial.end.analysis.clear(),
        "dlq-exact" => drop(trial.bury("tags", 1)),
        "effects-once" => drop(trial.end.tags.insert("bin".into(), 9)),
        "atomic" => drop(trial.end.published.remove(&1)),
        "publisher-honest" => {
            trial.plan_report(3, &[]);
            let delivery = trial.deliver("tags", 3);
            trial.retry_unconfirmed("tags", "tags", 3, 1);
            trial.ack(delivery);
        }
        "no-phantoms" => trial.rows(99),
        "source-unchanged" => drop(trial.end.source_after.remove(&1)),
        "event-fidelity" => drop(trial.end.source.insert(1, [].into())),
        "explained-duplicates" => drop(trial.deliver("renderer", 2)),
        "ack-after-effect" => {
            trial.plan_report(3, &["bin"]);
            let delivery = trial.deliver("tags", 3);
            trial.ack(delivery);
            trial.end.links.push((3, "bin".into()));
        }
        "progress" => {
            trial.plan_report(3, &[]);
            trial.inject(3);
            trial.wait_ms(60_000);
            trial.begin(
                "g",
                FaultKind::OutOfMemory {
                    service: "tags".into(),
                },
            );
            trial.wait_ms(60_000);
            trial.healed("g");
        }
        "health-truth" => {
            trial.health("tags", 200);
            trial.hang_up("tags", Backend::Broker);
            trial.wait_ms(60_000);
            trial.say(Step::Unblocked);
        }
        "graceful-stop" => drop(trial.container("tags", "stopped", Some(1))),
        "reconnects-bounded" => (0..100).for_each(|_| {
            trial.dial_in_vain("tags", Backend::Broker);
        }),
        "retries-bounded" => drop(trial.retry("analyzer", "analysis", 2, 0)),
        "sibling-isolation" => drop(trial.deliver_retry("tags", 2, Some(1))),
        "prefetch-bounded" => (100..109).for_each(|seq| {
            trial.deliver("tags", seq);
        }),
        "durable-topology" => trial.change(15, |step| {
            if let Step::Publish { message, .. } = step {
                message.persistent = false;
            }
        }),
        "process-alive" => drop(trial.container("tags", "exited", Some(1))),
        "recovered" => drop(trial.recovered(99_999)),
        "at-rest" => drop(trial.deliver("tags", 2)),
        "not-vacuous" => trial
            .plan
            .faults
            .clone_from(&vec![trial.plan.faults[0].clone(); 1]),
        _ => panic!("{rule} has nothing planted"),
    }
    if rule == "not-vacuous" {
        trial.plan.faults[0].id = "never-armed".into();
    }
    trial
}

#[test]
fn the_sample_is_legal_and_every_invariant_rejects_what_is_planted_for_it() {
    accepted(&sample());
    for invariant in ALL {
        let findings = found(invariant.id, &planted(invariant.id));
        assert!(!findings.is_empty(), "{} always passes", invariant.id);
        assert!(
            findings.iter().all(|finding| finding.rule == invariant.id),
            "{findings:?}"
        );
    }
}

#[test]
fn names_are_unique_and_sentences_are_sentences() {
    let names: BTreeSet<_> = ALL.iter().map(|invariant| invariant.id).collect();
    assert_eq!(names.len(), ALL.len());
    for invariant in ALL {
        assert!(invariant.what.split(' ').count() > 4, "{invariant:?}");
    }
}

#[test]
fn a_waived_invariant_is_not_run_and_is_listed() {
    let mut trial = planted("process-alive");
    assert_eq!(judge(&trial.evidence()).len(), 1);
    trial
        .plan
        .waived
        .insert("process-alive".into(), "the scenario crashes it".into());
    assert!(judge(&trial.evidence()).is_empty());
    let listed: Vec<_> = waivers(&trial.plan)
        .map(|(invariant, reason)| (invariant.id, reason))
        .collect();
    assert_eq!(listed, [("process-alive", "the scenario crashes it")]);
}

#[test]
fn a_waiver_of_nothing_makes_the_trial_invalid() {
    let mut trial = sample();
    trial.plan.waived.insert("no-los".into(), "a slip".into());
    let findings = judge(&trial.evidence());
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].what,
        "the scenario waives no-los, and there is no such invariant"
    );
    assert_eq!(findings[0].kind, Kind::Invalid);
}

#[test]
fn a_trial_without_any_evidence_is_invalid_and_not_passed() {
    let mut evidence = sample().evidence();
    evidence.ledger = Ledger::default();
    evidence.end = EndState::default();
    let findings = judge(&evidence);
    assert!(
        findings.iter().any(|finding| finding.kind == Kind::Invalid),
        "{findings:?}"
    );
}

/// The events at these places of a bad trial, renumbered, at times that make no sense.
fn some(rule: usize, keep: &[usize]) -> Evidence {
    let planted = planted(ALL[rule % ALL.len()].id).evidence();
    let events = planted.ledger.events();
    let picked = keep.iter().zip(1..).map(|(i, n)| Event {
        n,
        at: (*i as u64) << (i % 40),
        ..events[i % events.len()].clone()
    });
    Evidence {
        ledger: Ledger::from_events(picked.collect()),
        ..planted
    }
}

proptest! {
    #[test]
    fn no_evidence_makes_a_judge_panic(
        rule in 0_usize..100,
        keep in proptest::collection::vec(0_usize..400, 0..160),
        ended in any::<bool>(),
    ) {
        let mut evidence = some(rule, &keep);
        if !ended {
            evidence.end = EndState::default();
        }
        for finding in judge(&evidence) {
            prop_assert!(!finding.what.is_empty());
            prop_assert!(finding.events.iter().all(|n| (1..=400).contains(n)), "{finding:?}");
        }
        measures(&Case::new(&evidence));
    }

    #[test]
    fn a_ledger_that_ends_early_is_never_a_panic(rule in 0_usize..100, length in 0_usize..400) {
        let mut evidence = planted(ALL[rule % ALL.len()].id).evidence();
        let events = evidence.ledger.events();
        evidence.ledger = Ledger::from_events(events[..length.min(events.len())].to_vec());
        prop_assert!(judge(&evidence).iter().all(|finding| !finding.rule.is_empty()));
    }
}
