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
use tokio::net::{TcpListener, TcpStream};

/// Nothing here takes long; a test that waits for more than this has found a bug.
const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for `future`, but not forever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} takes longer than {DEADLINE:?}"))
}

/// One read of a recorded session.
pub(crate) type Chunk = (Direction, Vec<u8>);

/// The recorded sessions, by name: see `tests/captures/README.md`.
pub(crate) fn captures() -> Vec<(String, Vec<Chunk>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    paths.sort();
    paths
        .iter()
        .map(|path| {
            (
                path.file_stem().unwrap().to_str().unwrap().to_owned(),
                chunks(&fs::read(path).unwrap()),
            )
        })
        .collect()
}

fn chunks(mut bytes: &[u8]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    while let Some((&[direction, a, b, c, d], rest)) = bytes.split_first_chunk::<5>() {
        let (chunk, rest) = rest.split_at(u32::from_be_bytes([a, b, c, d]) as usize);
        let direction = if direction == 0 {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        chunks.push((direction, chunk.to_vec()));
        bytes = rest;
    }
    chunks
}

/// The bytes of one direction of a session.
pub(crate) fn stream(chunks: &[Chunk], direction: Direction) -> Vec<u8> {
    chunks
        .iter()
        .filter(|chunk| chunk.0 == direction)
        .flat_map(|chunk| chunk.1.clone())
        .collect()
}

/// A toy protocol: each line is a unit, and the publish of a message whose key is the line. The client's line `?` is
/// what it does not understand.
#[derive(Default)]
struct Lines {
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
            let key = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            let message = Message {
                key: Some(key.into()),
                ..Message::default()
            };
            let step = Step::Publish {
                tag: 0,
                mandatory: false,
                message,
            };
            let steps = if direction == Direction::ToServer {
                vec![step]
            } else {
                Vec::new()
            };
            units.push(Unit {
                bytes: line,
                chan: None,
                steps,
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

pub(crate) fn lines() -> NewCodec {
    Arc::new(|| Box::new(Lines::default()))
}

/// A listening backend on loopback.
pub(crate) async fn backend() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A tap of the toy protocol in front of `upstream`.
pub(crate) fn tap(upstream: SocketAddr, recorder: &Recorder) -> Tap {
    Tap::open(TapSpec {
        service: "svc".into(),
        bind: Ipv4Addr::LOCALHOST.into(),
        backend: Backend::Broker,
        upstream,
        recorder: recorder.clone(),
        codec: lines(),
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
