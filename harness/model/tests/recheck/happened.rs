//! What may be wrong with what happens in a trial, and which rules have to say so.

use harness_model::event::{Backend, Covered, Ending, Event, Side, Step, StepKind, Verb};
use harness_model::fault::{FaultKind, Target};
use harness_model::name::Name;

use crate::change::{
    REPORT, ack, delivery, disturb, events, forget, message, of, publish, rendered, repeat, say, steps, wait,
};
use crate::left::Mutation;

/// One thing wrong at a time.
pub(crate) const HAPPENED: &[Mutation] = &[
    (
        "an acknowledgement is missing",
        |e| forget(e, |event| ack("tags", event)),
        &["at-rest"],
    ),
    (
        "acknowledged and lost",
        |e| {
            forget(e, |event| {
                event.step.kind() == StepKind::Statement && of("tags", event)
            });
            e.end.links.retain(|(seq, _)| *seq != REPORT);
            e.end.tags.retain(|tag, _| tag == "canary");
        },
        &["no-loss"],
    ),
    (
        "neither acknowledged nor done",
        |e| {
            forget(e, |event| ack("tags", event));
            e.end.links.retain(|(seq, _)| *seq != REPORT);
            e.end.tags.retain(|tag, _| tag == "canary");
        },
        &["at-rest", "no-loss"],
    ),
    (
        "acknowledged on arrival",
        |e| events(e, |events| early(events, "tags")),
        &["ack-after-effect"],
    ),
    (
        "acknowledged on arrival by the analyzer",
        |e| events(e, |events| early(events, "analyzer")),
        &["ack-after-effect"],
    ),
    (
        "never committed",
        |e| forget(e, |event| commit(event) && of("tags", event)),
        &["ack-after-effect"],
    ),
    (
        "no acknowledgements wanted",
        |e| {
            steps(e, |step| {
                if let Step::Consume { queue, no_ack, .. } = step {
                    *no_ack = *queue == "report-tags";
                }
            });
        },
        &["ack-after-effect"],
    ),
    (
        "delivered twice",
        |e| {
            repeat(e, |event| delivery("tags", event), |step| tag(step, 9));
            repeat(e, |event| ack("tags", event), |step| tag(step, 9));
        },
        &["explained-duplicates"],
    ),
    (
        "delivered for a retry of nobody",
        |e| {
            steps(e, |step| {
                if let Step::Deliver {
                    queue: Some(queue),
                    message,
                    ..
                } = step
                    && *queue == "report-tags"
                {
                    message.retry = Some(1);
                }
            });
        },
        &["sibling-isolation"],
    ),
    (
        "retried too often",
        |e| {
            repeat(
                e,
                |event| publish("analyzer", event),
                |step| {
                    let message = message(step).unwrap();
                    (message.exchange, message.retry) = ("cleanapp-retry.report-analyze".into(), Some(9));
                },
            );
        },
        &["retries-bounded"],
    ),
    (
        "the event was never published",
        |e| {
            forget(e, |event| {
                publish("analyzer", event) || delivery("renderer", event)
            });
            rendered(e).points.retain(|seq| *seq != REPORT);
            rendered(e).physical -= 1;
        },
        &["atomic", "no-loss"],
    ),
    (
        "the event came before its rows",
        |e| {
            events(e, |events| {
                let from = events
                    .iter()
                    .position(|event| publish("analyzer", event))
                    .unwrap();
                let mut event = events.remove(from);
                let to = events
                    .iter()
                    .position(|event| delivery("analyzer", event))
                    .unwrap();
                event.at = events[to].at;
                events.insert(to + 1, event);
            });
        },
        &["atomic"],
    ),
    (
        "the event was never confirmed",
        |e| {
            forget(e, |event| {
                matches!(&event.step, Step::Confirm { covers, .. } if covers[0].key == Some(REPORT.into()))
                    && of("analyzer", event)
            });
        },
        &["publisher-honest"],
    ),
    (
        "the event says something else",
        |e| {
            steps(e, |step| {
                if let Step::Publish { message, .. } = step
                    && let Some(body) = &mut message.body
                {
                    *body = body.replace("\"severity_level\":0.4", "\"severity_level\":0.5");
                }
            });
        },
        &["event-fidelity"],
    ),
    (
        "the event is no JSON",
        |e| {
            steps(e, |step| {
                if let Some(body) = message(step).and_then(|message| message.body.as_mut()) {
                    body.truncate(40);
                }
            });
        },
        &["event-fidelity"],
    ),
    (
        "events were not recorded",
        |e| {
            steps(e, |step| {
                if let Some(message) = message(step) {
                    message.body = None;
                }
            });
        },
        &["not-vacuous"],
    ),
    (
        "the message never came to the broker",
        |e| forget(e, |event| publish("harness", event)),
        &["no-phantoms"],
    ),
    (
        "an event is transient",
        |e| {
            steps(e, |step| {
                if let Step::Publish { message, .. } = step {
                    message.persistent = message.routing_key != "report.analysed";
                }
            });
        },
        &["durable-topology"],
    ),
    (
        "a queue is transient",
        |e| {
            steps(e, |step| {
                if let Step::Declare { durable, .. } = step {
                    *durable = false;
                }
            });
        },
        &["durable-topology"],
    ),
    (
        "a service ended by itself",
        |e| {
            say(
                e,
                Step::Container {
                    name: "tags".into(),
                    change: "exited".into(),
                    exit: Some(1),
                },
            );
        },
        &["process-alive"],
    ),
    (
        "a service is said to be well and has lost its broker",
        |e| {
            repeat(e, |event| well("tags", event), |_| {});
            for conn in [1, 2] {
                let lost = |step: &mut Step| {
                    *step = Step::Disconnect {
                        to: Backend::Broker,
                        by: Side::Server,
                        how: Ending::Rst,
                    };
                };
                repeat(e, |event| event.conn == Some(conn), lost);
            }
            say(e, Step::Note { text: "later".into() });
            wait(e, |event| event.step.kind() == StepKind::Note, 60_000);
        },
        &["health-truth"],
    ),
    (
        "a service ended with an error when it was stopped",
        |e| {
            say(
                e,
                Step::Container {
                    name: "tags".into(),
                    change: "stopped".into(),
                    exit: Some(1),
                },
            );
        },
        &["graceful-stop"],
    ),
    (
        "the canary never came",
        |e| forget(e, |event| event.step.kind() == StepKind::Recovered),
        &["recovered"],
    ),
    (
        "the canary came late",
        |e| {
            steps(e, |step| {
                if let Step::Recovered { ms, .. } = step {
                    *ms = 30_001;
                }
            });
        },
        &["recovered"],
    ),
    (
        "a service stood still while another one was frozen",
        |e| {
            let target = Target::Service("analyzer".into());
            let answer = |event: &Event| ack("tags", event);
            disturb(e, FaultKind::Pause { target }, |event| delivery("tags", event));
            wait(e, answer, 20_000);
        },
        &["progress"],
    ),
    (
        "a service dials without waiting",
        |e| {
            for i in 0..100 {
                let dial = |step: &mut Step| *step = dial_failed();
                repeat(e, |event| event.conn == Some(1) && event.chan.is_none(), dial);
                let last = |event: &mut Event| event.conn = Some(1_000 + i);
                events(e, |events| {
                    events
                        .iter_mut()
                        .rev()
                        .find(|event| event.step == dial_failed())
                        .into_iter()
                        .for_each(last);
                });
            }
        },
        &["reconnects-bounded"],
    ),
    (
        "a link could not be read",
        |e| {
            say(
                e,
                Step::Opaque {
                    to: Backend::Broker,
                    why: "TLS".into(),
                },
            );
        },
        &["not-vacuous"],
    ),
    (
        "a frame is still held",
        |e| {
            say(
                e,
                Step::Held {
                    fault: "f".into(),
                    event: 1,
                },
            );
        },
        &["not-vacuous"],
    ),
];

