//! Triggers and rules: exactly the nth frame is held, and what is done with it.

use std::sync::Arc;
use std::time::Duration;

use harness_model::event::{Ending, Event, Fate, FaultChange, Side, Step, StepKind};
use harness_model::fault::{Cut, Pattern, Trigger};
use harness_wire::recorder::{Action, Recorder, Rule};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::support::{backend, pair, read_lines as lines, recorded, soon, tap};

fn nth(nth: u64) -> Trigger {
    Trigger::nth(nth, Pattern::new(StepKind::Publish))
}

/// The ledger's story about faults and messages, in words.
fn story(events: &[Event]) -> Vec<String> {
    let key = |n: &u64| match &events[usize::try_from(*n - 1).unwrap()].step {
        Step::Publish { message, .. } => message.key.clone().unwrap().to_string(),
        other => format!("{:?}", other.kind()),
    };
    let words = events.iter().filter_map(|event| match &event.step {
        Step::Publish { message, .. } => Some(format!("{}", message.key.as_ref().unwrap())),
        Step::Fault {
            id,
            change: FaultChange::Armed,
        } => Some(format!("{id} armed")),
        Step::Fault {
            id,
            change: FaultChange::Fired { by },
        } => Some(format!("{id} fired by {}", key(by))),
        Step::Held { fault, event } => Some(format!("{fault} holds {}", key(event))),
        Step::Released { fault, event, fate } => Some(format!("{fault} releases {} {fate:?}", key(event))),
        Step::Disconnect {
            by: Side::Tap, how, ..
        } => Some(format!("tap {how:?}")),
        _ => None,
    });
    words.collect()
}

#[tokio::test]
async fn each_fate_does_what_it_says() {
    for (fate, received) in [
        (Fate::Forwarded, "a b c d e"),
        (Fate::Dropped, "a b d e"),
        (Fate::Duplicated, "a b c c d e"),
        (Fate::Reordered, "a b d c e"),
    ] {
        let (listener, addr) = backend().await;
        let recorder = Recorder::in_memory();
        let tap = tap(addr, &recorder);
        let gate = recorder.arm("f".into(), nth(3));
        let (mut client, mut server) = pair(&listener, tap.addr()).await;
        client.write_all(b"a\nb\nc\nd\ne\n").await.unwrap();
        let by = soon("firing", gate.fired()).await;
        assert_eq!(
            lines(&mut server, 2).await,
            "a b",
            "what is before the held line goes on"
        );
        // The other direction goes on, too.
        server.write_all(b"meanwhile\n").await.unwrap();
        assert_eq!(lines(&mut client, 1).await, "meanwhile");
        assert_eq!((gate.count(), gate.holding()), (3, 1));
        gate.release(fate);
        let rest = received.split(' ').count() - 2;
        assert_eq!(format!("a b {}", lines(&mut server, rest).await), received);
        let told = story(&recorder.since(0));
        let released = format!("f releases c {fate:?}");
        assert_eq!(
            told,
            [
                "f armed",
                "a",
                "b",
                "c",
                "f holds c",
                "f fired by c",
                &released,
                "d",
                "e"
            ]
        );
        assert!(recorder.with(|events| matches!(
            events[usize::try_from(by).unwrap() - 1].step,
            Step::Publish { .. }
        )));
        tap.close().await;
    }
}

#[tokio::test]
async fn a_reordered_frame_with_nothing_behind_it_is_sent_before_the_end() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let gate = recorder.arm("f".into(), nth(1));
    let (mut client, mut server) = pair(&listener, tap.addr()).await;
    client.write_all(b"a\n").await.unwrap();
    client.shutdown().await.unwrap();
    soon("firing", gate.fired()).await;
    gate.release(Fate::Reordered);
    let mut all = String::new();
    soon("the end", server.read_to_string(&mut all)).await.unwrap();
    assert_eq!(all, "a\n");
    tap.close().await;
}

#[tokio::test]
async fn a_frame_can_take_its_connection_with_it() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let gate = recorder.arm("f".into(), nth(2));
    let (mut client, mut server) = pair(&listener, tap.addr()).await;
    client.write_all(b"a\nb\nc\n").await.unwrap();
    soon("firing", gate.fired()).await;
    assert_eq!(lines(&mut server, 1).await, "a");
    gate.release(Fate::Cut);
    for stream in [&mut client, &mut server] {
        assert!(soon("the reset", stream.read(&mut [0; 8])).await.is_err());
    }
    assert_eq!(
        story(&recorder.since(0)),
        [
            "f armed",
            "a",
            "b",
            "f holds b",
            "f fired by b",
            "f releases b Cut",
            "tap Rst"
        ]
    );
    tap.close().await;
}

