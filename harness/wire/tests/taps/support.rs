//! What the tests have in common: recorded sessions, a toy protocol, and peers with deadlines.

use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harness_model::event::{Backend, Message, Step};
use harness_wire::codec::{Codec, Direction, Undecodable, Unit};
use harness_wire::recorder::Recorder;
use harness_wire::tap::{NewCodec, Tap, TapSpec};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::amqp::FORMAT;
use crate::sessions::Chunk;

/// Nothing here takes long; a test that waits for more than this has found a bug.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for `future`, but not forever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} takes longer than {DEADLINE:?}"))
}

/// The recorded sessions, by name: see `tests/captures/README.md`.
pub(crate) fn captures() -> Vec<(String, Vec<Chunk>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    paths.sort();
    paths.iter().map(|path| capture(path)).collect()
}

fn capture(path: &Path) -> (String, Vec<Chunk>) {
    let bytes = fs::read(path).unwrap();
    let chunks = FORMAT.read(&bytes);
    assert!(FORMAT.write(&chunks) == bytes, "{} is no capture", path.display());
    (path.file_stem().unwrap().to_str().unwrap().to_owned(), chunks)
}

/// What a line of a toy protocol is.
pub(crate) type Meaning = fn(Direction, &str) -> Option<Step>;

/// A toy protocol: each line is a unit. The client's line `?` is what it does not understand.
struct Lines {
    meaning: Meaning,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Codec for Lines {
    fn push(&mut self, direction: Direction, bytes: &[u8], units: &mut Vec<Unit>) -> Result<(), Undecodable> {
        let rest = if direction == Direction::ToServer {
            &mut self.to_server
        } else {
            &mut self.to_client
        };
        rest.extend_from_slice(bytes);
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            if rest.starts_with(b"?") {
                return Err(Undecodable {
                    why: "a question".into(),
                });
            }
            let line: Vec<u8> = rest.drain(..=end).collect();
            let text = String::from_utf8_lossy(line.trim_ascii_end());
            let step = (self.meaning)(direction, &text);
            units.push(Unit {
                bytes: line,
                chan: None,
                request: None,
                step,
            });
        }
        Ok(())
    }

    fn leftover(&mut self, direction: Direction) -> Vec<u8> {
        let rest = if direction == Direction::ToServer {
            &mut self.to_server
        } else {
            &mut self.to_client
        };
        std::mem::take(rest)
    }
}

/// The toy protocol in which every line of the client is the publish of a message whose key is the line.
pub(crate) fn lines() -> NewCodec {
    words(|direction, line| {
        let message = Message {
            key: Some(line.into()),
            ..Message::default()
        };
        let publish = Step::Publish {
            tag: 0,
            mandatory: false,
            message,
        };
        (direction == Direction::ToServer).then_some(publish)
    })
}

/// The toy protocol in which lines mean this.
pub(crate) fn words(meaning: Meaning) -> NewCodec {
    Arc::new(move || {
        Box::new(Lines {
            meaning,
            to_server: Vec::new(),
            to_client: Vec::new(),
        })
    })
}

/// A listening backend on loopback.
pub(crate) async fn backend() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A tap of the toy protocol in front of `upstream`.
pub(crate) fn tap(upstream: SocketAddr, recorder: &Recorder) -> Tap {
    tap_of(lines(), upstream, recorder)
}

/// A tap of a protocol.
pub(crate) fn tap_of(codec: NewCodec, upstream: SocketAddr, recorder: &Recorder) -> Tap {
    Tap::open(TapSpec {
        service: "svc".into(),
        bind: Ipv4Addr::LOCALHOST.into(),
        backend: Backend::Broker,
        upstream,
        recorder: recorder.clone(),
        codec,
    })
    .unwrap()
}

/// A client and the backend's end of its connection.
pub(crate) async fn pair(listener: &TcpListener, addr: SocketAddr) -> (TcpStream, TcpStream) {
    let (client, server) = soon("connecting", async {
        tokio::join!(TcpStream::connect(addr), listener.accept())
    })
    .await;
    (client.unwrap(), server.unwrap().0)
}

/// Reads so many lines, and shows them in one.
pub(crate) async fn read_lines(stream: &mut TcpStream, count: usize) -> String {
    let mut text = String::new();
    let mut reader = BufReader::new(stream);
    for _ in 0..count {
        soon("a line", reader.read_line(&mut text)).await.unwrap();
    }
    assert!(
        reader.buffer().is_empty(),
        "more than {count} lines: {text:?} {:?}",
        reader.buffer()
    );
    text.replace('\n', " ").trim_end().to_owned()
}

/// Waits until the ledger holds a step that `wanted` likes.
pub(crate) async fn recorded(recorder: &Recorder, what: &str, wanted: impl Fn(&Step) -> bool) {
    soon(what, async {
        loop {
            let len = recorder.len();
            if recorder.with(|events| events.iter().any(|event| wanted(&event.step))) {
                return;
            }
            recorder.past(len).await;
        }
    })
    .await;
}
