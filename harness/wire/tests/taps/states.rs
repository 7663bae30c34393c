//! Triggers that wait for the state of a message: what goes on before the fault, what is held, and what was before.

use std::io;

use harness_model::event::{Covered, Event, Fate, FaultChange, Message, Side, Step, StepKind, Verb};
use harness_model::fault::{MessageState, On, Pattern, Trigger};
use harness_wire::codec::Direction;
use harness_wire::recorder::{Gate, Recorder};
use harness_wire::tap::Tap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{backend, pair, read_lines, soon, tap_of, words};

/// `ack 7`, `nack 7`, `deliver 7`, `begin`, `insert 7`, `commit`, and of the server `ok` or, within a transaction, `ok in tx`.
fn meaning(direction: Direction, line: &str) -> Option<Step> {
    let (word, key) = line.split_once(' ').unwrap_or((line, ""));
    let covers = vec![Covered {
        tag: key.parse().unwrap_or(0),
        key: Some(key.into()),
        queue: None,
    }];
    let statement = |verb, keys| Step::Statement {
        verb,
        sql: line.into(),
        prepared: false,
        keys,
    };
    Some(match (direction, word) {
        (Direction::ToServer, "ack") => Step::Ack { covers },
        (Direction::ToServer, "nack") => Step::Nack {
            requeue: false,
            covers,
        },
        (Direction::ToServer, "begin") => statement(Verb::Begin, Vec::new()),
        (Direction::ToServer, "insert") => statement(Verb::Insert, vec![key.into()]),
        (Direction::ToServer, "commit") => statement(Verb::Commit, Vec::new()),
        (Direction::ToClient, "deliver") => Step::Deliver {
            tag: key.parse().unwrap(),
            consumer: "c".into(),
            queue: None,
            redelivered: false,
            message: Message {
                key: Some(key.into()),
                ..Message::default()
            },
        },
        (Direction::ToClient, "ok") => Step::DbOk {
            verb: Verb::Other,
            rows: 0,
            in_tx: !key.is_empty(),
        },
        _ => return None,
    })
}

struct Link {
    listener: TcpListener,
    recorder: Recorder,
    tap: Tap,
}

impl Link {
    async fn new() -> Self {
        let (listener, addr) = backend().await;
        let recorder = Recorder::in_memory();
        let tap = tap_of(words(meaning), addr, &recorder);
        Self {
            listener,
            recorder,
            tap,
        }
    }

    async fn connect(&self) -> (TcpStream, TcpStream) {
        pair(&self.listener, self.tap.addr()).await
    }

    fn arm(&self, id: &str, nth: u64, state: MessageState) -> Gate {
        let on = On::State {
            state,
            by: "svc".into(),
            key: None,
        };
        let after = None;
        self.recorder.arm(id.into(), Trigger { nth, on, after })
    }

    /// The ledger's story in words.
    fn story(&self) -> Vec<String> {
        let word = |event: &Event| match &event.step {
            Step::Ack { covers } => format!("ack {}", covers[0].tag),
            Step::Nack { covers, .. } => format!("nack {}", covers[0].tag),
            step => step.kind().to_string(),
        };
        let events = self.recorder.since(0);
        let at = |n: &u64| word(&events[usize::try_from(*n - 1).unwrap()]);
        let words = events.iter().filter_map(|event| match &event.step {
            Step::Fault {
                id,
                change: FaultChange::Fired { by },
            } => Some(format!("{id} fired by {}", at(by))),
            Step::Held { fault, event } => Some(format!("{fault} holds {}", at(event))),
            Step::Released { fault, event, fate } => Some(format!("{fault} releases {} {fate:?}", at(event))),
            Step::Disconnect {
                by: Side::Tap, how, ..
            } => Some(format!("tap {how:?}")),
            Step::Connect { .. } | Step::Fault { .. } => None,
            _ => Some(word(event)),
        });
        words.collect()
    }
}

