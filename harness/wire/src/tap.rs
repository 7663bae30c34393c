//! A tap: one listening address that leads from one service to one backend.
//!
//! The address stays the same for the tap's whole life, whatever happens behind it. While the backend is down nobody
//! listens there, so a dial is refused by the kernel, just as it would be without a tap; that the backend is down is
//! told by [`Tap::backend_down`] or found out by a failed dial, and in the second case the tap listens again as soon as
//! the backend answers. Otherwise a tap is transparent: end of stream and reset pass from one side to the other, a
//! half-closed connection stays half open, and a side that does not read slows the other one down.
//!
//! Deliberately not done: more than one backend behind an address, and reuse of backend connections.

mod connection;
mod line;
mod outlet;
mod pump;
mod shape;
mod socket;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness_model::event::Backend;
use harness_model::fault::{Cut, Shape};
use harness_model::name::Name;
use harness_model::seed::Seed;
use socket2::Socket;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use self::connection::Connection;
use self::outlet::Frozen;
use self::shape::Shapes;
pub use self::shape::Shaping;
use crate::codec::Codec;
use crate::recorder::Recorder;

/// Makes the codec of each new connection.
pub type NewCodec = Arc<dyn Fn() -> Box<dyn Codec> + Send + Sync>;

/// A dial of the backend that takes longer has failed.
const DIAL_DEADLINE: Duration = Duration::from_secs(5);
/// How often a backend that could not be dialled is tried.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

/// What a tap needs to know.
#[derive(Clone)]
pub struct TapSpec {
    /// The service on whose link it is; `harness` for the harness' own.
    pub service: Name,
    /// The address to listen at: a network's gateway, or loopback. The port is chosen by the kernel.
    pub bind: IpAddr,
    /// What it leads to.
    pub backend: Backend,
    /// Where that is now.
    pub upstream: SocketAddr,
    /// The trial's ledger.
    pub recorder: Recorder,
    /// The protocol: [`crate::amqp::codec`] or its sibling for MySQL.
    pub codec: NewCodec,
}

/// A running tap. Dropping it closes every connection and the address without a word; [`Tap::close`] is the orderly way.
#[derive(Debug)]
pub struct Tap {
    addr: SocketAddr,
    commands: mpsc::Sender<Command>,
    open: Arc<AtomicUsize>,
    shapes: Shapes,
    actor: JoinHandle<()>,
}

