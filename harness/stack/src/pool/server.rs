//! The pool's own process.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::protocol::{Grant, Mode, NetworkInfo, Request, Response};
use super::slots::{Seat, Slots};
use super::{LEASE_LABEL, POOL_LABEL, Paths, STATE_LABEL};
use crate::admin::{BrokerAdmin, DatabaseAdmin};
use crate::engine::Engine;

/// How a pool is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its files.
    pub paths: Paths,
    /// How long it stays after the last lease has ended.
    pub linger: Duration,
}

/// Runs a pool until it has been idle for its linger, or until SIGTERM; then removes all it owns.
///
/// # Errors
/// When it cannot start, or something could not be removed.
pub async fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    // A session of its own: neither a closed terminal nor a signal to the group of who started us ends it. This fails
    // only if we lead a group already, which is what it is for.
    let _: Result<_, rustix::io::Errno> = rustix::process::setsid();
    let paths = options.paths;
    let engine = Engine::connect().await?;
    let id = format!("{:x}-{}", unix_seconds(), std::process::id());
    let life_path = paths.life_lock(&id);
    let life = Paths::lock_file(&life_path)?;
    life.lock()?;
    super::reap(&engine, &paths).await?;

    let socket = paths.socket();
    // Whoever starts a pool holds the spawn lock and has found nobody listening: a socket that is there is a dead one.
    drop(fs::remove_file(&socket));
    let listener = UnixListener::bind(&socket)?;
    info!(%id, linger = ?options.linger, "pool is up");

    let labels = BTreeMap::from([
        (POOL_LABEL.to_owned(), id.clone()),
        (STATE_LABEL.to_owned(), paths.dir().display().to_string()),
    ]);
    let pool = Arc::new(Pool {
        backends: format!("harness-{id}-backends"),
        inside: format!("harness-{id}-inside"),
        outside: format!("harness-{id}-outside"),
        slots: Slots::new(
            engine.clone(),
            id.clone(),
            format!("harness-{id}-backends"),
            labels.clone(),
        ),
        networks: tokio::sync::OnceCell::new(),
        engine: engine.clone(),
        labels,
        id: id.clone(),
        leases: AtomicU64::new(0),
        held: watch::Sender::new(0),
    });
    let mut waiting = None;
    let ended = run(&pool, &listener, &paths, options.linger, &mut waiting).await;
    info!(%id, "pool ends: {ended}");
    let removed = engine.remove_labelled(POOL_LABEL, &id).await;
    drop(fs::remove_file(life_path));
    info!(%id, "{:?}", removed?);
    drop(waiting);
    Ok(())
}

/// Seconds since 1970, which together with the process id make a pool's id unique.
fn unix_seconds() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Accepts until it is time to end, and says why it is.
async fn run(
    pool: &Arc<Pool>,
    listener: &UnixListener,
    paths: &Paths,
    linger: Duration,
    waiting: &mut Option<UnixStream>,
) -> &'static str {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return "no signal handler";
    };
    let mut held = pool.held.subscribe();
    let (asked, mut shut_down) = mpsc::channel::<UnixStream>(1);
    loop {
        let idle = *held.borrow_and_update() == 0;
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    tokio::spawn(Arc::clone(pool).client(stream, asked.clone()));
                }
                Err(error) => warn!("accept: {error}"),
            },
            _ = held.changed() => {}
            _ = terminate.recv() => {
                drop(fs::remove_file(paths.socket()));
                return "SIGTERM";
            }
            Some(stream) = shut_down.recv() => {
                if close_socket(pool, paths) {
                    // Who asked sees the end of stream when everything is gone.
                    *waiting = Some(stream);
                    return "asked to";
                }
            }
            () = async { drop(tokio::time::timeout(linger, std::future::pending::<()>()).await) }, if idle => {
                if close_socket(pool, paths) {
                    return "idle";
                }
            }
        }
    }
}

/// Stops listening, unless somebody is about to come: whoever looks for a pool and finds none holds the spawn lock.
fn close_socket(pool: &Pool, paths: &Paths) -> bool {
    let Ok(lock) = Paths::lock_file(&paths.spawn_lock()) else {
        return false;
    };
    if lock.try_lock().is_err() || *pool.held.borrow() > 0 {
        return false;
    }
    fs::remove_file(paths.socket()).is_ok()
}

struct Pool {
    id: String,
    engine: Engine,
    labels: BTreeMap<String, String>,
    backends: String,
    inside: String,
    outside: String,
    networks: tokio::sync::OnceCell<(NetworkInfo, NetworkInfo)>,
    slots: Slots,
    leases: AtomicU64,
    held: watch::Sender<usize>,
}

impl Pool {
    /// Makes the networks, once.
    async fn networks(&self) -> Result<&(NetworkInfo, NetworkInfo), String> {
        let make = async || {
            let (_, inside, outside) = tokio::try_join!(
                self.engine.create_network(&self.backends, true, &self.labels),
                self.engine.create_network(&self.inside, true, &self.labels),
                self.engine.create_network(&self.outside, false, &self.labels),
            )
            .map_err(|error| error.to_string())?;
            let info = |name: &str, gateway| NetworkInfo {
                name: name.to_owned(),
                gateway,
            };
            Ok((info(&self.inside, inside), info(&self.outside, outside)))
        };
        self.networks.get_or_try_init(make).await
    }

