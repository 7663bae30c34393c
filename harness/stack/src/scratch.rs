//! A database for one look at something: a dump is restored into it, read, and thrown away.
//!
//! Not one of the pool's: it belongs to the lease whose labels it carries, and goes with it at the latest. It need not
//! survive a crash, so it does not write as if it had to. Putting a dump into it is the caller's part.

use std::collections::BTreeMap;

use crate::admin::DatabaseAdmin;
use crate::backend::{self, BOOT_DEADLINE, Backend, BackendError};
use crate::container::{Container, ContainerError};
use crate::engine::Engine;
use crate::pool::{BackendInfo, ImageRef};
use crate::secret;

/// A running scratch database.
#[derive(Debug)]
pub struct Scratch {
    container: Container,
    info: BackendInfo,
}

impl Scratch {
    /// Starts one and waits until it answers. `name` is part of its container's name.
    ///
    /// # Errors
    /// When it does not start, or does not answer.
    pub async fn start(
        engine: &Engine,
        image: &ImageRef,
        name: &str,
        network: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Self, BackendError> {
        let password = secret::password();
        let mut launch = backend::launch_alone(Backend::Database, image, &password, name, network, labels);
        launch.name = format!("harness-{name}-scratch");
        // Events of a restored copy must not happen.
        let careless = [
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-innodb-doublewrite",
            "--event-scheduler=OFF",
        ];
        launch.command.extend(careless.map(str::to_owned));
        let container = Container::start(&launch).await?;
        let info = BackendInfo {
            container: container.id().to_owned(),
            ip: engine.container_ip(container.id(), network).await?,
            user: backend::admin_user(Backend::Database, image.ours).to_owned(),
            password,
            image: image.clone(),
        };
        backend::ready(engine, Backend::Database, &info, BOOT_DEADLINE).await?;
        Ok(Self { container, info })
    }

    /// How it is reached.
    pub fn info(&self) -> &BackendInfo {
        &self.info
    }

    /// An administrator's session in one of its schemas.
    ///
    /// # Errors
    /// When there is no such schema.
    pub async fn schema(&self, schema: &str) -> Result<DatabaseAdmin, crate::admin::DatabaseError> {
        let mut admin = DatabaseAdmin::connect(&self.info).await?;
        admin.select_schema(schema).await?;
        Ok(admin)
    }

    /// Removes it with all that is in it.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn remove(self) -> Result<(), ContainerError> {
        self.container.remove().await
    }
}
