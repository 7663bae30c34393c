//! One container: signals, state, address, commands, log.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{ContainerInspectResponse, ContainerUpdateBody};
use bollard::query_parameters as query;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{CALL, Cause, Engine, EngineError, call, turn};

/// Longest wait for a container's end: longer than any grace period in use.
const EXIT: Duration = Duration::from_mins(2);
/// Longest run of a command inside a container.
const EXEC: Duration = Duration::from_mins(1);

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Created and never started.
    Created,
    /// Its process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its process has ended.
    Exited,
    /// The engine is removing, restarting or losing it.
    Other,
}

/// A container as the engine sees it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Where it is in its life.
    pub status: Status,
    /// Exit code of the last run; 0 while it runs.
    pub exit_code: i64,
    /// The kernel ended it for want of memory.
    pub oom_killed: bool,
    /// Process id on the engine's machine; 0 if it does not run.
    pub pid: i64,
    /// Start of the last run, RFC 3339.
    pub started_at: String,
    /// End of the last run, RFC 3339; year 1 if there was none.
    pub finished_at: String,
    /// Id of its image.
    pub image_id: String,
}

/// What a command inside a container wrote, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code.
    pub code: i64,
    /// Standard output; bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
            Self::Other => "in transition",
        })
    }
}

impl Engine {
    /// Starts a created or ended container again. A container that runs already is left alone.
    ///
    /// # Errors
    /// [`EngineError::Start`].
    pub async fn start(&self, container: &str) -> Result<(), EngineError> {
        let request = self
            .docker
            .start_container(container, None::<query::StartContainerOptions>);
        call(CALL, request).await.map_err(|cause| EngineError::Start {
            container: container.to_owned(),
            cause,
        })
    }