/// What the tap's task is asked to do; each answers when it is done.
enum Command {
    Down(oneshot::Sender<()>),
    Up(SocketAddr, oneshot::Sender<io::Result<()>>),
    Cut(Cut, oneshot::Sender<usize>),
    Heal(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

impl Tap {
    /// Listens at a free port of `spec.bind`.
    ///
    /// # Errors
    /// The thread of the trial's taps cannot be started, or the address cannot be bound, or it is the unspecified one:
    /// a tap must not be reachable from other machines.
    pub fn open(spec: TapSpec) -> io::Result<Self> {
        if spec.bind.is_unspecified() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a tap does not listen on all interfaces",
            ));
        }
        let runtime = spec.recorder.tap_runtime()?;
        let _inside = runtime.enter();
        let (placeholder, addr) = socket::reserve(spec.bind)?;
        let listener = socket::listen(addr)?;
        let (commands, inbox) = mpsc::channel(8);
        let (unreachable, reports) = mpsc::channel(8);
        let open = Arc::new(AtomicUsize::new(0));
        let shapes = Shapes::default();
        let actor = Actor {
            upstream: spec.upstream,
            spec: Arc::new(spec),
            addr,
            _placeholder: placeholder,
            listener: Some(listener),
            probe: None,
            frozen: watch::Sender::new(Frozen::default()),
            connections: JoinSet::new(),
            kills: BTreeMap::new(),
            open: Arc::clone(&open),
            shapes: shapes.clone(),
            unreachable,
        };
        Ok(Self {
            addr,
            commands,
            open,
            shapes,
            actor: runtime.spawn(actor.run(inbox, reports)),
        })
    }

    /// The address to dial.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening; dials are refused from the moment this returns. Open connections are left to the backend.
    pub async fn backend_down(&self) {
        self.ask(Command::Down).await;
    }

    /// Listens again, at the same address as ever, and leads to `upstream` from now on.
    ///
    /// # Errors
    /// The kernel refuses to listen; the address itself is reserved.
    pub async fn backend_up(&self, upstream: SocketAddr) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the tap's runtime has ended");
        self.ask(|done| Command::Up(upstream, done))
            .await
            .ok_or_else(gone)?
    }

    /// Cuts every open connection and says how many that were. When this returns, no byte passes on them any more.
    ///
    /// A reset overtakes what its receiver has not read yet, as it does without a tap: what was forwarded the moment
    /// before may have no effect. After [`Cut::HalfOpen`] nothing is closed and new connections are accepted, but no
    /// byte passes until [`Tap::heal`], after which everything goes on where it stopped; there are two that are the same in
    /// one direction. After [`Cut::Silent`] the backend
    /// has lost the connections, and their clients learn nothing of it.
    pub async fn cut(&self, how: Cut) -> usize {
        self.ask(|done| Command::Cut(how, done)).await.unwrap_or(0)
    }

    /// Ends what is half open: see [`Cut::is_half_open`].
    pub async fn heal(&self) {
        self.ask(Command::Heal).await;
    }

    /// Makes the link carry bytes badly until the returned guard is dropped: on all connections, also on those that come
    /// later. Of several shapes the latest that is about a direction counts for it.
    ///
    /// Bandwidth is that of each connection. Jitter is drawn from `seed`, in a stream of its own for each direction of
    /// each connection. The ledger says when bytes reached the tap; they are delivered later, in order, and up to 256 KiB
    /// of them are under way in a direction at the same time. An end of stream keeps its place behind them. A reset does
    /// not: with it, as with [`Tap::cut`], what is still under way is lost. Nothing is delivered while the link is half
    /// open.
    pub fn shape(&self, shape: Shape, seed: Seed) -> Shaping {
        self.shapes.add(shape, seed)
    }

    /// Number of clients connected, through to the backend or still on their way.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Stops listening for good and ends every connection.
    pub async fn close(self) {
        self.ask(Command::Close).await;
    }

    /// Sends a command and waits for its answer; `None` if the runtime that the tap lived in is gone.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).await.ok()?;
        answer.await.ok()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.actor.abort();
    }
}

/// The task that owns the listening socket and the connections, so that accepting, cutting and closing never overlap.
struct Actor {
    spec: Arc<TapSpec>,
    upstream: SocketAddr,
    addr: SocketAddr,
    /// Bound but never listening: keeps the port ours while nobody listens at it.
    _placeholder: Socket,
    listener: Option<TcpListener>,
    /// Waits for the backend to answer, after a dial failed.
    probe: Option<JoinHandle<()>>,
    frozen: watch::Sender<Frozen>,
    connections: JoinSet<u32>,
    kills: BTreeMap<u32, watch::Sender<Option<Cut>>>,
    open: Arc<AtomicUsize>,
    shapes: Shapes,
    unreachable: mpsc::Sender<SocketAddr>,
}

