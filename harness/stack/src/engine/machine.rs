//! Containers that stand for a machine or serve one: with folders of this machine in them, on its network or with a port on
//! its loopback; commands in them with an environment; images made of them, and pushed.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::models::{ContainerConfig, ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters as query;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{CALL, Cause, Engine, EngineError, ExecOutput, call};

/// Longest silence of the engine while it pushes.
const SILENCE: Duration = Duration::from_mins(2);

/// Such a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Image reference.
    pub image: String,
    /// Container name.
    pub name: String,
    /// Network; `host` is that of the engine's machine.
    pub network: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// What of this machine is seen inside: `HERE:THERE` or `HERE:THERE:ro`.
    pub binds: Vec<String>,
    /// Entry point with its arguments; the image's own if empty.
    pub entrypoint: Vec<String>,
    /// A TCP port that is published on loopback, at a port that the engine chooses.
    pub on_loopback: Option<u16>,
}

/// A command inside a container.
#[derive(Debug, Clone, Default)]
pub struct Exec {
    /// The command.
    pub command: Vec<String>,
    /// Variables besides the container's own.
    pub env: BTreeMap<String, String>,
    /// Folder; the container's own if empty.
    pub dir: String,
    /// Longest run.
    pub within: Duration,
}

impl Engine {
    /// Creates and starts such a container, and returns its id.
    ///
    /// # Errors
    /// [`EngineError::Create`], [`EngineError::Start`].
    pub async fn start_machine(&self, machine: &Machine) -> Result<String, EngineError> {
        let id = self.create_machine(machine).await?;
        self.start(&id).await?;
        Ok(id)
    }

    async fn create_machine(&self, machine: &Machine) -> Result<String, EngineError> {
        let mut host = HostConfig {
            binds: Some(machine.binds.clone()),
            network_mode: (!machine.network.is_empty()).then(|| machine.network.clone()),
            ..Default::default()
        };
        let mut body = ContainerCreateBody {
            image: Some(machine.image.clone()),
            labels: Some(machine.labels.clone().into_iter().collect()),
            env: Some(variables(&machine.env)),
            entrypoint: (!machine.entrypoint.is_empty()).then(|| machine.entrypoint.clone()),
            ..Default::default()
        };
        if let Some(port) = machine.on_loopback {
            let port = format!("{port}/tcp");
            let loopback = PortBinding {
                host_ip: Some("127.0.0.1".to_owned()),
                host_port: Some(String::new()),
            };
            host.port_bindings = Some(HashMap::from([(port.clone(), Some(vec![loopback]))]));
            body.exposed_ports = Some(vec![port]);
        }
        body.host_config = Some(host);
        let options = query::CreateContainerOptionsBuilder::new()
            .name(&machine.name)
            .build();
        let made = call(CALL, self.docker.create_container(Some(options), body)).await;
        made.map(|made| made.id).map_err(|cause| EngineError::Create {
            container: machine.name.clone(),
            cause,
        })
    }

    /// The port of this machine at which a port of a running container is published.
    ///
    /// # Errors
    /// [`EngineError::Inspect`], also if it is not published.
    pub async fn published(&self, container: &str, port: u16) -> Result<u16, EngineError> {
        let settings = self.raw(container).await?.network_settings;
        settings
            .and_then(|settings| settings.ports)
            .and_then(|mut ports| ports.remove(&format!("{port}/tcp")).flatten())
            .and_then(|bindings| bindings.into_iter().next()?.host_port?.parse().ok())
            .ok_or_else(|| EngineError::Inspect {
                container: container.to_owned(),
                cause: Cause::Answer(format!("its port {port} is not published")),
            })
    }

    /// Addresses of a running container by the names of its networks.
    ///
    /// # Errors
    /// [`EngineError::Inspect`].
    pub async fn addresses(&self, container: &str) -> Result<BTreeMap<String, IpAddr>, EngineError> {
        let settings = self.raw(container).await?.network_settings;
        let networks = settings
            .and_then(|settings| settings.networks)
            .unwrap_or_default();
        Ok(networks
            .into_iter()
            .filter_map(|(name, endpoint)| Some((name, endpoint.ip_address?.parse().ok()?)))
            .collect())
    }