    /// Sends SIGTERM, waits for `grace` in whole seconds, then sends SIGKILL. Returns when the container has ended.
    ///
    /// # Errors
    /// [`EngineError::Stop`].
    pub async fn stop(&self, container: &str, grace: Duration) -> Result<(), EngineError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = query::StopContainerOptionsBuilder::new().t(seconds).build();
        call(grace + CALL, self.docker.stop_container(container, Some(options)))
            .await
            .map_err(|cause| EngineError::Stop {
                container: container.to_owned(),
                cause,
            })
    }

    /// Sends a signal, such as `SIGKILL`, to a container's first process. Does not wait for its effect, see
    /// [`Engine::wait_exit`]. An error if the container does not run.
    ///
    /// # Errors
    /// [`EngineError::Kill`].
    pub async fn kill(&self, container: &str, signal: &str) -> Result<(), EngineError> {
        let options = query::KillContainerOptionsBuilder::new().signal(signal).build();
        call(CALL, self.docker.kill_container(container, Some(options)))
            .await
            .map_err(|cause| EngineError::Kill {
                container: container.to_owned(),
                signal: signal.to_owned(),
                cause,
            })
    }

    /// Freezes all processes of a container. Its connections stay open and silent.
    ///
    /// # Errors
    /// [`EngineError::Pause`].
    pub async fn pause(&self, container: &str) -> Result<(), EngineError> {
        call(CALL, self.docker.pause_container(container))
            .await
            .map_err(|cause| EngineError::Pause {
                container: container.to_owned(),
                cause,
            })
    }

    /// Lets a frozen container run on.
    ///
    /// # Errors
    /// [`EngineError::Resume`].
    pub async fn unpause(&self, container: &str) -> Result<(), EngineError> {
        call(CALL, self.docker.unpause_container(container))
            .await
            .map_err(|cause| EngineError::Resume {
                container: container.to_owned(),
                cause,
            })
    }

    /// Limits a running container: memory in bytes, processor time in billionths of a processor. `None` leaves a limit
    /// as it is.
    ///
    /// # Errors
    /// [`EngineError::Limit`].
    pub async fn limit(
        &self,
        container: &str,
        memory: Option<i64>,
        nano_cpus: Option<i64>,
    ) -> Result<(), EngineError> {
        // Swap is limited together with memory: the engine refuses a memory limit above the swap limit.
        let body = ContainerUpdateBody {
            memory,
            memory_swap: memory,
            nano_cpus,
            ..Default::default()
        };
        call(CALL, self.docker.update_container(container, body))
            .await
            .map_err(|cause| EngineError::Limit {
                container: container.to_owned(),
                cause,
            })
    }

    /// The memory that a running container uses now, in bytes, with what it has in files in memory.
    ///
    /// # Errors
    /// [`EngineError::Inspect`].
    pub async fn memory_used(&self, container: &str) -> Result<i64, EngineError> {
        let options = query::StatsOptions {
            stream: false,
            one_shot: true,
        };
        let mut readings = self.docker.stats(container, Some(options));
        let used = match call(CALL, readings.try_next()).await {
            Ok(reading) => reading
                .and_then(|reading| reading.memory_stats?.usage)
                .and_then(|used| i64::try_from(used).ok())
                .ok_or_else(|| Cause::Answer("it tells no use of memory".to_owned())),
            Err(cause) => Err(cause),
        };
        used.map_err(|cause| EngineError::Inspect {
            container: container.to_owned(),
            cause,
        })
    }

    /// State of a container.
    ///
    /// # Errors
    /// [`EngineError::Inspect`].
    pub async fn inspect(&self, container: &str) -> Result<ContainerState, EngineError> {
        self.raw(container).await.map(state)
    }

    /// Address of a running container on a network, by the network's name. It may change when the container starts
    /// again.
    ///
    /// # Errors
    /// [`EngineError::Inspect`], also if the container is not on that network or does not run.
    pub async fn container_ip(&self, container: &str, network: &str) -> Result<IpAddr, EngineError> {
        self.raw(container)
            .await?
            .network_settings
            .and_then(|settings| settings.networks)
            .and_then(|mut networks| networks.remove(network))
            .and_then(|endpoint| endpoint.ip_address)
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| EngineError::Inspect {
                container: container.to_owned(),
                cause: Cause::Answer(format!("it has no address on network {network}; does it run?")),
            })
    }

    /// Waits until a container has ended and returns its exit code: 137 after a SIGKILL.
    ///
    /// # Errors
    /// [`EngineError::WaitExit`], also after two minutes.
    pub async fn wait_exit(&self, container: &str) -> Result<i64, EngineError> {
        use bollard::errors::Error;
        let failed = |cause| EngineError::WaitExit {
            container: container.to_owned(),
            cause,
        };
        let mut ends = self
            .docker
            .wait_container(container, None::<query::WaitContainerOptions>);
        match tokio::time::timeout(EXIT, ends.next()).await {
            Ok(Some(Ok(end))) => Ok(end.status_code),
            // The client reports a code other than 0 as an error.
            Ok(Some(Err(Error::DockerContainerWaitError { code, .. }))) => Ok(code),
            Ok(Some(Err(error))) => Err(failed(error.into())),
            Ok(None) => Err(failed(Cause::Answer(
                "the engine closed the connection".to_owned(),
            ))),
            Err(_) => Err(failed(Cause::Deadline(EXIT))),
        }
    }

    /// Runs a command inside a running container and returns what it wrote. Its exit code is not judged.
    ///
    /// # Errors
    /// [`EngineError::Exec`], also after a minute; the command may then still run.
    pub async fn exec(&self, container: &str, command: &[&str]) -> Result<ExecOutput, EngineError> {
        let run = async {
            let options = CreateExecOptions {
                cmd: Some(command.to_vec()),
                attach_stdout: Some(true),
                attach_stderr: Some(true),
                ..Default::default()
            };
            let id = self.docker.create_exec(container, options).await?.id;
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            if let StartExecResults::Attached { mut output, .. } =
                self.docker.start_exec(&id, None::<StartExecOptions>).await?
            {
                while let Some(chunk) = output.try_next().await? {
                    match chunk {
                        LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                        other => stdout.extend_from_slice(&other.into_bytes()),
                    }
                }
            }
            let code = self.docker.inspect_exec(&id).await?.exit_code;
            Ok((code, text(&stdout), text(&stderr)))
        };
        let failed = |cause| EngineError::Exec {
            container: container.to_owned(),
            command: command.join(" "),
            cause,
        };
        match call(EXEC, run).await {
            Ok((Some(code), stdout, stderr)) => Ok(ExecOutput { code, stdout, stderr }),
            Ok((None, ..)) => Err(failed(Cause::Answer("the engine gives no exit code".to_owned()))),
            Err(cause) => Err(failed(cause)),
        }
    }

    /// The last `lines` lines of a container's log, both streams in the order of the engine.
    ///
    /// # Errors
    /// [`EngineError::Logs`].
    pub async fn logs_tail(&self, container: &str, lines: usize) -> Result<String, EngineError> {
        self.logs(container, &lines.to_string()).await
    }

    /// A container's whole log, both streams in the order of the engine.
    ///
    /// # Errors
    /// [`EngineError::Logs`].
    pub async fn logs_all(&self, container: &str) -> Result<String, EngineError> {
        self.logs(container, "all").await
    }

    /// Kills a container if it runs, and removes it with its anonymous volumes. One that is gone already is no error; one
    /// that another process is removing is waited for, because its network cannot be removed before it is gone.
    ///
    /// # Errors
    /// [`EngineError::RemoveContainer`].
    pub async fn remove_container(&self, container: &str) -> Result<(), EngineError> {
        let options = query::RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        let _turn = turn().await;
        let mut removed = call(CALL, self.docker.remove_container(container, Some(options))).await;
        // Another removal is under way, by another process that reaps by the same label.
        if matches!(&removed, Err(cause) if cause.status() == Some(409)) {
            let options = query::WaitContainerOptionsBuilder::new()
                .condition("removed")
                .build();
            let gone = self.docker.wait_container(container, Some(options));
            removed = call(CALL, gone.try_for_each(|_| std::future::ready(Ok(())))).await;
        }
        match removed {
            // Waiting tells how the container ended, as an error if that was not with 0.
            Err(Cause::Api(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
            Err(cause) if !cause.is_not_found() => Err(EngineError::RemoveContainer {
                container: container.to_owned(),
                cause,
            }),
            _ => Ok(()),
        }
    }

    async fn logs(&self, container: &str, tail: &str) -> Result<String, EngineError> {
        let options = query::LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .tail(tail)
            .build();
        let read = self
            .docker
            .logs(container, Some(options))
            .try_fold(Vec::new(), |mut all, chunk| async {
                all.extend_from_slice(&chunk.into_bytes());
                Ok(all)
            });
        let bytes = call(CALL, read).await.map_err(|cause| EngineError::Logs {
            container: container.to_owned(),
            cause,
        })?;
        Ok(text(&bytes))
    }

    pub(super) async fn raw(&self, container: &str) -> Result<ContainerInspectResponse, EngineError> {
        call(
            CALL,
            self.docker
                .inspect_container(container, None::<query::InspectContainerOptions>),
        )
        .await
        .map_err(|cause| EngineError::Inspect {
            container: container.to_owned(),
            cause,
        })
    }
}

fn state(answer: ContainerInspectResponse) -> ContainerState {
    use bollard::models::ContainerStateStatusEnum as Engine;
    let state = answer.state.unwrap_or_default();
    ContainerState {
        id: answer.id.unwrap_or_default(),
        name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        status: match state.status {
            Some(Engine::CREATED) => Status::Created,
            Some(Engine::RUNNING) => Status::Running,
            Some(Engine::PAUSED) => Status::Paused,
            Some(Engine::EXITED) => Status::Exited,
            _ => Status::Other,
        },
        exit_code: state.exit_code.unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
        pid: state.pid.unwrap_or_default(),
        started_at: state.started_at.unwrap_or_default(),
        finished_at: state.finished_at.unwrap_or_default(),
        image_id: answer.image.unwrap_or_default(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
