//! Ways to change what was stored.

use harness_model::event::{Event, FaultChange, Message, Step};
use harness_model::evidence::{AnalysisRow, Evidence, QueueState, Rendered};
use harness_model::fault::{FaultKind, FaultPlan};
use harness_model::ledger::Ledger;
use harness_model::name::{Key, Name};

/// The report that is not the canary.
pub(crate) const REPORT: u64 = 1;

/// Changes the events and numbers them anew.
pub(crate) fn events(evidence: &mut Evidence, change: impl FnOnce(&mut Vec<Event>)) {
    let mut events = evidence.ledger.events().to_vec();
    change(&mut events);
    for (event, n) in events.iter_mut().zip(1..) {
        event.n = n;
    }
    evidence.ledger = Ledger::from_events(events);
}

/// Takes out the events that are chosen.
pub(crate) fn forget(evidence: &mut Evidence, chosen: impl Fn(&Event) -> bool) {
    events(evidence, |events| events.retain(|event| !chosen(event)));
}

/// Changes the steps for which it is asked to; the others are none of its business.
pub(crate) fn steps(evidence: &mut Evidence, change: impl Fn(&mut Step)) {
    events(evidence, |events| {
        for event in events.iter_mut() {
            change(&mut event.step);
        }
    });
}

/// Says the first event that is chosen once more, changed, after all others; but before the harness tidies up.
pub(crate) fn repeat(evidence: &mut Evidence, chosen: impl Fn(&Event) -> bool, change: impl Fn(&mut Step)) {
    events(evidence, |events| {
        let mut again = events
            .iter()
            .find(|event| chosen(event))
            .expect("such an event")
            .clone();
        change(&mut again.step);
        add(events, again);
    });
}

/// Says something on nobody's link.
pub(crate) fn say(evidence: &mut Evidence, step: Step) {
    events(evidence, |events| {
        let mut event = events[0].clone();
        (event.svc, event.conn, event.chan, event.step) = (None, None, None, step);
        add(events, event);
    });
}

fn add(events: &mut Vec<Event>, mut event: Event) {
    let collect = |event: &Event| matches!(&event.step, Step::Phase { name } if *name == "collect");
    let end = events
        .iter()
        .position(collect)
        .expect("a phase in which evidence is collected");
    event.at = events[end].at;
    events.insert(end, event);
}

/// It was seen on this service's link.
pub(crate) fn of(svc: &str, event: &Event) -> bool {
    event.svc.as_ref().is_some_and(|found| *found == svc)
}

/// A delivery of the report to this service.
pub(crate) fn delivery(svc: &str, event: &Event) -> bool {
    matches!(&event.step, Step::Deliver { message, .. } if is_report(message)) && of(svc, event)
}

/// A publish of the report by this service.
pub(crate) fn publish(svc: &str, event: &Event) -> bool {
    matches!(&event.step, Step::Publish { message, .. } if is_report(message)) && of(svc, event)
}

/// The acknowledgement of the report by this service.
pub(crate) fn ack(svc: &str, event: &Event) -> bool {
    let covers = |step: &Step| match step {
        Step::Ack { covers } => covers
            .iter()
            .any(|covered| covered.key == Some(Key::from(REPORT))),
        _ => false,
    };
    covers(&event.step) && of(svc, event)
}

fn is_report(message: &Message) -> bool {
    message.key == Some(Key::from(REPORT))
}

/// The message of a publish or a delivery.
pub(crate) fn message(step: &mut Step) -> Option<&mut Message> {
    match step {
        Step::Publish { message, .. } | Step::Deliver { message, .. } => Some(message),
        _ => None,
    }
}

/// What the renderer shows.
pub(crate) fn rendered(evidence: &mut Evidence) -> &mut Rendered {
    evidence.end.rendered.as_mut().expect("a renderer")
}

/// A queue at rest.
pub(crate) fn queue<'a>(evidence: &'a mut Evidence, name: &str) -> &'a mut QueueState {
    evidence.end.queues.get_mut(name).expect("a queue")
}

/// The row of the report in English.
pub(crate) fn row(evidence: &mut Evidence) -> &mut AnalysisRow {
    let rows = &mut evidence.end.analysis;
    rows.iter_mut()
        .find(|row| row.seq == REPORT && row.language == "en")
        .expect("a row")
}

/// Lets so many milliseconds pass before the first event that is chosen.
pub(crate) fn wait(evidence: &mut Evidence, chosen: impl Fn(&Event) -> bool, ms: u64) {
    events(evidence, |events| {
        let from = events.iter().position(chosen).expect("such an event");
        for event in &mut events[from..] {
            event.at += ms * 1_000_000;
        }
    });
}

/// Begins a fault before the first event that is chosen, and heals it before the canary is sent.
pub(crate) fn disturb(evidence: &mut Evidence, what: FaultKind, chosen: impl Fn(&Event) -> bool) {
    let id = Name::new("f");
    evidence.plan.faults.push(FaultPlan {
        id: id.clone(),
        what,
        when: None,
    });
    events(evidence, |events| {
        let canary = |event: &Event| matches!(&event.step, Step::Phase { name } if *name == "canary");
        let healed = FaultChange::Healed { proof: "said".into() };
        insert(
            events,
            canary,
            Step::Fault {
                id: id.clone(),
                change: healed,
            },
        );
        insert(
            events,
            &chosen,
            Step::Fault {
                id: id.clone(),
                change: FaultChange::Armed,
            },
        );
        let bitten = FaultChange::Bitten { proof: "said".into() };
        insert(
            events,
            &chosen,
            Step::Fault {
                id: id.clone(),
                change: bitten,
            },
        );
    });
}

/// Says something on nobody's link before the first event that is chosen.
pub(crate) fn insert(events: &mut Vec<Event>, chosen: impl Fn(&Event) -> bool, step: Step) {
    let to = events.iter().position(chosen).expect("such an event");
    let mut event = events[to].clone();
    (event.svc, event.conn, event.chan, event.step) = (None, None, None, step);
    events.insert(to, event);
}
