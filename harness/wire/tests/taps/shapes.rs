//! Links that carry bytes badly: late, slowly, in pieces; and in order.

use std::io;
use std::time::Duration;

use harness_model::event::{Ending, Event, Fate, Side, Step, StepKind};
use harness_model::fault::{Cut, Pattern, Shape, Trigger};
use harness_model::seed::Seed;
use harness_wire::recorder::Recorder;
use harness_wire::tap::Tap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::support::{backend, pair, read_lines, recorded, soon, tap};

/// Longer than any test: what waits for it waits until the shape ends.
const FOREVER: Shape = Shape {
    towards: None,
    latency_ms: 3_600_000,
    jitter_ms: 0,
    bytes_per_second: 0,
    slice: 0,
};

struct Link {
    listener: TcpListener,
    recorder: Recorder,
    tap: Tap,
}

impl Link {
    async fn new() -> Self {
        let (listener, addr) = backend().await;
        let recorder = Recorder::in_memory();
        let tap = tap(addr, &recorder);
        Self {
            listener,
            recorder,
            tap,
        }
    }

    async fn connect(&self) -> (TcpStream, TcpStream) {
        pair(&self.listener, self.tap.addr()).await
    }

    /// Says a line, and waits until the tap has taken it.
    async fn say(&self, client: &mut TcpStream, line: &str) {
        client.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        recorded(
            &self.recorder,
            line,
            |step| matches!(step, Step::Publish { message, .. } if message.key.as_deref() == Some(line)),
        )
        .await;
    }
}

fn nothing_to_read(stream: &TcpStream) -> bool {
    stream
        .try_read(&mut [0; 64])
        .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn what_is_late_is_taken_meanwhile_and_comes_in_order_when_the_shape_ends() {
    let link = Link::new().await;
    let (mut client, mut server) = link.connect().await;
    let shaping = link.tap.shape(FOREVER, Seed(1));
    for line in ["a", "b", "c"] {
        link.say(&mut client, line).await;
    }
    let (mut later, mut later_server) = link.connect().await;
    link.say(&mut later, "later").await;
    server.write_all(b"answer\n").await.unwrap();
    assert!(nothing_to_read(&server) && nothing_to_read(&later_server));
    assert_eq!(shaping.count(), 0, "nothing was sent on");
    drop(shaping);
    assert_eq!(read_lines(&mut server, 3).await, "a b c");
    assert_eq!(read_lines(&mut later_server, 1).await, "later");
    assert_eq!(read_lines(&mut client, 1).await, "answer");
    client.write_all(b"d\n").await.unwrap();
    assert_eq!(read_lines(&mut server, 1).await, "d");
    link.tap.close().await;
}

#[tokio::test]
async fn each_direction_is_late() {
    let link = Link::new().await;
    let shape = Shape {
        latency_ms: 30,
        jitter_ms: 5,
        ..Shape::default()
    };
    let shaping = link.tap.shape(shape, Seed(1));
    let (mut client, mut server) = link.connect().await;
    let begin = Instant::now();
    client.write_all(b"question\n").await.unwrap();
    assert_eq!(read_lines(&mut server, 1).await, "question");
    let there = begin.elapsed();
    server.write_all(b"answer\n").await.unwrap();
    assert_eq!(read_lines(&mut client, 1).await, "answer");
    let back = begin.elapsed();
    let least = Duration::from_millis(30);
    assert!(there >= least && back >= 2 * least, "{there:?}, {back:?}");
    assert_eq!(shaping.count(), 2);
    link.tap.close().await;
}

#[tokio::test]
async fn no_more_bytes_pass_than_the_bandwidth_allows() {
    let link = Link::new().await;
    let shape = Shape {
        bytes_per_second: 20_000,
        ..Shape::default()
    };
    let shaping = link.tap.shape(shape, Seed(1));
    let (mut client, mut server) = link.connect().await;
    let lines = "0123456789abcde\n".repeat(250);
    let begin = Instant::now();
    client.write_all(lines.as_bytes()).await.unwrap();
    let mut got = vec![0; lines.len()];
    soon("all lines", server.read_exact(&mut got)).await.unwrap();
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(200), "4000 bytes in {took:?}");
    assert_eq!(got, lines.as_bytes());
    assert!(shaping.count() >= 4, "{}", shaping.count());
    link.tap.close().await;
}

