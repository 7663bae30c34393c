//! The broker runs out of memory or disk, and blocks everybody who publishes.
//!
//! Inject: its limit is set so that it has too little. Bit: `connection.blocked` is seen on a link of the trial, which
//! RabbitMQ sends to connections that publish. Heal: the limit is set back. Healed: `connection.unblocked` is seen on
//! each link that was blocked and still stands.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::{Backend, Step};
use harness_model::fault::Resource;
use harness_runner::environment::Failure;
use harness_stack::admin::Alarm as Raised;
use tokio::sync::Mutex;

use super::act::{Act, Proof, Scene};

/// Longest time from the alarm to the first blocked publisher: one has to publish.
const DEADLINE: Duration = Duration::from_secs(40);

/// An alarm of the broker.
pub(super) struct Alarm {
    resource: Resource,
    raised: Mutex<Option<Raised>>,
}

impl Alarm {
    pub(super) fn new(resource: Resource) -> Self {
        Self {
            resource,
            raised: Mutex::default(),
        }
    }
}

impl Act for Alarm {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let world = &scene.world;
            let from = world.recorder.len();
            let broker = world.backend(Backend::Broker);
            let refused = |error: &dyn std::fmt::Display| Failure::infra(format!("raise an alarm: {error}"));
            let alarm = Raised::prepare(&world.engine, &broker, self.resource)
                .await
                .map_err(|error| refused(&error))?;
            *self.raised.lock().await = Some(alarm.clone());
            alarm
                .raise(&world.engine, &broker)
                .await
                .map_err(|error| refused(&error))?;
            scene
                .bite(
                    from,
                    DEADLINE,
                    "connection.blocked",
                    "no publisher was blocked",
                    |event| matches!(event.step, Step::Blocked { .. }),
                )
                .await
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let world = &scene.world;
            let Some(raised) = self.raised.lock().await.clone() else {
                return Ok("no alarm was raised".to_owned());
            };
            let from = world.recorder.len();
            raised
                .clear(&world.engine, &world.backend(Backend::Broker))
                .await
                .map_err(|error| Failure::infra(format!("clear the alarm: {error}")))?;
            let unblocked = scene.event(from, DEADLINE, |event| matches!(event.step, Step::Unblocked));
            Ok(match unblocked.await {
                Some(n) => format!("connection.unblocked, event {n}"),
                // Whoever was blocked may have hung up.
                None => "the limit is what it was, and nobody was left to be unblocked".to_owned(),
            })
        }
        .boxed()
    }
}
