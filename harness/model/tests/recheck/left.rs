//! What may be wrong with what a trial leaves, or with what was asked of it, and which rules have to say so.

use harness_model::event::StepKind;
use harness_model::evidence::{DeadLetter, Evidence, Expect};
use harness_model::fault::{FaultKind, FaultPlan, Target};
use harness_model::name::Key;

use crate::change::{REPORT, ack, events, queue, rendered, row};

/// A name, a change, and the rules that find it.
pub(crate) type Mutation = (&'static str, fn(&mut Evidence), &'static [&'static str]);

/// One thing wrong at a time.
pub(crate) const LEFT: &[Mutation] = &[
    (
        "a row is missing",
        |e| {
            e.end
                .analysis
                .retain(|row| row.seq != REPORT || row.language != "de");
        },
        &["atomic", "event-fidelity", "no-loss"],
    ),
    (
        "all rows are missing",
        |e| e.end.analysis.retain(|row| row.seq != REPORT),
        &["atomic", "effects-once", "event-fidelity", "no-loss"],
    ),
    (
        "a row is there twice",
        |e| {
            let again = row(e).clone();
            e.end.analysis.push(again);
        },
        &["effects-once"],
    ),
    (
        "a row in another language",
        |e| row(e).language = "fr".into(),
        &["atomic", "effects-once", "event-fidelity", "no-loss"],
    ),
    (
        "a row of nobody",
        |e| row(e).seq = 99,
        &["atomic", "event-fidelity", "no-loss", "no-phantoms"],
    ),
    (
        "the time of publication is missing",
        |e| {
            e.end.published.remove(&REPORT);
        },
        &["atomic"],
    ),
    (
        "a field of a row differs",
        |e| drop(row(e).fields.insert("severity_level".into(), 0.9.into())),
        &["event-fidelity"],
    ),
    (
        "a field of the report differs",
        |e| {
            drop(
                e.end
                    .source
                    .get_mut(&REPORT)
                    .unwrap()
                    .insert("description".into(), "other".into()),
            );
        },
        &["event-fidelity"],
    ),
    (
        "the report was changed",
        |e| drop(e.end.source_after.insert(REPORT, "other".into())),
        &["source-unchanged"],
    ),
    (
        "the report is gone",
        |e| drop(e.end.source_after.remove(&REPORT)),
        &["source-unchanged"],
    ),
    (
        "a link is missing",
        |e| drop(e.end.links.remove(0)),
        &["effects-once"],
    ),
    (
        "all links of the report are missing",
        |e| e.end.links.retain(|(seq, _)| *seq != REPORT),
        &["effects-once", "no-loss"],
    ),
    (
        "a link is there twice",
        |e| e.end.links.push(e.end.links[0].clone()),
        &["effects-once"],
    ),
    (
        "a link to the tag of another report",
        |e| e.end.links.push((REPORT, "canary".into())),
        &["effects-once"],
    ),
    (
        "a tag of nobody",
        |e| {
            e.end.tags.insert("other".into(), 1);
        },
        &["effects-once", "no-phantoms"],
    ),
    (
        "a tag counts one too many",
        |e| *e.end.tags.get_mut("litter").unwrap() += 1,
        &["effects-once"],
    ),
    (
        "a point is missing",
        |e| {
            rendered(e).points.retain(|seq| *seq != REPORT);
            rendered(e).physical -= 1;
        },
        &["no-loss"],
    ),
    (
        "a point is there twice",
        |e| rendered(e).points.push(REPORT),
        &["effects-once"],
    ),
    (
        "a total counts one too many",
        |e| rendered(e).physical += 1,
        &["effects-once"],
    ),
    (
        "a brand of nobody",
        |e| {
            rendered(e).brands.insert("Acme".into(), 1);
            rendered(e).digital = 1;
        },
        &["effects-once"],
    ),
    (
        "a good report among the dead letters",
        |e| bury(e, Some(REPORT.into())),
        &["dlq-exact", "no-loss"],
    ),
    ("a dead letter of nobody", |e| bury(e, None), &["dlq-exact"]),
    (
        "a message is left",
        |e| queue(e, "report-tags").ready = 1,
        &["at-rest"],
    ),
    (
        "a retry is left",
        |e| queue(e, "report-tags.retry").ready = 1,
        &["at-rest"],
    ),
    (
        "a queue does not come to rest",
        |e| queue(e, "report-tags").stable = false,
        &["at-rest"],
    ),
    (
        "a consumer is gone",
        |e| queue(e, "report-tags").consumers = 0,
        &["recovered"],
    ),
    (
        "a service has ended",
        |e| service(e, |state| state.running = false),
        &["process-alive"],
    ),
    (
        "a service is not well",
        |e| service(e, |state| state.health = 503),
        &["process-alive"],
    ),
    (
        "a queue was not read",
        |e| {
            e.end.queues.remove("report-tags");
        },
        &["not-vacuous"],
    ),
    (
        "the renderer was not asked",
        |e| e.end.rendered = None,
        &["not-vacuous"],
    ),
    // What was asked for.
    (
        "nobody injected it",
        |e| e.plan.injected.retain(|injected| injected.canary),
        &["no-phantoms"],
    ),
    (
        "it is not public",
        |e| expect(e, |public, rendered| (*public, *rendered) = (false, false)),
        &["effects-once"],
    ),
    (
        "it is not to be shown",
        |e| expect(e, |_, rendered| *rendered = false),
        &["effects-once"],
    ),
    (
        "it is poison",
        |e| {
            let queues = ["analysis".into()].into();
            e.plan.injected[0].expect = Expect::DeadLetter {
                queues,
                hash: "0".into(),
            };
        },
        &["dlq-exact", "effects-once", "no-loss", "no-phantoms"],
    ),
    (
        "a step must be seen that was not",
        |e| {
            e.plan.must_see.insert(StepKind::Blocked);
        },
        &["not-vacuous"],
    ),
    (
        "a fault never came",
        |e| {
            e.plan.faults.push(FaultPlan {
                id: "f".into(),
                what: FaultKind::Kill {
                    target: Target::Broker,
                },
                when: None,
            });
        },
        &["not-vacuous"],
    ),
    (
        "fewer deliveries in hand are declared",
        |e| {
            // The canary comes while the report is still in hand.
            events(e, |events| events.retain(|event| !ack("tags", event)));
            e.plan.topology.services.get_mut("tags").unwrap().prefetch = 1;
        },
        &["at-rest", "prefetch-bounded"],
    ),
];

fn bury(evidence: &mut Evidence, key: Option<Key>) {
    let letter = DeadLetter {
        key,
        hash: "0".into(),
        size: 1,
        reason: Some("rejected".into()),
    };
    evidence.end.dead.get_mut("tags").unwrap().push(letter);
}

fn service(evidence: &mut Evidence, change: impl Fn(&mut harness_model::evidence::ServiceState)) {
    change(evidence.end.services.get_mut("tags").unwrap());
}

fn expect(evidence: &mut Evidence, change: impl Fn(&mut bool, &mut bool)) {
    if let Expect::Effect { public, rendered, .. } = &mut evidence.plan.injected[0].expect {
        change(public, rendered);
    }
}
