//! The engine's own events: an account of starts, ends and signals that no tap can see.

use std::collections::{BTreeMap, HashMap};

use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::{Stream, StreamExt as _};

use super::{Engine, EngineError};

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EngineEvent {
    /// What: `start`, `die`, `kill`, `oom`, `pause`, ..
    pub action: String,
    /// Full id of the container.
    pub container: String,
    /// When, in nanoseconds since 1970, by the engine's clock.
    pub time_nanos: i64,
    /// Labels of the container, its `name` and `image`, and what belongs to the action, such as `exitCode` or `signal`.
    pub attributes: BTreeMap<String, String>,
}

impl Engine {
    /// Follows the events of all containers with a label, from now on; with `since`, in seconds since 1970, also what
    /// the engine remembers from then. The stream ends when the engine does; the caller bounds how long it listens.
    pub fn events(
        &self,
        label: &str,
        value: &str,
        since: Option<i64>,
    ) -> impl Stream<Item = Result<EngineEvent, EngineError>> + Send + use<> {
        let filters = HashMap::from([
            ("type", vec!["container".to_owned()]),
            ("label", vec![format!("{label}={value}")]),
        ]);
        let mut options = EventsOptionsBuilder::new().filters(&filters);
        if let Some(since) = since {
            options = options.since(&since.to_string());
        }
        let docker = self.docker.clone();
        let events = docker.events(Some(options.build())).boxed();
        events.map(|event| {
            event
                .map(event_of)
                .map_err(|error| EngineError::Events { cause: error.into() })
        })
    }
}

fn event_of(message: EventMessage) -> EngineEvent {
    let actor = message.actor.unwrap_or_default();
    EngineEvent {
        action: message.action.unwrap_or_default(),
        container: actor.id.unwrap_or_default(),
        time_nanos: message.time_nano.unwrap_or_default(),
        attributes: actor.attributes.unwrap_or_default().into_iter().collect(),
    }
}
