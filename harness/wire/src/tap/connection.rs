//! One client connection from its accept to its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness_model::event::{Ending, Fate, Side, Step};
use harness_model::fault::Cut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use super::outlet::{Frozen, thaw};
use super::pump::Pipe;
use super::shape::View;
use super::{DIAL_DEADLINE, TapSpec, socket};
use crate::codec::{Direction, Unit};
use crate::recorder::{Link, Verdict};

/// After an orderly cut the peers get so long to close on their side.
const GOODBYE: Duration = Duration::from_secs(5);

/// How the whole of a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// This side has reset it.
    Reset(Side),
    /// Its destination is gone while a frame was held.
    Lost,
    /// It is cut on behalf of a fault.
    Cut(Cut),
}

pub(super) struct Connection {
    spec: Arc<TapSpec>,
    upstream: SocketAddr,
    link: Link,
    frozen: watch::Receiver<Frozen>,
    shapes: View,
    killed: watch::Receiver<Option<Cut>>,
    unreachable: mpsc::Sender<SocketAddr>,
    open: Open,
}

/// Counts a connection while it exists.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    pub(super) fn new(
        spec: Arc<TapSpec>,
        upstream: SocketAddr,
        frozen: watch::Receiver<Frozen>,
        shapes: View,
        killed: watch::Receiver<Option<Cut>>,
        unreachable: mpsc::Sender<SocketAddr>,
        open: Arc<AtomicUsize>,
    ) -> Self {
        let link = Link {
            svc: spec.service.clone(),
            conn: spec.recorder.next_connection(),
        };
        open.fetch_add(1, Ordering::Relaxed);
        Self {
            spec,
            upstream,
            link,
            frozen,
            shapes,
            killed,
            unreachable,
            open: Open(open),
        }
    }

    /// Its number within the trial.
    pub(super) fn number(&self) -> u32 {
        self.link.conn
    }

    /// Moves bytes until the connection ends, and gives its number back.
    pub(super) async fn run(self, mut client: TcpStream) -> u32 {
        let conn = self.link.conn;
        let mut killed = self.killed.clone();
        let kill = async move {
            match killed.wait_for(Option::is_some).await.map(|how| *how) {
                Ok(Some(how)) => how,
                Ok(None) | Err(_) => std::future::pending().await,
            }
        };
        tokio::pin!(kill);

        let dialled = tokio::select! {
            biased;
            how = &mut kill => Err(End::Cut(how)),
            dialled = self.dial() => Ok(dialled),
        };
        let mut server = match dialled {
            Ok(Ok(server)) => server,
            Ok(Err(error)) => {
                self.spec.recorder.step(
                    &self.link,
                    Step::DialFailed {
                        to: self.spec.backend,
                        error: error.to_string(),
                    },
                );
                // A backend that resets is there. If the tap's task is gone or busy with an earlier report, it needs no
                // other.
                if error.kind() != io::ErrorKind::ConnectionReset {
                    let _ = self.unreachable.try_send(self.upstream);
                }
                socket::reset(client);
                return conn;
            }
            Err(End::Cut(Cut::Fin)) => {
                self.say_goodbye(vec![client]).await;
                return conn;
            }
            Err(_) => {
                socket::reset(client);
                return conn;
            }
        };

        let moved = tokio::select! {
            biased;
            how = &mut kill => Err(End::Cut(how)),
            moved = self.converse(&mut client, &mut server) => moved,
        };
        match moved {
            Ok(()) | Err(End::Lost) => {}
            Err(End::Reset(by)) => {
                self.disconnected(by, Ending::Rst);
                socket::reset(client);
                socket::reset(server);
            }
            Err(End::Cut(Cut::Fin)) => {
                self.disconnected(Side::Tap, Ending::Fin);
                self.say_goodbye(vec![client, server]).await;
            }
            Err(End::Cut(Cut::Rst | Cut::HalfOpen | Cut::HalfOpenToService | Cut::HalfOpenFromService)) => {
                self.disconnected(Side::Tap, Ending::Rst);
                socket::reset(client);
                socket::reset(server);
            }
            Err(End::Cut(Cut::Silent)) => {
                self.disconnected(Side::Tap, Ending::Rst);
                socket::reset(server);
                self.keep_silent(client).await;
            }
        }
        conn
    }

    fn disconnected(&self, by: Side, how: Ending) {
        self.spec.recorder.step(
            &self.link,
            Step::Disconnect {
                to: self.spec.backend,
                by,
                how,
            },
        );
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        thaw(&self.frozen, &[Side::Client, Side::Server]).await;
        let dial = TcpStream::connect(self.upstream);
        tokio::time::timeout(DIAL_DEADLINE, dial)
            .await
            .unwrap_or_else(|_| {
                let text = format!("{} did not answer within {DIAL_DEADLINE:?}", self.upstream);
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            })
    }

    async fn converse(&self, client: &mut TcpStream, server: &mut TcpStream) -> Result<(), End> {
        for stream in [&*client, &*server] {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "the connection is gone before it began");
            }
        }
        let step = Step::Connect {
            to: self.spec.backend,
        };
        let mut connect = [Unit {
            bytes: Vec::new(),
            chan: None,
            request: None,
            step: Some(step),
        }];
        let fate = match self.spec.recorder.record(&self.link, &mut connect).verdict {
            // A connection is no request.
            Verdict::Pass | Verdict::Refuse(_) => Fate::Forwarded,
            Verdict::Do(fate) => fate,
            Verdict::Hold(mut hold) => hold.wait().await,
        };
        if matches!(fate, Fate::Dropped | Fate::Cut) {
            return Err(End::Cut(Cut::Rst));
        }

        let pipe = Pipe::new(&self.spec, &self.link, self.frozen.clone(), self.shapes.clone());
        let (mut client_read, client_write) = client.split();
        let (mut server_read, server_write) = server.split();
        let to_server = pipe.lane(Direction::ToServer, &mut client_read, &server_write);
        let to_client = pipe.lane(Direction::ToClient, &mut server_read, &client_write);
        let moved = tokio::try_join!(to_server.pump(), to_client.pump()).map(|_| ());
        if let Err(End::Reset(by)) = moved {
            // A reset is one of the things that do not pass while nothing does.
            let other = if by == Side::Client {
                Side::Server
            } else {
                Side::Client
            };
            thaw(&self.frozen, &[other]).await;
        }
        moved
    }

    /// Leaves a client alone with a connection that leads nowhere, until it gives it up, and records that.
    async fn keep_silent(self, mut client: TcpStream) {
        let Self {
            spec, link, killed, ..
        } = self;
        // Whoever asked for the cut may go on now.
        drop(killed);
        let mut waste = [0; 4096];
        let how = loop {
            match client.read(&mut waste).await {
                Ok(0) => break Ending::Fin,
                Ok(_) => {}
                Err(_) => break Ending::Rst,
            }
        };
        let step = Step::Disconnect {
            to: spec.backend,
            by: Side::Client,
            how,
        };
        spec.recorder.step(&link, step);
    }

    /// Ends streams in an orderly way. A socket that is closed while there is something to read would send a reset, so
    /// what still comes is read and thrown away.
    async fn say_goodbye(self, mut streams: Vec<TcpStream>) {
        for stream in &mut streams {
            if let Err(error) = stream.shutdown().await {
                tracing::debug!(%error, "the peer has closed first");
            }
        }
        // Whoever asked for the cut may go on now.
        let Self { killed, open, .. } = self;
        drop((killed, open));
        let drain = async {
            let mut waste = [0; 4096];
            for stream in &mut streams {
                while stream.read(&mut waste).await.is_ok_and(|read| read > 0) {}
            }
        };
        if tokio::time::timeout(GOODBYE, drain).await.is_err() {
            tracing::debug!("a peer does not close");
        }
    }
}