#[tokio::test]
async fn a_held_frame_is_lost_with_its_connection() {
    let reset = |stream: TcpStream| stream.set_zero_linger().unwrap();
    for who in [
        "client resets",
        "server resets",
        "server ends",
        "tap is cut",
        "tap is dropped",
    ] {
        let (listener, addr) = backend().await;
        let recorder = Recorder::in_memory();
        let tap = tap(addr, &recorder);
        let gate = recorder.arm("f".into(), nth(2));
        let (mut client, mut server) = pair(&listener, tap.addr()).await;
        client.write_all(b"a\nb\nc\n").await.unwrap();
        soon("firing", gate.fired()).await;
        assert_eq!(lines(&mut server, 1).await, "a");
        let (mut client, mut server, mut tap) = (Some(client), Some(server), Some(tap));
        match who {
            "client resets" => reset(client.take().unwrap()),
            "server resets" => reset(server.take().unwrap()),
            "server ends" => drop(server.take()),
            "tap is cut" => assert_eq!(tap.as_ref().unwrap().cut(Cut::Rst).await, 1),
            _ => drop(tap.take()),
        }
        recorded(&recorder, who, |step| {
            matches!(step, Step::Released { fate: Fate::Cut, .. })
        })
        .await;
        assert_eq!(gate.holding(), 0, "{who}");
        gate.release(Fate::Forwarded);
        assert!(
            !story(&recorder.since(0)).contains(&"c".to_owned()),
            "{who}: what was behind never happened"
        );
        drop((client, server, tap));
    }
}

#[tokio::test]
async fn a_gate_that_is_dropped_lets_go() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let gate = recorder.arm("f".into(), nth(1));
    let unfired = recorder.arm("g".into(), nth(3));
    let (mut client, mut server) = pair(&listener, tap.addr()).await;
    client.write_all(b"a\nb\nc\n").await.unwrap();
    soon("firing", gate.fired()).await;
    assert_eq!(unfired.count(), 1);
    drop((gate, unfired));
    assert_eq!(lines(&mut server, 3).await, "a b c");
    tap.close().await;
}

#[tokio::test]
async fn a_frame_that_two_gates_hold_waits_for_both_and_meets_the_gravest_fate() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let (one, two) = (recorder.arm("f".into(), nth(1)), recorder.arm("g".into(), nth(1)));
    let (mut client, mut server) = pair(&listener, tap.addr()).await;
    client.write_all(b"a\nb\n").await.unwrap();
    soon("firing", one.fired()).await;
    soon("firing", two.fired()).await;
    two.release(Fate::Dropped);
    assert_eq!((one.holding(), two.holding()), (1, 0));
    one.release(Fate::Forwarded);
    assert_eq!(lines(&mut server, 1).await, "b");
    tap.close().await;
}

/// The heart of the matter: many connections race, and the backend gets exactly the frames before the nth.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_nth_frame_is_the_nth_whoever_races() {
    const CLIENTS: usize = 12;
    const EACH: usize = 60;
    for round in 0..8 {
        let n = 1 + round * 83;
        let (listener, addr) = backend().await;
        let recorder = Recorder::in_memory();
        let tap = tap(addr, &recorder);
        let gate = recorder.arm("f".into(), nth(n as u64));
        let received = Arc::new(watch::Sender::new(0_usize));
        let counter = Arc::clone(&received);
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let mut lines = BufReader::new(stream).lines();
                    while lines.next_line().await.is_ok_and(|line| line.is_some()) {
                        counter.send_modify(|count| *count += 1);
                    }
                });
            }
        });
        let at = tap.addr();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(at).await.unwrap();
                    for line in 0..EACH {
                        // Sometimes one line in a write, sometimes several.
                        let text = format!("{client}-{line}\n");
                        stream.write_all(text.as_bytes()).await.unwrap();
                        if line % (client + 2) == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    stream
                })
            })
            .collect();
        let mut streams = Vec::new();
        for client in clients {
            streams.push(client.await.unwrap());
        }
        let by = soon("firing", gate.fired()).await;
        let mut seen = received.subscribe();
        soon(
            "everything before the nth",
            seen.wait_for(|count| *count >= n - 1),
        )
        .await
        .unwrap();
        // Clients that had sent everything before the nth came are done; all others wait at a closed gate, so the
        // count cannot change any more.
        soon("all others to be held", async {
            let done = |events: &[Event]| {
                let last = |client| {
                    events.iter().any(|event| {
                        matches!(&event.step, Step::Publish { message, .. }
                    if message.key.as_deref() == Some(&format!("{client}-{}", EACH - 1)))
                    })
                };
                (0..CLIENTS).filter(|&client| last(client)).count()
            };
            loop {
                let len = recorder.len();
                let finished = recorder.with(done);
                if gate.holding() + finished >= CLIENTS {
                    return;
                }
                recorder.past(len).await;
            }
        })
        .await;
        let publish = |event: &&Event| matches!(event.step, Step::Publish { .. });
        let published = recorder.with(|events| events.iter().filter(publish).count());
        assert_eq!(
            (*received.borrow(), published - gate.holding()),
            (n - 1, n - 1),
            "round {round}"
        );
        let until = usize::try_from(by).unwrap();
        let before = recorder.with(|events| events[..until].iter().filter(publish).count());
        assert_eq!(before, n, "the ledger names the nth as the one");
        gate.release(Fate::Dropped);
        soon("the rest", seen.wait_for(|count| *count == CLIENTS * EACH - 1))
            .await
            .unwrap();
        server.abort();
        tap.close().await;
    }
}

