//! A container that runs one command and is gone, and containers as the engine describes them.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters as query;
use futures::{StreamExt as _, TryStreamExt as _};

use super::{CALL, Cause, Engine, EngineError, ExecOutput, call};

/// One command in a container of its own.
#[derive(Debug, Clone, Default)]
pub struct Once {
    /// Image reference.
    pub image: String,
    /// The command.
    pub command: Vec<String>,
    /// Folders of this machine that it sees under the same paths, read-only.
    pub read_only: BTreeSet<PathBuf>,
}

impl Engine {
    /// Runs a command in a container without a network. The engine itself removes the container at the command's end, so
    /// none stays behind whoever dies first.
    ///
    /// # Errors
    /// [`EngineError::Exec`], also after half a minute; the command may then still run.
    pub async fn run_once(&self, once: &Once) -> Result<ExecOutput, EngineError> {
        let failed = |cause| EngineError::Exec {
            container: format!("of image {}", once.image),
            command: once.command.join(" "),
            cause,
        };
        call(CALL, self.attached(once)).await.map_err(failed)
    }

    async fn attached(&self, once: &Once) -> Result<ExecOutput, bollard::errors::Error> {
        let binds = once.read_only.iter().map(|folder| {
            let folder = folder.display();
            format!("{folder}:{folder}:ro")
        });
        let body = ContainerCreateBody {
            image: Some(once.image.clone()),
            // Whatever the image's own entry point is.
            entrypoint: Some(once.command.iter().take(1).cloned().collect()),
            cmd: Some(once.command.iter().skip(1).cloned().collect()),
            host_config: Some(HostConfig {
                auto_remove: Some(true),
                binds: Some(binds.collect()),
                network_mode: Some("none".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let id = self
            .docker
            .create_container(None::<query::CreateContainerOptions>, body)
            .await?
            .id;
        let attach = query::AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdout(true)
            .stderr(true)
            .build();
        let mut output = self.docker.attach_container(&id, Some(attach)).await?.output;
        // Asked before the start: afterwards the container may be gone.
        let next = query::WaitContainerOptionsBuilder::new()
            .condition("next-exit")
            .build();
        let mut end = self.docker.wait_container(&id, Some(next));
        let ended = async { end.next().await };
        let spoken = async {
            self.docker
                .start_container(&id, None::<query::StartContainerOptions>)
                .await?;
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            while let Some(chunk) = output.try_next().await? {
                match chunk {
                    LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                    other => stdout.extend_from_slice(&other.into_bytes()),
                }
            }
            Ok((stdout, stderr))
        };
        let (ended, spoken) = futures::future::join(ended, spoken).await;
        let (stdout, stderr) = match spoken {
            Ok(spoken) => spoken,
            Err(error) => {
                // It never ran, so its end does not remove it.
                drop(self.remove_container(&id).await);
                return Err(error);
            }
        };
        let code = match ended {
            Some(Ok(end)) => end.status_code,
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return Err(error),
            None => -1,
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(ExecOutput {
            code,
            stdout: text(stdout),
            stderr: text(stderr),
        })
    }

    /// The containers that carry a label (`name=value`), whether they run or not, and their images: two arrays in JSON, as
    /// `docker inspect` and `docker image inspect` print them.
    ///
    /// # Errors
    /// [`EngineError::List`], [`EngineError::Inspect`], [`EngineError::InspectImage`].
    pub async fn described(&self, label: &str) -> Result<(String, String), EngineError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = query::ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let listed = call(CALL, self.docker.list_containers(Some(options)))
            .await
            .map_err(|cause| EngineError::List {
                what: "containers",
                cause,
            })?;
        let (mut containers, mut ids) = (Vec::new(), BTreeSet::new());
        for id in listed.into_iter().filter_map(|container| container.id) {
            let container = self.raw(&id).await?;
            ids.extend(container.image.clone());
            containers.push(container);
        }
        let mut images = Vec::new();
        for id in ids {
            match call(CALL, self.docker.inspect_image(&id)).await {
                Ok(image) => images.push(image),
                // It was removed while a container of it ran.
                Err(cause) if cause.is_not_found() => {}
                Err(cause) => return Err(EngineError::InspectImage { image: id, cause }),
            }
        }
        let bad = |error: serde_json::Error| EngineError::List {
            what: "containers",
            cause: Cause::Answer(error.to_string()),
        };
        let containers = serde_json::to_string(&containers).map_err(bad)?;
        Ok((containers, serde_json::to_string(&images).map_err(bad)?))
    }
}
