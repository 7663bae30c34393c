//! The container engine: what the harness asks of it beyond starting containers.
//!
//! A thin layer over bollard that gives every call a deadline, every operation its own error, and every removal a label:
//! an engine is shared with other people, so nothing is ever removed by age, by name pattern or by "prune".
//! Containers are *started* through testcontainers, see the module `container`; signals, addresses, logs, events, networks
//! and removal by label are here.
//!
//! Not done here: retries (a call that fails says so), TLS or SSH to a remote engine (containers could not reach the
//! taps on this machine anyway), and Swarm.

mod container;
mod error;
mod events;
mod image;
mod labels;
mod machine;
mod network;
mod once;
mod turn;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bollard::Docker;

pub use self::container::{ContainerState, ExecOutput, Status};
pub use self::error::{Cause, EngineError};
pub use self::events::EngineEvent;
pub use self::image::LocalImage;
pub use self::labels::Removed;
pub use self::machine::{Exec, Machine};
pub use self::network::NetworkSpec;
pub use self::once::Once;
pub(crate) use self::turn::turn;

/// Longest wait for the answer to a question or a small change.
const CALL: Duration = Duration::from_secs(30);
/// Longest wait for the first answer of an engine that may not be there.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection to the engine. Clones share it.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    /// Its networks did not answer in time.
    stuck: Arc<AtomicBool>,
}

/// What the engine says about itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EngineVersion {
    /// Release of the engine, such as `20.10.24`.
    pub version: String,
    /// Newest API version that it speaks, such as `1.41`.
    pub api: String,
    /// Operating system of the containers.
    pub os: String,
    /// Processor architecture in the engine's spelling, such as `amd64`.
    pub arch: String,
}

impl Engine {
    /// Connects to the engine that `DOCKER_HOST` names, else to the local socket, and makes sure that it answers.
    ///
    /// # Errors
    /// [`EngineError::Connect`], with a hint for a person, within five seconds.
    pub async fn connect() -> Result<Self, EngineError> {
        let connect = |cause: Cause| EngineError::Connect { cause };
        let docker = Docker::connect_with_defaults().map_err(|error| connect(error.into()))?;
        call(CONNECT, docker.ping()).await.map_err(connect)?;
        Ok(Self {
            docker,
            stuck: Arc::default(),
        })
    }

    /// Version and platform of the engine.
    ///
    /// # Errors
    /// [`EngineError::Version`].
    pub async fn version(&self) -> Result<EngineVersion, EngineError> {
        let answer = call(CALL, self.docker.version())
            .await
            .map_err(|cause| EngineError::Version { cause })?;
        Ok(EngineVersion {
            version: answer.version.unwrap_or_default(),
            api: answer.api_version.unwrap_or_default(),
            os: answer.os.unwrap_or_default(),
            arch: answer.arch.unwrap_or_default(),
        })
    }
}

/// Gives a call of the engine its deadline.
async fn call<T>(
    deadline: Duration,
    request: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, Cause> {
    match tokio::time::timeout(deadline, request).await {
        Ok(answer) => answer.map_err(Cause::from),
        Err(_) => Err(Cause::Deadline(deadline)),
    }
}
