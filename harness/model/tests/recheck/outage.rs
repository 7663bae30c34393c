//! What may be wrong with a trial in which the broker was restarted.

use harness_model::event::{Backend, Ending, Event, FaultChange, Side, Step};
use harness_model::name::Key;

use crate::change::{events, forget, insert, of, say, steps, wait};
use crate::left::Mutation;

/// One thing wrong at a time; what no rule finds is fine.
pub(crate) const IN_AN_OUTAGE: &[Mutation] = &[
    (
        "the outage lasts longer",
        |e| wait(e, |event| container(event, "started"), 60_000),
        &[],
    ),
    (
        "a service is said to be well all the time",
        |e| forget(e, |event| of("tags", event) && unwell(event)),
        &["health-truth"],
    ),
    (
        "a service says for long that it is not well",
        |e| {
            let mut seen = false;
            events(e, |events| {
                events.retain(|event| {
                    seen |= of("tags", event) && unwell(event);
                    !(seen && of("tags", event) && well(event))
                });
            });
            say(e, Step::Note { text: "later".into() });
            wait(e, |event| matches!(event.step, Step::Note { .. }), 20_000);
        },
        &["health-truth"],
    ),
    (
        "a service says for a moment that it is not well",
        |e| {
            wait(e, is_canary, 20_000);
            events(e, |events| {
                let answers = events.iter().filter(|event| of("tags", event));
                let [red, green] =
                    [unwell, well].map(|is| answers.clone().rfind(|event| is(event)).unwrap().clone());
                for answer in [red, green] {
                    let to = events.iter().position(is_canary).unwrap();
                    events.insert(
                        to,
                        Event {
                            at: events[to].at,
                            ..answer
                        },
                    );
                }
            });
        },
        &[],
    ),
    (
        "a service dials again at once",
        |e| {
            events(e, |events| {
                let to = events
                    .iter()
                    .position(|event| container(event, "started"))
                    .unwrap();
                let at = events[to].at;
                let dials = (0..200).map(|i| {
                    let step = Step::DialFailed {
                        to: Backend::Broker,
                        error: "connection refused".into(),
                    };
                    Event {
                        n: 0,
                        at,
                        svc: Some("tags".into()),
                        conn: Some(1_000 + i),
                        chan: None,
                        step,
                    }
                });
                events.splice(to..to, dials.collect::<Vec<_>>());
            });
        },
        &["reconnects-bounded"],
    ),
    (
        "the fault was never healed",
        |e| {
            let healed = |event: &Event| {
                matches!(
                    event.step,
                    Step::Fault {
                        change: FaultChange::Healed { .. },
                        ..
                    }
                )
            };
            forget(e, healed);
        },
        &["not-vacuous"],
    ),
    (
        "a report comes again long after its acknowledgement and a cut of the link",
        |e| {
            wait(e, is_canary, 20_000);
            events(e, |events| {
                let given = events.iter().rfind(|event| delivery(event)).unwrap().clone();
                let settled = events.iter().rfind(|event| ack(event)).unwrap().clone();
                let cut = Step::Disconnect {
                    to: Backend::Broker,
                    by: Side::Server,
                    how: Ending::Rst,
                };
                insert(events, is_canary, cut.clone());
                let to = events
                    .iter()
                    .position(|event| event.step == cut && event.svc.is_none())
                    .unwrap();
                (events[to].svc, events[to].conn) = (given.svc.clone(), given.conn);
                for again in [given, settled] {
                    let to = events.iter().position(is_canary).unwrap();
                    let at = events[to].at;
                    events.insert(
                        to,
                        Event {
                            at,
                            conn: Some(999),
                            ..again
                        },
                    );
                }
            });
        },
        &["explained-duplicates"],
    ),
    (
        "the canary took long",
        |e| {
            steps(e, |step| {
                if let Step::Recovered { ms, .. } = step {
                    *ms = 30_001;
                }
            });
        },
        &["recovered"],
    ),
];

fn container(event: &Event, wanted: &str) -> bool {
    matches!(&event.step, Step::Container { name, change, .. } if *name == "broker" && change == wanted)
}

fn unwell(event: &Event) -> bool {
    matches!(event.step, Step::Health { status, .. } if status != 200)
}

fn well(event: &Event) -> bool {
    matches!(event.step, Step::Health { status: 200, .. })
}

fn is_canary(event: &Event) -> bool {
    matches!(&event.step, Step::Phase { name } if *name == "canary")
}

/// The second report, which came after the restart.
fn delivery(event: &Event) -> bool {
    matches!(&event.step, Step::Deliver { message, .. } if message.key == Some(Key::from(2)))
        && of("tags", event)
}

fn ack(event: &Event) -> bool {
    matches!(&event.step, Step::Ack { covers } if covers.iter().any(|covered| covered.key == Some(Key::from(2))))
        && of("tags", event)
}
