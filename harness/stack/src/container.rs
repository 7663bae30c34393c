//! Starting containers: one recipe for backends and services, on top of testcontainers.
//!
//! No port is ever published: on the engine's own machine every container is dialled at its address on a bridge
//! network, which makes a refused or reset connection look to the dialler as it does inside, and spares the engine's
//! user-land proxy. Nothing is waited for here; who starts a container knows when it is ready.

use std::collections::BTreeMap;

use testcontainers::core::WaitFor;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

use crate::engine::turn;

/// A container that was started here; it is removed by [`Container::remove`] or, at the latest, by label.
#[derive(Debug)]
pub struct Container {
    inner: ContainerAsync<GenericImage>,
}

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// Image reference: `name:tag` or `name@sha256:..`.
    pub image: String,
    /// Container name.
    pub name: String,
    /// Host name inside; the container name if empty.
    pub hostname: String,
    /// Network.
    pub network: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Environment. Passwords travel here and nowhere else.
    pub env: BTreeMap<String, String>,
    /// Entry point, if not the image's own.
    pub entrypoint: Option<String>,
    /// Command; the image's own if empty.
    pub command: Vec<String>,
}

/// A container that could not be started or removed.
#[derive(Debug, thiserror::Error)]
#[error("{what} {name}: {cause}")]
pub struct ContainerError {
    /// What was tried.
    what: &'static str,
    /// The container.
    name: String,
    /// What the engine says.
    cause: String,
}

impl Container {
    /// Creates and starts a container.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn start(launch: &Launch) -> Result<Self, ContainerError> {
        let (name, tag) = launch.image.rsplit_once(':').unwrap_or((&launch.image, "latest"));
        let hostname = if launch.hostname.is_empty() {
            &launch.name
        } else {
            &launch.hostname
        };
        let mut image = GenericImage::new(name, tag).with_wait_for(WaitFor::Nothing);
        if let Some(entrypoint) = &launch.entrypoint {
            image = image.with_entrypoint(entrypoint);
        }
        let mut request = image
            .with_container_name(&launch.name)
            .with_hostname(hostname)
            .with_network(&launch.network)
            .with_labels(&launch.labels)
            .with_host_config_modifier(|host| {
                host.publish_all_ports = Some(false);
                // Erlang reserves memory by the limit of open files; engines that set none make it start slowly.
                host.ulimits = Some(vec![bollard::models::ResourcesUlimits {
                    name: Some("nofile".to_owned()),
                    soft: Some(8192),
                    hard: Some(8192),
                }]);
            });
        for (key, value) in &launch.env {
            request = request.with_env_var(key, value);
        }
        if !launch.command.is_empty() {
            request = request.with_cmd(&launch.command);
        }
        let inner = request.start().await.map_err(|error| ContainerError {
            what: "cannot start container",
            name: launch.name.clone(),
            cause: error.to_string(),
        })?;
        Ok(Self { inner })
    }

    /// Its id on the engine.
    pub fn id(&self) -> &str {
        self.inner.id()
    }

    /// Leaves it running after this value is gone; whoever owns its labels removes it.
    pub fn leave(self) {
        // testcontainers removes a container when its handle is dropped, and offers no other way to let go of it.
        std::mem::forget(self.inner);
    }

    /// Kills and removes it, with its anonymous volumes.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn remove(self) -> Result<(), ContainerError> {
        let name = self.inner.id().to_owned();
        let _turn = turn().await;
        self.inner.rm().await.map_err(|error| ContainerError {
            what: "cannot remove container",
            name,
            cause: error.to_string(),
        })
    }
}
