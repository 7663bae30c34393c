//! A trial's side of the pool.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::protocol::{Grant, Mode, PairSpec, Request, Response};
use super::{Paths, StateError};
use crate::wait;

/// Longest time from starting a pool to its first answer.
const SPAWN_DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// The pool could not be started.
    #[error("cannot start the pool: {cause}; see {}", log.display())]
    Spawn {
        /// Why.
        cause: String,
        /// Its log.
        log: PathBuf,
    },
    /// The pool has no backend to give.
    #[error("the pool refused: {reason}")]
    Refused {
        /// Its reason.
        reason: String,
    },
    /// The pool went away.
    #[error("the pool has ended while it was asked: {cause}; see {}", log.display())]
    Lost {
        /// What was seen.
        cause: String,
        /// Its log.
        log: PathBuf,
    },
}

/// A pair of backends for one trial. Dropping it gives everything back: the pool removes the virtual host, the schema
/// and every container with the lease's label.
#[must_use = "dropping a lease ends it"]
#[derive(Debug)]
pub struct Lease {
    grant: Grant,
    connection: Connection,
}

#[derive(Debug)]
struct Connection {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
    log: PathBuf,
}

impl Connection {
    async fn open(paths: &Paths) -> io::Result<Self> {
        let (read, write) = UnixStream::connect(paths.socket()).await?.into_split();
        Ok(Self {
            lines: BufReader::new(read).lines(),
            write,
            log: paths.log(),
        })
    }

    async fn ask(&mut self, request: &Request) -> Result<(), LeaseError> {
        let mut line = serde_json::to_vec(request).map_err(|error| self.lost(&error))?;
        line.push(b'\n');
        self.write
            .write_all(&line)
            .await
            .map_err(|error| self.lost(&error))
    }

    async fn answer(&mut self) -> Result<Response, LeaseError> {
        let line = self.lines.next_line().await.map_err(|error| self.lost(&error))?;
        let line = line.ok_or_else(|| self.lost(&"end of stream"))?;
        serde_json::from_str(&line).map_err(|error| self.lost(&error))
    }

    fn lost(&self, cause: &dyn std::fmt::Display) -> LeaseError {
        LeaseError::Lost {
            cause: cause.to_string(),
            log: self.log.clone(),
        }
    }
}

impl Lease {
    /// Asks the pool for backends, starting it if there is none. `program` and its arguments run [`super::serve`];
    /// `progress` is told what takes time.
    ///
    /// # Errors
    /// When the pool cannot be started, or has nothing to give.
    pub async fn take(
        paths: &Paths,
        program: &[String],
        mode: Mode,
        pair: &PairSpec,
        trial: &str,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, LeaseError> {
        let request = Request::Lease {
            mode,
            pair: pair.clone(),
            trial: trial.to_owned(),
        };
        let mut first_try = true;
        loop {
            let mut connection = connect(paths, program).await?;
            match lease_on(&mut connection, &request, progress).await {
                Ok(grant) => return Ok(Self { grant, connection }),
                // A pool whose linger ran out at this very moment hangs up before it grants anything; asking a new one
                // is safe, since nothing was given yet.
                Err(LeaseError::Lost { .. }) if first_try => first_try = false,
                Err(error) => return Err(error),
            }
        }
    }

    /// What it gives.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// What it gives, to note a backend's new address after a restart.
    pub fn grant_mut(&mut self) -> &mut Grant {
        &mut self.grant
    }

    /// Gives the lease back and waits until nothing of it is left. With `discard` the backends are not used again.
    ///
    /// # Errors
    /// When the pool has gone away; its containers are then removed by the next command.
    pub async fn release(mut self, discard: bool) -> Result<(), LeaseError> {
        self.connection.ask(&Request::Release { discard }).await?;
        loop {
            match self.connection.answer().await? {
                Response::Released => return Ok(()),
                Response::Progress { .. } => {}
                other => return Err(self.connection.lost(&format!("unexpected answer {other:?}"))),
            }
        }
    }
}

async fn lease_on(
    connection: &mut Connection,
    request: &Request,
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<Grant, LeaseError> {
    connection.ask(request).await?;
    loop {
        match connection.answer().await? {
            Response::Progress { text } => progress(&text),
            Response::Granted { grant } => return Ok(*grant),
            Response::Refused { reason } => return Err(LeaseError::Refused { reason }),
            other => return Err(connection.lost(&format!("unexpected answer {other:?}"))),
        }
    }
}

/// A connection to the pool, which is started if it does not answer. Of many processes that come at the same time one
/// starts it and the others wait for the lock.
async fn connect(paths: &Paths, program: &[String]) -> Result<Connection, LeaseError> {
    if let Ok(connection) = Connection::open(paths).await {
        return Ok(connection);
    }
    let path = paths.spawn_lock();
    let file = Paths::lock_file(&path)?;
    let lock = tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(|source| StateError::Io { path, source })?;
    let connection = match Connection::open(paths).await {
        Ok(connection) => Ok(connection),
        Err(_) => spawn(paths, program).await,
    };
    drop(lock);
    connection
}

async fn spawn(paths: &Paths, program: &[String]) -> Result<Connection, LeaseError> {
    let log = paths.log();
    let failed = |cause: String| LeaseError::Spawn {
        cause,
        log: log.clone(),
    };
    let output = std::fs::File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log)
        .map_err(|error| failed(error.to_string()))?;
    let errors = output.try_clone().map_err(|error| failed(error.to_string()))?;
    let (command, arguments) = program
        .split_first()
        .ok_or_else(|| failed("no program".to_owned()))?;
    // The pool outlives us: it takes a session of its own first thing, and none of our descriptors, or who reads our
    // output would wait for it to end.
    let mut child = Command::new(command)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let answer = wait::until("the pool to listen", SPAWN_DEADLINE, || {
        let ended = child.try_wait().ok().flatten();
        async move {
            match (Connection::open(paths).await, ended) {
                (Ok(connection), _) => Ok(Ok(connection)),
                (Err(error), None) => Err(error.to_string()),
                (Err(_), Some(status)) => Ok(Err(status)),
            }
        }
    })
    .await
    .map_err(|timed_out| failed(timed_out.to_string()))?;
    answer.map_err(|status| failed(format!("it ended at once: {status}")))
}

/// Asks a pool, if there is one, to end now. Returns the number of leases that are still held: with any, it stays.
///
/// # Errors
/// When it does not answer properly.
pub async fn shut_down(paths: &Paths) -> Result<Option<usize>, LeaseError> {
    let Ok(mut connection) = Connection::open(paths).await else {
        return Ok(None);
    };
    connection.ask(&Request::Shutdown).await?;
    match connection.answer().await? {
        Response::Leases { held } => {
            // An idle pool hangs up when everything is removed.
            if held == 0 {
                drop(connection.answer().await);
            }
            Ok(Some(held))
        }
        other => Err(connection.lost(&format!("unexpected answer {other:?}"))),
    }
}
