//! The broker and the database: starting a pair of them, and telling when one is ready.
//!
//! Ready means that the protocol answers, not that a port is open: the broker has sent `connection.start` and its
//! management interface answers, the database has answered a query. The same test serves the first boot, the restart
//! after a kill, and the gate between two exclusive leases.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::admin::{BrokerAdmin, DatabaseAdmin};
use crate::container::{Container, ContainerError, Launch};
use crate::engine::{Engine, EngineError};
use crate::pool::{BackendInfo, ImageRef, PairSpec};
use crate::wait::{self, TimedOut};

/// The broker's AMQP port.
pub const AMQP_PORT: u16 = 5672;
/// The broker's management port.
pub const MANAGEMENT_PORT: u16 = 15672;
/// The database's port.
pub const MYSQL_PORT: u16 = 3306;
/// The administrator's name on both.
const ADMIN: &str = "harness";
/// Longest time from start to ready; a boot takes 7 s on two idle cores.
pub const BOOT_DEADLINE: Duration = Duration::from_mins(1);

/// Which of the two.
pub use harness_model::event::Backend;

/// A running pair, owned by the pool.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) broker: BackendInfo,
    pub(crate) database: BackendInfo,
}

/// Why there is no backend.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// It could not be started.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The engine refused something else.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It did not become ready.
    #[error("{which} is not ready: {timed_out}; its last log lines:\n{log}")]
    NotReady {
        /// `broker` or `database`.
        which: &'static str,
        /// The wait.
        timed_out: TimedOut,
        /// The end of its log.
        log: String,
    },
}

