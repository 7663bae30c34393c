//! What peers see of each other is the same with and without a tap in between.

use std::io;
use std::net::SocketAddr;

use harness_model::fault::Shape;
use harness_model::seed::Seed;
use harness_wire::recorder::Recorder;
use harness_wire::tap::{Shaping, Tap};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{backend, pair, soon, tap};

/// What one peer does, in order.
#[derive(Debug, Clone, Copy)]
enum Do {
    /// Sends a line.
    Send(&'static str),
    /// Reads so many bytes, or to the end.
    Read(usize),
    /// Sends so many bytes.
    Flood(usize),
    /// Ends its stream.
    Finish,
    /// Resets the connection.
    Reset,
    /// Tells the other peer to go on.
    Signal,
    /// Waits for the other peer's signal.
    Await,
}

use Do::{Await, Finish, Flood, Read, Reset, Send, Signal};

/// The script of the client, and that of the server.
const SCRIPTS: &[(&str, &[Do], &[Do])] = &[
    (
        "both end",
        &[Send("hello\n"), Finish, Read(99)],
        &[Read(99), Send("bye\n"), Finish],
    ),
    (
        "the client ends first, and the server sends on",
        &[Finish, Read(99)],
        &[Read(99), Send("still here\n"), Send("and here\n"), Finish],
    ),
    (
        "the server ends first, and the client sends on",
        &[Read(99), Send("still here\n"), Finish],
        &[Finish, Read(99)],
    ),
    (
        "the client resets",
        &[Send("hello\n"), Await, Reset],
        &[Read(6), Signal, Read(99)],
    ),
    (
        "the server resets",
        &[Read(6), Signal, Read(99)],
        &[Send("hello\n"), Await, Reset],
    ),
    ("the client resets at once", &[Await, Reset], &[Signal, Read(99)]),
    ("the server resets at once", &[Signal, Read(99)], &[Await, Reset]),
    (
        "the client resets after the server has ended",
        &[Read(99), Reset],
        &[Finish, Read(99)],
    ),
    (
        "a line that does not end",
        &[Send("half a li"), Finish, Read(99)],
        &[Read(99), Finish],
    ),
    (
        "what the codec does not understand",
        &[Send("?\n"), Read(3), Send("\u{16}\u{3}\u{1}"), Finish, Read(99)],
        &[Send("ha"), Read(2), Send("lf\n"), Read(99), Finish],
    ),
    (
        "floods both ways",
        &[Flood(3_000_000), Finish, Read(9_000_000)],
        &[Read(3_000_000), Flood(4_000_000), Finish, Read(99)],
    ),
];

/// Plays a script and writes down what is seen.
async fn play(
    mut stream: TcpStream,
    script: &[Do],
    signal: &tokio::sync::Notify,
    signalled: &tokio::sync::Notify,
) -> Vec<String> {
    let mut seen = Vec::new();
    for action in script {
        match *action {
            Send(line) => stream.write_all(line.as_bytes()).await.unwrap(),
            Flood(len) => {
                let line = [&[b'x'; 99][..], b"\n"].concat();
                stream.write_all(&line.repeat(len / line.len())).await.unwrap();
            }
            Finish => stream.shutdown().await.unwrap(),
            Signal => signal.notify_one(),
            Await => signalled.notified().await,
            Reset => {
                stream.set_zero_linger().unwrap();
                drop(stream);
                return seen;
            }
            Read(len) => seen.push(read(&mut stream, len).await),
        }
    }
    seen
}

async fn read(stream: &mut TcpStream, len: usize) -> String {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    let end = loop {
        if filled == len {
            break "enough".to_owned();
        }
        match stream.read(&mut bytes[filled..]).await {
            Ok(0) => break "end".to_owned(),
            Ok(read) => filled += read,
            Err(error) => break error.kind().to_string(),
        }
    };
    let text = if filled < 100 {
        bytes[..filled].escape_ascii().to_string()
    } else {
        format!("{filled} bytes")
    };
    format!("{text} then {end}")
}

/// Plays a row of the table between peers of which the client dials `through` what `listener` is behind.
async fn observe(
    what: &str,
    through: SocketAddr,
    listener: &TcpListener,
    client: &[Do],
    server: &[Do],
) -> [Vec<String>; 2] {
    let (a, b) = pair(listener, through).await;
    let (to_server, to_client) = Default::default();
    let played = async {
        tokio::join!(
            play(a, client, &to_server, &to_client),
            play(b, server, &to_client, &to_server)
        )
    };
    soon(what, played).await.into()
}

#[tokio::test]
async fn a_tap_changes_nothing() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    for (name, client, server) in SCRIPTS {
        let direct = observe(name, addr, &listener, client, server).await;
        let tapped = observe(
            &format!("{name}, through a tap"),
            tap.addr(),
            &listener,
            client,
            server,
        )
        .await;
        assert_eq!(tapped, direct, "{name}");
        let shape = Shape {
            towards: None,
            latency_ms: 1,
            jitter_ms: 2,
            bytes_per_second: 0,
            slice: 1000,
        };
        let shaping = tap.shape(shape, Seed(1));
        let shaped = observe(
            &format!("{name}, through a shaped tap"),
            tap.addr(),
            &listener,
            client,
            server,
        )
        .await;
        assert_eq!(shaped, direct, "{name}, shaped");
        drop(shaping);
        assert!(
            direct.iter().flatten().count() > 0,
            "{name}: nothing was observed"
        );
    }
    tap.close().await;
}

#[tokio::test]
async fn a_side_that_does_not_read_slows_the_other_down() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    fills_up(&listener, &tap, None).await;
    // Nor is more under way than a link carries.
    let forever = Shape {
        latency_ms: 3_600_000,
        ..Shape::default()
    };
    fills_up(&listener, &tap, Some(tap.shape(forever, Seed(1)))).await;
    tap.close().await;
}

/// Sends until nothing goes any more, and reads it all when the shape has ended.
async fn fills_up(listener: &TcpListener, tap: &Tap, shaping: Option<Shaping>) {
    let (client, mut server) = pair(listener, tap.addr()).await;
    let line = [&[b'x'; 1023][..], b"\n"].concat();
    let mut sent = 0_usize;
    // Nothing is judged by the time it takes: a slow machine only makes the test stop filling earlier.
    // The kernel's buffers take a few megabytes; a tap that buffers without bound would take everything.
    let stuck = async {
        while sent < 256 << 20 {
            client.writable().await.unwrap();
            match client.try_write(&line[sent % line.len()..]) {
                Ok(written) => sent += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let writable = client.writable();
                    if tokio::time::timeout(std::time::Duration::from_millis(300), writable)
                        .await
                        .is_err()
                    {
                        return true;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
        false
    };
    assert!(
        soon("filling the buffers", stuck).await,
        "256 MiB vanished in a tap"
    );
    drop(shaping);
    // The tap keeps a line that is not whole.
    let mut got = vec![0; sent / line.len() * line.len()];
    soon("draining the buffers", server.read_exact(&mut got))
        .await
        .unwrap();
    assert!(got.chunks(line.len()).all(|chunk| chunk == line));
}