#[tokio::test]
async fn a_connect_can_be_held_and_refused() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let gate = recorder.arm("f".into(), Trigger::nth(2, Pattern::new(StepKind::Connect)));
    let (mut first, mut first_server) = pair(&listener, tap.addr()).await;
    first.write_all(b"a\n").await.unwrap();
    assert_eq!(lines(&mut first_server, 1).await, "a");
    let (mut second, _second_server) = pair(&listener, tap.addr()).await;
    soon("firing", gate.fired()).await;
    gate.release(Fate::Cut);
    assert!(soon("the reset", second.read(&mut [0; 8])).await.is_err());
    tap.close().await;
}

#[tokio::test]
async fn what_the_harness_logs_counts_but_is_not_held() {
    let recorder = Recorder::in_memory();
    let gate = recorder.arm("f".into(), Trigger::nth(2, Pattern::new(StepKind::Phase)));
    recorder.log(None, Step::Phase { name: "one".into() });
    let n = recorder.log(None, Step::Phase { name: "two".into() });
    assert_eq!(soon("firing", gate.fired()).await, n);
    assert_eq!((gate.count(), gate.holding()), (2, 0));
}

#[tokio::test]
async fn rules_apply_to_what_matches_until_their_limit_or_end() {
    for (action, limit, received) in [
        (Action::Drop, Some(2), "c d e f"),
        (Action::Duplicate, Some(1), "a a b c d e f"),
        (Action::Reorder, Some(1), "b a c d e f"),
        (Action::Delay(Duration::from_millis(1)), None, "a b c d e f"),
    ] {
        let (listener, addr) = backend().await;
        let recorder = Recorder::in_memory();
        let tap = tap(addr, &recorder);
        let pattern = Pattern::new(StepKind::Publish);
        let standing = recorder.rule(
            "r".into(),
            Rule {
                pattern: pattern.clone(),
                action,
                every: 1,
                limit,
            },
        );
        let (mut client, mut server) = pair(&listener, tap.addr()).await;
        client.write_all(b"a\nb\nc\nd\ne\nf\n").await.unwrap();
        assert_eq!(lines(&mut server, received.split(' ').count()).await, received);
        assert_eq!(standing.count(), limit.unwrap_or(6));
        let released = |events: &[Event]| {
            events
                .iter()
                .filter(|event| matches!(event.step, Step::Released { .. }))
                .count() as u64
        };
        assert_eq!(recorder.with(released), standing.count());
        drop(standing);
        client.write_all(b"g\n").await.unwrap();
        assert_eq!(lines(&mut server, 1).await, "g");
        tap.close().await;
    }
}

#[tokio::test]
async fn what_is_no_statement_is_not_refused() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let rule = |action| Rule {
        pattern: Pattern::new(StepKind::Publish),
        action,
        every: 1,
        limit: None,
    };
    let refusing = recorder.rule("r".into(), rule(Action::Refuse(1213)));
    // Nor does the rule keep it from the next one.
    let doubling = recorder.rule("d".into(), rule(Action::Duplicate));
    let (mut client, mut server) = pair(&listener, tap.addr()).await;
    client.write_all(b"a\n").await.unwrap();
    assert_eq!(lines(&mut server, 2).await, "a a");
    assert_eq!((refusing.count(), doubling.count()), (0, 1));
    tap.close().await;
}

#[tokio::test]
async fn an_opaque_connection_passes_and_is_said_once() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let (mut client, mut server) = pair(&listener, tap.addr()).await;
    client.write_all(b"a\n?\nb\n").await.unwrap();
    assert_eq!(lines(&mut server, 3).await, "a ? b");
    client.write_all(b"?\n").await.unwrap();
    assert_eq!(lines(&mut server, 1).await, "?");
    drop((client, server));
    let fin = |step: &Step| {
        matches!(
            step,
            Step::Disconnect {
                how: Ending::Fin,
                by: Side::Server,
                ..
            }
        )
    };
    recorded(&recorder, "the end", fin).await;
    let opaque = |event: &Event| matches!(&event.step, Step::Opaque { why, .. } if why == "a question");
    assert_eq!(
        recorder.with(|events| events.iter().filter(|event| opaque(event)).count()),
        1
    );
    tap.close().await;
}