    /// One connection, that is, at most one lease.
    async fn client(self: Arc<Self>, stream: UnixStream, shut_down: mpsc::Sender<UnixStream>) {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(read) if read > 0 => {}
            _ => return,
        }
        match serde_json::from_str(&line) {
            Ok(request @ Request::Lease { .. }) => Box::pin(self.lease(request, stream)).await,
            Ok(Request::Shutdown) => {
                let held = *self.held.borrow();
                let mut stream = stream.into_inner();
                if say(&mut stream, &Response::Leases { held }).await && held == 0 {
                    drop(shut_down.send(stream).await);
                }
            }
            Ok(Request::Release { .. }) => warn!("a release without a lease"),
            Err(error) => warn!("not a request: {error}"),
        }
    }

    async fn lease(&self, request: Request, mut stream: BufReader<UnixStream>) {
        let Request::Lease { mode, pair, trial } = request else {
            return;
        };
        self.held.send_modify(|held| *held += 1);
        let name = format!("t{}-{}", self.leases.fetch_add(1, Ordering::Relaxed) + 1, self.id);
        let (tell, mut told) = mpsc::unbounded_channel::<String>();
        let take = async {
            let networks = self.networks().await?.clone();
            let seat = self
                .slots
                .take(mode, &pair, |text| drop(tell.send(text.to_owned())))
                .await?;
            Ok::<_, String>((networks, seat))
        };
        tokio::pin!(take);
        // The client may go away while it waits; a boot that it caused goes on, for the next one.
        let taken = loop {
            tokio::select! {
                taken = &mut take => break taken,
                Some(text) = told.recv() => {
                    say(stream.get_mut(), &Response::Progress { text }).await;
                }
            }
        };
        match taken {
            Ok(((inside, outside), seat)) => {
                info!(lease = %name, %trial, ?mode, "granted");
                let grant = Grant {
                    lease: name.clone(),
                    pool: self.id.clone(),
                    broker: seat.broker.clone(),
                    database: seat.database.clone(),
                    backends: self.backends.clone(),
                    inside,
                    outside,
                    booted_ms: seat.booted.map(|time| time.as_millis() as u64),
                };
                self.hold(&name, mode == Mode::Exclusive, seat, grant, &mut stream)
                    .await;
            }
            Err(reason) => {
                warn!(lease = %name, %trial, "refused: {reason}");
                say(stream.get_mut(), &Response::Refused { reason }).await;
            }
        }
        self.held.send_modify(|held| *held -= 1);
    }

    /// Lends until the client says so or goes away, then removes all that the lease has left.
    async fn hold(
        &self,
        name: &str,
        exclusive: bool,
        seat: Seat,
        grant: Grant,
        stream: &mut BufReader<UnixStream>,
    ) {
        // Whoever goes away without a word may have left its faults behind: an alarm, a database that does not write.
        let mut discard = exclusive;
        let mut orderly = false;
        if say(
            stream.get_mut(),
            &Response::Granted {
                grant: Box::new(grant),
            },
        )
        .await
        {
            let mut line = String::new();
            if let Ok(1..) = stream.read_line(&mut line).await
                && let Ok(Request::Release { discard: asked }) = serde_json::from_str(&line)
            {
                (discard, orderly) = (asked, true);
            }
        }
        if let Err(error) = self.engine.remove_labelled(LEASE_LABEL, name).await {
            warn!(lease = name, "containers: {error}");
        }
        if let Some(dir) = self.labels.get(STATE_LABEL) {
            // The door of its ops box, if it had one and was killed.
            drop(fs::remove_file(
                std::path::Path::new(dir).join(format!("{name}.sock")),
            ));
        }
        self.clean(name, &seat).await;
        self.slots.give_back(seat, discard).await;
        info!(lease = name, orderly, discard, "ended");
        say(stream.get_mut(), &Response::Released).await;
    }

    /// Removes the lease's virtual host and schema. A backend that does not answer loses its pair at the gate, or was
    /// never shared.
    async fn clean(&self, name: &str, seat: &Seat) {
        let broker = async {
            let mut info = seat.broker.clone();
            info.ip = self
                .engine
                .container_ip(&info.container, &self.backends)
                .await
                .unwrap_or(info.ip);
            if let Err(error) = BrokerAdmin::new(&info).remove(name).await {
                warn!(lease = name, "virtual host: {error}");
            }
        };
        let database = async {
            let mut info = seat.database.clone();
            info.ip = self
                .engine
                .container_ip(&info.container, &self.backends)
                .await
                .unwrap_or(info.ip);
            let removed = async { DatabaseAdmin::connect(&info).await?.remove(name).await };
            if let Err(error) = removed.await {
                warn!(lease = name, "schema: {error}");
            }
        };
        tokio::join!(broker, database);
    }
}

async fn say(stream: &mut UnixStream, response: &Response) -> bool {
    let Ok(mut line) = serde_json::to_vec(response) else {
        return false;
    };
    line.push(b'\n');
    stream.write_all(&line).await.is_ok()
}
