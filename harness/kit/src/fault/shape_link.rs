//! A link carries bytes badly: late, slowly, in small pieces.
//!
//! Inject: the tap shapes one direction or both. Bit: at least one chunk was. Heal: it stops. Healed: the number of chunks
//! that were shaped is said.

use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::Backend;
use harness_model::fault::Shape;
use harness_model::name::Name;
use harness_runner::environment::Failure;
use harness_stack::wait;
use harness_wire::tap::Shaping;

use super::act::{Act, Proof, Scene};
use crate::world::lock;

/// Longest wait for traffic on the link.
const DEADLINE: Duration = Duration::from_secs(30);

/// A bad link.
pub(super) struct ShapeLink {
    service: Name,
    backend: Backend,
    shape: Shape,
    shaping: Mutex<Option<Shaping>>,
}

impl ShapeLink {
    pub(super) fn new(service: &Name, backend: Backend, shape: Shape) -> Self {
        Self {
            service: service.clone(),
            backend,
            shape,
            shaping: Mutex::default(),
        }
    }

    fn count(&self) -> u64 {
        lock(&self.shaping).as_ref().map_or(0, Shaping::count)
    }
}

impl Act for ShapeLink {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let tap = scene.world.tap(&self.service, self.backend)?;
            let seed = scene.world.seed.derive(scene.id.as_str());
            *lock(&self.shaping) = Some(tap.shape(self.shape, seed));
            let shaped = wait::until("traffic on the shaped link", DEADLINE, || async {
                match self.count() {
                    0 => Err("no chunk yet".to_owned()),
                    count => Ok(count),
                }
            });
            let count = shaped
                .await
                .map_err(|timed_out| Failure::invalid(timed_out.to_string()))?;
            Ok(format!("{count} chunks are shaped so far"))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, _: &'a Scene) -> BoxFuture<'a, Proof> {
        let count = self.count();
        drop(lock(&self.shaping).take());
        async move { Ok(format!("{count} chunks were shaped")) }.boxed()
    }
}