impl Actor {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>, mut reports: mpsc::Receiver<SocketAddr>) {
        loop {
            tokio::select! {
                biased;
                command = inbox.recv() => match command {
                    None => return,
                    Some(Command::Close(done)) => {
                        self.stop_listening();
                        self.cut(Cut::Fin).await;
                        // The goodbyes may take a moment longer.
                        self.connections.detach_all();
                        // Nobody waits any more if the caller was cancelled.
                        let _ = done.send(());
                        return;
                    }
                    Some(command) => self.obey(command).await,
                },
                Some(upstream) = reports.recv() => {
                    if upstream == self.upstream && self.listener.is_some() {
                        self.stop_listening();
                        self.probe = Some(tokio::spawn(answers(upstream)));
                    }
                }
                Some(ended) = self.connections.join_next() => {
                    if let Ok(conn) = ended {
                        self.kills.remove(&conn);
                    }
                }
                () = finished(self.probe.as_mut()) => {
                    self.probe = None;
                    if let Err(error) = self.listen() {
                        tracing::error!(%error, addr = %self.addr, "cannot listen again");
                    }
                }
                client = accept(self.listener.as_ref()) => match client {
                    Ok(client) => self.connect(client),
                    Err(error) => {
                        // Out of descriptors, most likely. Refusing for a moment is better than spinning.
                        tracing::error!(%error, addr = %self.addr, "cannot accept");
                        self.stop_listening();
                        self.probe = Some(tokio::spawn(answers(self.upstream)));
                    }
                },
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        // An answer that nobody waits for any more is no error.
        match command {
            Command::Down(done) => {
                self.stop_listening();
                let _ = done.send(());
            }
            Command::Up(upstream, done) => {
                self.upstream = upstream;
                drop(done.send(self.listen()));
            }
            Command::Cut(how, done) => {
                let cut = self.cut(how).await;
                let _ = done.send(cut);
            }
            Command::Heal(done) => {
                self.frozen.send_replace(Frozen::default());
                let _ = done.send(());
            }
            Command::Close(_) => unreachable!("closing ends the loop"),
        }
    }

    fn stop_listening(&mut self) {
        self.listener = None;
        if let Some(probe) = self.probe.take() {
            probe.abort();
        }
    }

    fn listen(&mut self) -> io::Result<()> {
        if let Some(probe) = self.probe.take() {
            probe.abort();
        }
        if self.listener.is_none() {
            self.listener = Some(socket::listen(self.addr)?);
        }
        Ok(())
    }

    fn connect(&mut self, client: TcpStream) {
        let (kill, killed) = watch::channel(None);
        let connection = Connection::new(
            Arc::clone(&self.spec),
            self.upstream,
            self.frozen.subscribe(),
            self.shapes.view(),
            killed,
            self.unreachable.clone(),
            Arc::clone(&self.open),
        );
        self.kills.insert(connection.number(), kill);
        self.connections.spawn(connection.run(client));
    }

    async fn cut(&mut self, how: Cut) -> usize {
        if how.is_half_open() {
            self.frozen.send_modify(|frozen| frozen.add(how));
            return self.open.load(Ordering::Relaxed);
        }
        let mut cut = 0;
        let kills = std::mem::take(&mut self.kills);
        for kill in kills.values() {
            cut += usize::from(kill.send(Some(how)).is_ok());
        }
        for kill in kills.values() {
            // A connection lets go of its receiver when it has closed its sockets.
            kill.closed().await;
        }
        cut
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if let Some(probe) = &self.probe {
            probe.abort();
        }
    }
}

/// Resolves when `upstream` accepts a connection.
async fn answers(upstream: SocketAddr) {
    let mut interval = tokio::time::interval(PROBE_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick is immediate, and a dial has just failed.
    interval.tick().await;
    loop {
        interval.tick().await;
        if matches!(
            tokio::time::timeout(DIAL_DEADLINE, TcpStream::connect(upstream)).await,
            Ok(Ok(_))
        ) {
            return;
        }
    }
}

async fn finished(task: Option<&mut JoinHandle<()>>) {
    match task {
        // A probe does not panic, and whoever aborts one also forgets it.
        Some(task) => drop(task.await),
        None => std::future::pending().await,
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(client, _)| client),
        None => std::future::pending().await,
    }
}

impl fmt::Debug for TapSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapSpec")
            .field("service", &self.service)
            .field("bind", &self.bind)
            .field("backend", &self.backend)
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}
