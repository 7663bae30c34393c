//! What is on the engine, for tests of the harness' own cleaning up: what carries the label of a state folder, and a
//! container that is somebody else's.
//!
//! Blocking, with a runtime of its own: these tests run the `harness` command from outside, they are no trials.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use harness_stack::container::{Container, Launch};
use harness_stack::engine::{Engine, Status};
use harness_stack::pool::{LEASE_LABEL, STATE_LABEL};
use harness_stack::wait;
use tokio::runtime::Runtime;

/// An observer of the engine.
#[derive(Debug)]
pub struct Observer {
    runtime: Runtime,
    engine: Engine,
}

/// Somebody else's container: it carries none of our labels. [`Stranger::end`] removes it.
#[derive(Debug)]
#[must_use = "it is removed by `end`"]
pub struct Stranger(Container);

impl Observer {
    /// Connects to the engine.
    ///
    /// # Errors
    /// When none answers.
    pub fn new() -> Result<Self, String> {
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let engine = runtime
            .block_on(Engine::connect())
            .map_err(|error| error.to_string())?;
        Ok(Self { runtime, engine })
    }

    /// What belongs to pools of this state folder. A container, running or not, or a network is `pool` if it is the pool's
    /// own and `lease NAME` if a trial has started it; then there are `volume NAME` and `image ID`.
    ///
    /// # Errors
    /// What the engine says.
    pub fn remains(&self, state: &Path) -> Result<Vec<String>, String> {
        self.runtime.block_on(remains(&self.engine, state))
    }

    /// Waits until a condition holds of what [`Observer::remains`] gives.
    ///
    /// # Errors
    /// When it does not hold in time, with what was seen last.
    pub fn wait(
        &self,
        what: &str,
        state: &Path,
        within: Duration,
        holds: impl Fn(&[String]) -> bool,
    ) -> Result<(), String> {
        let waited = wait::until(what, within, || async {
            let found = remains(&self.engine, state).await?;
            if holds(&found) {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        });
        self.runtime
            .block_on(waited)
            .map_err(|timed_out| timed_out.to_string())
    }

    /// Starts somebody else's container from an image that the engine has.
    ///
    /// # Errors
    /// What the engine says.
    pub fn stranger(&self, name: &str, image: &str) -> Result<Stranger, String> {
        let launch = Launch {
            image: image.to_owned(),
            name: name.to_owned(),
            network: "none".to_owned(),
            entrypoint: Some("/bin/sleep".to_owned()),
            command: vec!["900".to_owned()],
            ..Launch::default()
        };
        let started = self.runtime.block_on(Container::start(&launch));
        started.map(Stranger).map_err(|error| error.to_string())
    }

    /// Whether the stranger runs; removes it.
    ///
    /// # Errors
    /// What the engine says.
    pub fn end(&self, stranger: Stranger) -> Result<bool, String> {
        self.runtime.block_on(async {
            let state = self
                .engine
                .inspect(stranger.0.id())
                .await
                .map_err(|error| error.to_string())?;
            stranger.0.remove().await.map_err(|error| error.to_string())?;
            Ok(state.status == Status::Running)
        })
    }
}

async fn remains(engine: &Engine, state: &Path) -> Result<Vec<String>, String> {
    let labels = BTreeMap::from([(STATE_LABEL.to_owned(), state.display().to_string())]);
    let found = engine
        .labels_of_all(&labels)
        .await
        .map_err(|error| error.to_string())?;
    let whose = |labels: &BTreeMap<String, String>| match labels.get(LEASE_LABEL) {
        Some(lease) => format!("lease {lease}"),
        None => "pool".to_owned(),
    };
    let mut left: Vec<_> = found.iter().map(whose).collect();
    let named = engine
        .names_labelled(STATE_LABEL, &state.display().to_string())
        .await;
    let named = named.map_err(|error| error.to_string())?;
    left.extend(named.into_iter().filter(|name| name.starts_with("volume")));
    let images = engine.images_labelled(&labels).await;
    let images = images.map_err(|error| error.to_string())?;
    left.extend(images.into_iter().map(|id| format!("image {id}")));
    Ok(left)
}