#[tokio::test]
async fn a_forwarded_frame_goes_on_and_stops_what_is_behind_it() {
    for (state, word) in [(MessageState::A1, "ack"), (MessageState::X0, "nack")] {
        let link = Link::new().await;
        let gate = link.arm("f", 2, state);
        let (mut client, mut server) = link.connect().await;
        let (mut other, mut other_server) = link.connect().await;
        let said = format!("{word} 1\n{word} 2\n{word} 3\nmore\n");
        client.write_all(said.as_bytes()).await.unwrap();
        soon("firing", gate.fired()).await;
        assert_eq!(
            read_lines(&mut server, 2).await,
            format!("{word} 1 {word} 2"),
            "the frame that fires goes on"
        );
        server.write_all(b"deliver 4\n").await.unwrap();
        assert_eq!(read_lines(&mut client, 1).await, "deliver 4");
        // A match on another connection is past the second, and is held itself.
        other.write_all(format!("{word} 5\n").as_bytes()).await.unwrap();
        soon("the other's frame", async {
            loop {
                let len = link.recorder.len();
                if gate.holding() == 2 {
                    return;
                }
                link.recorder.past(len).await;
            }
        })
        .await;
        for stream in [&server, &other_server] {
            let read = stream.try_read(&mut [0; 64]).unwrap_err();
            assert_eq!(read.kind(), io::ErrorKind::WouldBlock);
        }
        // Any fate but the end of the connection is too late for what has gone on.
        gate.release(Fate::Dropped);
        assert_eq!(read_lines(&mut server, 2).await, format!("{word} 3 more"));
        assert_eq!(read_lines(&mut other_server, 1).await, format!("{word} 5"));
        let fired = format!("{word} 2");
        assert_eq!(
            link.story()[..4],
            [
                format!("{word} 1"),
                fired.clone(),
                format!("f holds {fired}"),
                format!("f fired by {fired}"),
            ]
        );
        let released = format!("f releases {fired} Forwarded");
        assert!(link.story().contains(&released), "{:?}", link.story());
        link.tap.close().await;
    }
}

#[tokio::test]
async fn a_forwarded_frame_is_sent_before_its_connection_is_cut() {
    let link = Link::new().await;
    let gate = link.arm("f", 1, MessageState::A1);
    let (mut client, mut server) = link.connect().await;
    client.write_all(b"ack 1\nack 2\n").await.unwrap();
    soon("firing", gate.fired()).await;
    assert_eq!(read_lines(&mut server, 1).await, "ack 1");
    gate.release(Fate::Cut);
    for stream in [&mut client, &mut server] {
        assert!(soon("the reset", stream.read(&mut [0; 8])).await.is_err());
    }
    assert_eq!(
        link.story(),
        [
            "ack 1",
            "f holds ack 1",
            "f fired by ack 1",
            "f releases ack 1 Cut",
            "tap Rst"
        ]
    );
    link.tap.close().await;
}

#[tokio::test]
async fn a_gate_that_wants_the_frame_held_wins() {
    for (first, released) in [("f", Fate::Dropped), ("g", Fate::Forwarded)] {
        let link = Link::new().await;
        let lets_go = link.arm("f", 1, MessageState::A1);
        let holds = link
            .recorder
            .arm("g".into(), Trigger::nth(1, Pattern::new(StepKind::Ack)));
        let (mut client, mut server) = link.connect().await;
        client.write_all(b"ack 1\nack 2\n").await.unwrap();
        soon("firing", lets_go.fired()).await;
        soon("firing", holds.fired()).await;
        // Whoever is released first, the frame waits for the other.
        let received = if released == Fate::Dropped {
            "ack 2"
        } else {
            "ack 1 ack 2"
        };
        if first == "f" {
            lets_go.release(Fate::Forwarded);
            assert_eq!(
                server.try_read(&mut [0; 64]).unwrap_err().kind(),
                io::ErrorKind::WouldBlock
            );
            assert_eq!(holds.holding(), 1);
            holds.release(released);
        } else {
            holds.release(released);
            assert_eq!(lets_go.holding(), 1);
            lets_go.release(Fate::Forwarded);
        }
        let count = received.split(' ').count() / 2;
        assert_eq!(read_lines(&mut server, count).await, received);
        link.tap.close().await;
    }
}

