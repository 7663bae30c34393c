use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness_model::event::{Covered, Fate, FaultChange, Step, StepKind};
use harness_model::fault::{MessageState, On, Pattern, Trigger};
use harness_model::ledger::Ledger;

use super::{Link, Recorder, Verdict};
use crate::clock::Clock;
use crate::codec::Unit;

fn note(text: &str) -> Step {
    Step::Note { text: text.into() }
}

fn covered(tag: u64) -> Covered {
    Covered {
        tag,
        key: Some("7".into()),
        queue: None,
    }
}

#[test]
fn the_file_is_what_is_in_memory_whoever_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    // A clock that goes back now and then: the ledger's does not.
    let ticks = AtomicU64::new(1000);
    let clock = Clock::from_fn(move || {
        let tick = ticks.fetch_add(7, Ordering::Relaxed);
        if tick.is_multiple_of(5) { tick - 500 } else { tick }
    });
    let recorder = Recorder::create(&path, clock).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let recorder = &recorder;
            scope.spawn(move || {
                let link = Link {
                    svc: "svc".into(),
                    conn: thread,
                };
                for i in 0..200 {
                    let unit = |step| Unit {
                        bytes: Vec::new(),
                        chan: Some(1),
                        request: None,
                        step: Some(step),
                    };
                    let mut units = [unit(note("a")), unit(note("b"))];
                    assert_eq!(recorder.record(&link, &mut units).units, 2);
                    recorder.log(Some(&"harness".into()), note(&i.to_string()));
                }
            });
        }
    });
    let file = std::fs::File::open(&path).unwrap();
    let read = Ledger::read(std::io::BufReader::new(file)).unwrap();
    assert_eq!((read.events().len(), recorder.len()), (4 * 200 * 3, 4 * 200 * 3));
    recorder.with(|events| assert_eq!(events, read.events()));
    assert_eq!((recorder.since(2399).len(), recorder.since(9999).len()), (1, 0));
    assert_eq!(recorder.failure(), None);
}

#[test]
fn a_full_disk_is_remembered_and_recording_goes_on() {
    let recorder = Recorder::create("/dev/full".as_ref(), Clock::monotonic()).unwrap();
    assert_eq!((recorder.failure(), recorder.is_empty()), (None, true));
    recorder.log(None, note("lost"));
    recorder.log(None, note("kept"));
    assert!(
        recorder
            .failure()
            .is_some_and(|why| why.contains("No space left"))
    );
    assert_eq!(recorder.len(), 2);
}

#[tokio::test]
async fn past_resolves_when_there_are_more() {
    let recorder = Recorder::in_memory();
    let writer = recorder.clone();
    let waiter = tokio::spawn(async move {
        recorder.past(2).await;
        recorder.len()
    });
    for text in ["one", "two", "three"] {
        writer.log(None, note(text));
        tokio::task::yield_now().await;
    }
    let len = tokio::time::timeout(Duration::from_secs(10), waiter)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(len, 3);
}

#[test]
fn units_behind_a_held_one_are_not_recorded_yet() {
    let recorder = Arc::new(Recorder::in_memory());
    let gate = recorder.arm("f".into(), Trigger::nth(3, Pattern::new(StepKind::Ack)));
    let link = Link {
        svc: "svc".into(),
        conn: 1,
    };
    let ack = |tags: &[u64]| Step::Ack {
        covers: tags.iter().map(|&tag| covered(tag)).collect(),
    };
    let unit = |tags: &[u64]| Unit {
        bytes: Vec::new(),
        chan: None,
        request: None,
        step: Some(ack(tags)),
    };
    // The second unit counts for three, and the count passes three in it.
    let mut units = [unit(&[1]), unit(&[2, 3, 4]), unit(&[5])];
    let recorded = recorder.record(&link, &mut units);
    assert_eq!(recorded.units, 2);
    let Verdict::Hold(hold) = recorded.verdict else {
        panic!("{:?}", recorded.verdict)
    };
    let fired = Step::Fault {
        id: "f".into(),
        change: FaultChange::Fired { by: 3 },
    };
    let steps: Vec<_> = recorder.since(2).into_iter().map(|event| event.step).collect();
    assert_eq!(
        steps,
        [
            ack(&[2, 3, 4]),
            Step::Held {
                fault: "f".into(),
                event: 3
            },
            fired
        ]
    );

    // The gate is closed: the next match is held as well, whoever it is.
    let other = Link {
        svc: "other".into(),
        conn: 2,
    };
    let also = recorder.record(&other, &mut [unit(&[6])]);
    assert!(matches!(also.verdict, Verdict::Hold(_)));
    assert_eq!((gate.count(), gate.holding()), (5, 2));
    drop(hold);
    assert_eq!(gate.holding(), 1);
    gate.release(Fate::Dropped);
    let fates: Vec<_> = recorder
        .since(0)
        .into_iter()
        .filter_map(|event| match event.step {
            Step::Released { event, fate, .. } => Some((event, fate)),
            _ => None,
        })
        .collect();
    assert_eq!(
        fates,
        [(3, Fate::Cut), (6, Fate::Forwarded)],
        "only what fired meets the fate"
    );

    // The gate is open, and stays open.
    assert!(matches!(
        recorder.record(&link, &mut units[2..]).verdict,
        Verdict::Pass
    ));
}

#[test]
fn a_bar_holds_without_being_told_of_as_a_fault() {
    let recorder = Arc::new(Recorder::in_memory());
    let bar = recorder.bar("b".into(), Trigger::nth(1, Pattern::new(StepKind::Ack)));
    let link = Link {
        svc: "svc".into(),
        conn: 1,
    };
    let mut units = [Unit {
        bytes: Vec::new(),
        chan: None,
        request: None,
        step: Some(Step::Ack {
            covers: vec![covered(1)],
        }),
    }];
    let held = recorder.record(&link, &mut units);
    assert!(matches!(held.verdict, Verdict::Hold(_)));
    bar.release(Fate::Forwarded);
    let kinds: Vec<_> = recorder.since(0).iter().map(|event| event.step.kind()).collect();
    assert_eq!(kinds, [StepKind::Ack, StepKind::Held, StepKind::Released]);
}

#[tokio::test]
async fn a_gate_that_lets_its_frame_go_first_says_so_only_then() {
    let recorder = Recorder::in_memory();
    let link = Link {
        svc: "svc".into(),
        conn: 1,
    };
    let on = On::State {
        state: MessageState::A1,
        by: "svc".into(),
        key: None,
    };
    let (nth, after) = (1, None);
    let gate = recorder.arm("f".into(), Trigger { nth, on, after });
    let covers = vec![covered(1)];
    let mut units = [Unit {
        bytes: Vec::new(),
        chan: None,
        request: None,
        step: Some(Step::Ack { covers }),
    }];
    let Verdict::Hold(mut hold) = recorder.record(&link, &mut units).verdict else {
        panic!("nothing is held")
    };
    assert!(hold.goes_first());
    let fired = async |gate: &super::Gate| {
        tokio::select! {
            biased;
            event = gate.fired() => Some(event),
            () = std::future::ready(()) => None,
        }
    };
    assert_eq!(fired(&gate).await, None, "it has not been sent yet");
    tokio::select! {
        biased;
        _ = hold.wait() => panic!("nobody has released it"),
        event = gate.fired() => assert_eq!(event, 2),
    }
}
