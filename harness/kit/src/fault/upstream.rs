//! Somebody outside the pipeline, whom a service asks, does not answer as it should.
//!
//! Inject: the harness plays it badly. Bit: at least one request was answered badly. Heal: it plays it well. Healed: the
//! number of bad answers is said.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::Step;
use harness_model::fault::Misbehaviour;
use harness_model::name::Name;
use harness_runner::environment::Failure;

use super::act::{Act, Proof, Scene};
use crate::world::lock;

/// Longest wait for a request.
const DEADLINE: Duration = Duration::from_secs(50);

/// A misbehaving upstream.
pub(super) struct Misbehave {
    name: Name,
    does: Misbehaviour,
    limit: Option<u64>,
}

impl Misbehave {
    pub(super) fn new(name: &Name, does: Misbehaviour, limit: Option<u64>) -> Self {
        Self {
            name: name.clone(),
            does,
            limit,
        }
    }
}

impl Act for Misbehave {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let played = &scene.world.upstreams[&self.name];
            let from = scene.world.recorder.len();
            *lock(&played.fault) = Some(scene.id.clone());
            played.server.misbehave(self.does, self.limit);
            let asked = scene.event(from, DEADLINE, |event| {
                matches!(&event.step, Step::Upstream { fault: Some(fault), .. } if *fault == scene.id)
            });
            match asked.await {
                Some(n) => Ok(format!("event {n}")),
                None => Err(Failure::invalid(format!(
                    "nobody asked {} within {} s",
                    self.name,
                    DEADLINE.as_secs()
                ))),
            }
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        let played = &scene.world.upstreams[&self.name];
        played.server.behave();
        let proof = format!("it has misbehaved {} times", played.server.disturbed());
        async { Ok(proof) }.boxed()
    }
}