impl Pair {
    /// Starts a broker and a database at the same time and waits until both are ready. `name` is part of the
    /// containers' names, `labels` go on both.
    pub(crate) async fn boot(
        engine: &Engine,
        spec: &PairSpec,
        name: &str,
        network: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Self, BackendError> {
        let start = |which: Backend, image: ImageRef| async move {
            let password = crate::secret::password();
            let launch = launch_alone(which, &image, &password, name, network, labels);
            let container = Container::start(&launch).await?;
            let info = BackendInfo {
                container: container.id().to_owned(),
                ip: engine.container_ip(container.id(), network).await?,
                user: admin_user(which, image.ours).to_owned(),
                password,
                image,
            };
            ready(engine, which, &info, BOOT_DEADLINE).await?;
            Ok::<_, BackendError>((info, container))
        };
        let (broker, database) = tokio::join!(
            start(Backend::Broker, spec.broker.clone()),
            start(Backend::Database, spec.database.clone())
        );
        match (broker, database) {
            (Ok((broker, first)), Ok((database, second))) => {
                first.leave();
                second.leave();
                Ok(Self { broker, database })
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// A pair of backends that run already.
    #[cfg(test)]
    pub(crate) fn of(broker: BackendInfo, database: BackendInfo) -> Self {
        Self { broker, database }
    }

    /// The same pair at its present addresses, which change with a restart.
    pub(crate) async fn at(&self, engine: &Engine, network: &str) -> Self {
        let mut pair = Self {
            broker: self.broker.clone(),
            database: self.database.clone(),
        };
        for info in [&mut pair.broker, &mut pair.database] {
            info.ip = engine
                .container_ip(&info.container, network)
                .await
                .unwrap_or(info.ip);
        }
        pair
    }
}

/// An upstream database image gives its administrator this name; elsewhere it is ours.
pub(crate) fn admin_user(which: Backend, ours: bool) -> &'static str {
    if which == Backend::Database && !ours {
        "root"
    } else {
        ADMIN
    }
}

/// How a backend is started, for who does so by hand.
pub fn launch_alone(
    which: Backend,
    image: &ImageRef,
    password: &str,
    name: &str,
    network: &str,
    labels: &BTreeMap<String, String>,
) -> Launch {
    let word = word(which);
    let variables: &[(&str, &str)] = match (which, image.ours) {
        (_, true) => &[("HARNESS_USER", ADMIN), ("HARNESS_PASSWORD", password)],
        (Backend::Broker, false) => &[
            ("RABBITMQ_DEFAULT_USER", ADMIN),
            ("RABBITMQ_DEFAULT_PASS", password),
        ],
        (Backend::Database, false) => &[("MYSQL_ROOT_PASSWORD", password), ("MYSQL_ROOT_HOST", "%")],
    };
    let command: &[&str] = match (which, image.ours) {
        // The tap reads plain text; the upstream image would offer TLS.
        (Backend::Database, false) => &["--skip-name-resolve", "--tls-version="],
        _ => &[],
    };
    Launch {
        image: image.reference.clone(),
        name: format!("harness-{name}-{word}"),
        // The node's name and data folder depend on it, so it must be the same after a restart.
        hostname: word.to_owned(),
        network: network.to_owned(),
        labels: labels.clone(),
        env: variables
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        ..Launch::default()
    }
}

/// `broker` or `database`.
pub fn word(which: Backend) -> &'static str {
    match which {
        Backend::Broker => "broker",
        Backend::Database => "database",
    }
}

/// The address at which a tap dials a backend.
pub fn address(which: Backend, ip: IpAddr) -> SocketAddr {
    match which {
        Backend::Broker => SocketAddr::new(ip, AMQP_PORT),
        Backend::Database => SocketAddr::new(ip, MYSQL_PORT),
    }
}

/// Waits until a backend answers; says at once when its container has ended instead.
///
/// # Errors
/// [`BackendError::NotReady`] with the end of its log.
pub async fn ready(
    engine: &Engine,
    which: Backend,
    info: &BackendInfo,
    within: Duration,
) -> Result<(), BackendError> {
    let word = word(which);
    let answers = async {
        match which {
            Backend::Broker => {
                let admin = BrokerAdmin::new(info);
                wait::until("the broker to answer", within, || async {
                    amqp_answers(address(which, info.ip)).await?;
                    admin
                        .version()
                        .await
                        .map(drop)
                        .map_err(|error| format!("management interface: {error}"))
                })
                .await
            }
            Backend::Database => {
                wait::until("the database to answer", within, || async {
                    DatabaseAdmin::connect(info)
                        .await
                        .map(drop)
                        .map_err(|error| error.to_string())
                })
                .await
            }
        }
    };
    let ended = engine.wait_exit(&info.container);
    let failed = tokio::select! {
        answer = answers => match answer {
            Ok(()) => return Ok(()),
            Err(timed_out) => timed_out,
        },
        exit = ended => TimedOut {
            what: format!("the {word} to answer"),
            within,
            last_seen: match exit {
                Ok(code) => format!("its container ended with code {code}"),
                Err(error) => error.to_string(),
            },
        },
    };
    let log = engine
        .logs_tail(&info.container, 20)
        .await
        .unwrap_or_else(|error| error.to_string());
    Err(BackendError::NotReady {
        which: word,
        timed_out: failed,
        log,
    })
}

/// Sends the protocol header and waits for the first frame, `connection.start` (AMQP 0-9-1, section 2.2.4).
async fn amqp_answers(addr: SocketAddr) -> Result<(), String> {
    let mut stream = TcpStream::connect(addr)
        .await
        .map_err(|error| format!("dial {addr}: {error}"))?;
    stream
        .write_all(b"AMQP\x00\x00\x09\x01")
        .await
        .map_err(|error| error.to_string())?;
    let mut head = [0_u8; 7];
    stream
        .read_exact(&mut head)
        .await
        .map_err(|error| format!("no connection.start: {error}"))?;
    if head[0] == 1 {
        Ok(())
    } else {
        Err(format!("an unexpected frame of type {}", head[0]))
    }
}

/// SIGKILL. Returns when the engine says that the container has ended.
///
/// # Errors
/// What the engine says.
pub async fn kill(engine: &Engine, info: &BackendInfo) -> Result<i64, EngineError> {
    engine.kill(&info.container, "SIGKILL").await?;
    engine.wait_exit(&info.container).await
}

/// SIGTERM, as an operator's stop: waits for the exit code.
///
/// # Errors
/// What the engine says.
pub async fn stop(engine: &Engine, info: &BackendInfo) -> Result<i64, EngineError> {
    engine.kill(&info.container, "SIGTERM").await?;
    engine.wait_exit(&info.container).await
}

/// Starts an ended backend again, learns its address and waits until it is ready.
///
/// # Errors
/// What the engine says, or that it does not become ready.
pub async fn start(
    engine: &Engine,
    which: Backend,
    info: &mut BackendInfo,
    network: &str,
) -> Result<(), BackendError> {
    engine.start(&info.container).await?;
    info.ip = engine.container_ip(&info.container, network).await?;
    ready(engine, which, info, BOOT_DEADLINE).await
}