#[tokio::test]
async fn slices_are_pieces_of_their_own_and_nothing_is_lost() {
    let link = Link::new().await;
    let shape = Shape {
        slice: 4,
        ..Shape::default()
    };
    let shaping = link.tap.shape(shape, Seed(1));
    let (mut client, mut server) = link.connect().await;
    client.write_all(b"abc\n").await.unwrap();
    assert_eq!(read_lines(&mut server, 1).await, "abc");
    assert_eq!(shaping.count(), 0, "it was small enough");
    client.write_all(b"0123456789\n").await.unwrap();
    assert_eq!(read_lines(&mut server, 1).await, "0123456789");
    assert_eq!(shaping.count(), 3);
    server.write_all(b"12345\n").await.unwrap();
    assert_eq!(read_lines(&mut client, 1).await, "12345");
    assert_eq!(shaping.count(), 5);
    link.tap.close().await;
}

#[tokio::test]
async fn the_end_of_a_stream_keeps_its_place() {
    let link = Link::new().await;
    let shaping = link.tap.shape(FOREVER, Seed(1));
    let (mut client, mut server) = link.connect().await;
    link.say(&mut client, "a").await;
    client.shutdown().await.unwrap();
    let fin = |step: &Step| {
        matches!(
            step,
            Step::Disconnect {
                by: Side::Client,
                how: Ending::Fin,
                ..
            }
        )
    };
    recorded(&link.recorder, "the end", fin).await;
    assert!(nothing_to_read(&server));
    drop(shaping);
    let mut all = String::new();
    soon("the end", server.read_to_string(&mut all)).await.unwrap();
    assert_eq!(all, "a\n");
    // The other direction is still open.
    server.write_all(b"answer\n").await.unwrap();
    assert_eq!(read_lines(&mut client, 1).await, "answer");
    link.tap.close().await;
}

#[tokio::test]
async fn a_reset_does_not_wait_for_what_is_under_way() {
    for who in ["tap", "client"] {
        let link = Link::new().await;
        let _shaping = link.tap.shape(FOREVER, Seed(1));
        let (mut client, mut server) = link.connect().await;
        link.say(&mut client, "a").await;
        if who == "tap" {
            assert_eq!(link.tap.cut(Cut::Rst).await, 1);
        } else {
            client.set_zero_linger().unwrap();
            drop(client);
        }
        let read = soon("the reset", server.read(&mut [0; 8])).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "{who}");
        link.tap.close().await;
    }
}

#[tokio::test]
async fn nothing_is_delivered_while_the_link_is_half_open() {
    let link = Link::new().await;
    let shaping = link.tap.shape(FOREVER, Seed(1));
    let (mut client, mut server) = link.connect().await;
    link.say(&mut client, "a").await;
    assert_eq!(link.tap.cut(Cut::HalfOpen).await, 1);
    drop(shaping);
    client.write_all(b"b\n").await.unwrap();
    // A command that the tap has obeyed since shows that it had its turn.
    assert_eq!(link.tap.cut(Cut::HalfOpen).await, 1);
    assert!(nothing_to_read(&server));
    link.tap.heal().await;
    assert_eq!(read_lines(&mut server, 2).await, "a b");
    link.tap.close().await;
}

#[tokio::test]
async fn what_is_before_a_held_frame_arrives_while_it_is_held() {
    let link = Link::new().await;
    let shape = Shape {
        latency_ms: 2,
        ..Shape::default()
    };
    let _shaping = link.tap.shape(shape, Seed(1));
    let (mut client, mut server) = link.connect().await;
    let gate = link
        .recorder
        .arm("f".into(), Trigger::nth(3, Pattern::new(StepKind::Publish)));
    client.write_all(b"a\nb\nc\nd\n").await.unwrap();
    soon("firing", gate.fired()).await;
    assert_eq!(read_lines(&mut server, 2).await, "a b");
    let published = |events: &[Event]| {
        let publish = |event: &&Event| matches!(event.step, Step::Publish { .. });
        events.iter().filter(publish).count()
    };
    assert_eq!((gate.holding(), link.recorder.with(published)), (1, 3));
    gate.release(Fate::Dropped);
    assert_eq!(read_lines(&mut server, 1).await, "d");
    link.tap.close().await;
}
