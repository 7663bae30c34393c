//! Containers that are not the trial's: somebody else's, and those that a killed pool has left.

use std::collections::BTreeMap;

use harness_runner::environment::Failure;
use harness_stack::container::{Container, Launch};
use harness_stack::engine::Status;
use harness_stack::pool::{self, POOL_LABEL, Paths, Reaped, STATE_LABEL};

use crate::cx::Cx;
use crate::world::lock;

/// A container that nobody of us may touch. It is removed when the value is dropped.
#[must_use = "it is removed when this is dropped"]
pub struct Foreign {
    container: Container,
    engine: harness_stack::engine::Engine,
}

impl Foreign {
    /// Its id on the engine.
    pub(crate) fn id(&self) -> &str {
        self.container.id()
    }

    /// Checks that it runs, then ends it.
    ///
    /// # Errors
    /// Fail if it does not run.
    pub async fn still_runs(self) -> Result<(), Failure> {
        let refused =
            |error: &dyn std::fmt::Display| Failure::infra(format!("the foreign container: {error}"));
        let state = self.engine.inspect(self.container.id()).await;
        let status = state.map(|state| state.status);
        self.container.remove().await.map_err(|error| refused(&error))?;
        match status {
            Ok(Status::Running) => Ok(()),
            Ok(other) => Err(Failure::fail(format!(
                "a container that is not ours is {other:?}"
            ))),
            Err(error) => Err(Failure::fail(format!(
                "a container that is not ours is gone: {error}"
            ))),
        }
    }
}

impl Cx {
    async fn idle_container(
        &self,
        name: &str,
        labels: BTreeMap<String, String>,
    ) -> Result<Container, Failure> {
        let (image, lease) = {
            let grant = lock(&self.world.grant);
            (grant.broker.image.reference.clone(), grant.lease.clone())
        };
        let launch = Launch {
            image,
            name: format!("{name}-{lease}"),
            network: "none".to_owned(),
            labels,
            entrypoint: Some("/bin/sleep".to_owned()),
            command: vec!["600".to_owned()],
            ..Launch::default()
        };
        let started = Container::start(&launch).await;
        started.map_err(|error| Failure::infra(format!("start a container: {error}")))
    }

    /// Starts a container without any of our labels.
    ///
    /// # Errors
    /// Infra when the engine refuses.
    pub async fn foreign_container(&self) -> Result<Foreign, Failure> {
        let container = self.idle_container("somebody-elses", BTreeMap::new()).await?;
        Ok(Foreign {
            container,
            engine: self.world.engine.clone(),
        })
    }

    /// Starts a container that looks as if a pool that was killed had left it.
    ///
    /// # Errors
    /// Infra when the engine refuses.
    pub async fn orphan_of_a_dead_pool(&self) -> Result<(), Failure> {
        let dead = format!("dead-{}", lock(&self.world.grant).lease);
        let labels = [
            (POOL_LABEL, dead),
            (STATE_LABEL, self.state()?.dir().display().to_string()),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value)).into();
        self.idle_container("orphan", labels).await?.leave();
        Ok(())
    }

    /// Removes what dead pools have left, as every command does when it starts.
    ///
    /// # Errors
    /// Infra when the engine refuses.
    pub async fn reap(&self) -> Result<Reaped, Failure> {
        let reaped = pool::reap(&self.world.engine, &self.state()?).await;
        reaped.map_err(|error| Failure::infra(format!("reap: {error}")))
    }

    #[expect(clippy::unused_self, reason = "the folder belongs to the trial's user")]
    fn state(&self) -> Result<Paths, Failure> {
        Paths::of_user().map_err(|error| Failure::infra(error.to_string()))
    }
}