#[tokio::test]
async fn the_answer_to_a_commit_is_held_or_goes_on() {
    for (state, received) in [(MessageState::C1, 1), (MessageState::C2, 2)] {
        let link = Link::new().await;
        let gate = link.arm("f", 1, state);
        let (mut client, mut server) = link.connect().await;
        exchange(&mut client, &mut server, "begin", "ok in tx").await;
        exchange(&mut client, &mut server, "insert 7", "ok in tx").await;
        client.write_all(b"commit\n").await.unwrap();
        assert_eq!(read_lines(&mut server, 1).await, "commit");
        server.write_all(b"ok\nbehind\n").await.unwrap();
        soon("firing", gate.fired()).await;
        if received == 2 {
            assert_eq!(read_lines(&mut client, 1).await, "ok");
        }
        assert_eq!(
            client.try_read(&mut [0; 64]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        gate.release(Fate::Forwarded);
        let rest = if received == 2 { "behind" } else { "ok behind" };
        assert_eq!(read_lines(&mut client, rest.split(' ').count()).await, rest);
        link.tap.close().await;
    }
}

/// Says and answers so many lines, so that all of it is in the ledger.
async fn exchange(client: &mut TcpStream, server: &mut TcpStream, said: &str, answered: &str) {
    client.write_all(format!("{said}\n").as_bytes()).await.unwrap();
    assert_eq!(read_lines(server, 1).await, said);
    server
        .write_all(format!("{answered}\n").as_bytes())
        .await
        .unwrap();
    assert_eq!(read_lines(client, 1).await, answered);
}

#[tokio::test]
async fn a_trigger_that_is_armed_late_knows_what_was_before() {
    let link = Link::new().await;
    let (mut client, mut server) = link.connect().await;
    let (mut other, mut other_server) = link.connect().await;
    exchange(&mut client, &mut server, "begin", "ok in tx").await;
    exchange(&mut client, &mut server, "insert 7", "ok in tx").await;
    exchange(&mut other, &mut other_server, "begin", "ok in tx").await;
    let gate = link.arm("f", 1, MessageState::C0);
    // This session has written nothing about a report, so its commit is none of the gate's.
    exchange(&mut other, &mut other_server, "commit", "ok").await;
    assert_eq!(gate.count(), 0);
    client.write_all(b"commit\n").await.unwrap();
    soon("firing", gate.fired()).await;
    assert_eq!(gate.holding(), 1);
    gate.release(Fate::Forwarded);
    assert_eq!(read_lines(&mut server, 1).await, "commit");
    link.tap.close().await;
}

#[tokio::test]
async fn a_level_counts_what_was_delivered_before_arming() {
    let link = Link::new().await;
    let (mut client, mut server) = link.connect().await;
    server.write_all(b"deliver 1\ndeliver 2\n").await.unwrap();
    assert_eq!(read_lines(&mut client, 2).await, "deliver 1 deliver 2");
    client.write_all(b"ack 1\n").await.unwrap();
    assert_eq!(read_lines(&mut server, 1).await, "ack 1");
    let on = On::Unacked {
        unacked: 3,
        by: "svc".into(),
    };
    let (nth, after) = (1, None);
    let gate = link.recorder.arm("f".into(), Trigger { nth, on, after });
    server.write_all(b"deliver 3\ndeliver 4\n").await.unwrap();
    // Two are unacknowledged with the first of them, three with the second.
    soon("firing", gate.fired()).await;
    assert_eq!(read_lines(&mut client, 1).await, "deliver 3");
    gate.release(Fate::Forwarded);
    assert_eq!(read_lines(&mut client, 1).await, "deliver 4");
    link.tap.close().await;
}