/// The service says that it is well.
fn well(svc: &str, event: &Event) -> bool {
    matches!(event.step, Step::Health { status: 200, .. }) && of(svc, event)
}

fn dial_failed() -> Step {
    Step::DialFailed {
        to: Backend::Broker,
        error: "connection refused".into(),
    }
}

fn commit(event: &Event) -> bool {
    let verb = match &event.step {
        Step::Statement { verb, .. } | Step::DbOk { verb, .. } => *verb,
        _ => return false,
    };
    verb == Verb::Commit
}

/// The acknowledgement comes right after its delivery.
fn early(events: &mut Vec<Event>, svc: &str) {
    let from = events.iter().position(|event| ack(svc, event)).unwrap();
    let mut event = events.remove(from);
    let to = events.iter().position(|event| delivery(svc, event)).unwrap();
    event.at = events[to].at;
    events.insert(to + 1, event);
}

/// Gives a delivery or its acknowledgement another tag.
fn tag(step: &mut Step, new: u64) {
    match step {
        Step::Deliver { tag, .. } => *tag = new,
        Step::Ack { covers } => {
            let queue: Option<Name> = covers[0].queue.clone();
            let key = covers[0].key.clone();
            *covers = vec![Covered { tag: new, key, queue }];
        }
        _ => {}
    }
}