    /// Runs a command inside a running container and returns what it wrote. Its exit code is not judged.
    ///
    /// # Errors
    /// [`EngineError::Exec`], also when it takes too long; it may then still run.
    pub async fn exec_in(&self, container: &str, exec: &Exec) -> Result<ExecOutput, EngineError> {
        let run = async {
            let options = CreateExecOptions {
                cmd: Some(exec.command.clone()),
                env: Some(variables(&exec.env)),
                working_dir: (!exec.dir.is_empty()).then(|| exec.dir.clone()),
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
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            Ok((code, text(stdout), text(stderr)))
        };
        // The command's own words may hold a secret; its name does not.
        let failed = |cause| EngineError::Exec {
            container: container.to_owned(),
            command: exec.command.first().cloned().unwrap_or_default(),
            cause,
        };
        match call(exec.within, run).await {
            Ok((Some(code), stdout, stderr)) => Ok(ExecOutput { code, stdout, stderr }),
            Ok((None, ..)) => Err(failed(Cause::Answer("the engine gives no exit code".to_owned()))),
            Err(cause) => Err(failed(cause)),
        }
    }

    /// Makes an image without a name from another one, changed by lines as in a Dockerfile, and returns its id. The
    /// container that this takes is made with `labels` and is never started.
    ///
    /// # Errors
    /// [`EngineError::Create`], [`EngineError::Commit`].
    pub async fn changed_image(
        &self,
        image: &str,
        changes: &[String],
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, EngineError> {
        let machine = Machine {
            image: image.to_owned(),
            name: name.to_owned(),
            network: "none".to_owned(),
            labels: labels.clone(),
            ..Machine::default()
        };
        let container = self.create_machine(&machine).await?;
        let options = query::CommitContainerOptionsBuilder::new()
            .container(&container)
            .pause(false)
            .changes(&changes.join("\n"))
            .build();
        let config = ContainerConfig {
            labels: Some(labels.clone().into_iter().collect()),
            ..Default::default()
        };
        let made = call(CALL, self.docker.commit_container(options, config)).await;
        self.remove_container(&container).await?;
        made.map(|made| made.id).map_err(|cause| EngineError::Commit {
            container: name.to_owned(),
            cause,
        })
    }

    /// Makes an image of a container with what is in it now, but for volumes. `labels` take the place of the container's.
    ///
    /// # Errors
    /// [`EngineError::Commit`].
    pub async fn commit(
        &self,
        container: &str,
        tag: &str,
        labels: BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        let (repository, tag) = super::image::split_reference(tag);
        let options = query::CommitContainerOptionsBuilder::new()
            .container(container)
            .repo(repository)
            .tag(tag)
            .build();
        let config = ContainerConfig {
            labels: Some(labels.into_iter().collect()),
            ..Default::default()
        };
        let made = call(SILENCE, self.docker.commit_container(options, config)).await;
        made.map(drop).map_err(|cause| EngineError::Commit {
            container: container.to_owned(),
            cause,
        })
    }

    /// Pushes an image, by its name `registry/repository:tag`, without credentials.
    ///
    /// # Errors
    /// [`EngineError::Push`].
    pub async fn push(&self, name: &str) -> Result<(), EngineError> {
        let (repository, tag) = super::image::split_reference(name);
        let options = query::PushImageOptionsBuilder::new().tag(tag).build();
        let failed = |cause| EngineError::Push {
            image: name.to_owned(),
            cause,
        };
        let mut messages = std::pin::pin!(self.docker.push_image(repository, Some(options), None));
        loop {
            match tokio::time::timeout(SILENCE, messages.next()).await {
                Ok(Some(Ok(info))) => {
                    if let Some(why) = info.error_detail.and_then(|detail| detail.message) {
                        return Err(failed(Cause::Answer(why)));
                    }
                }
                Ok(Some(Err(error))) => return Err(failed(error.into())),
                Ok(None) => return Ok(()),
                Err(_) => return Err(failed(Cause::Deadline(SILENCE))),
            }
        }
    }
}

fn variables(env: &BTreeMap<String, String>) -> Vec<String> {
    env.iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}
