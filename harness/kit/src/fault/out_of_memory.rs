//! A service is given less memory than it uses, and the kernel kills it.
//!
//! Inject: a memory limit far below what any process needs. Bit: the container has ended with 137, and the engine says
//! that it was for want of memory. Heal: no limit, start. Healed: it is healthy.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::Fate;
use harness_model::fault::Target;
use harness_model::name::Name;
use harness_runner::environment::Failure;

use super::act::{Act, Proof, Scene};
use super::kill;

/// The least that engines accept is 6 MiB.
const TOO_LITTLE: i64 = 6 * 1024 * 1024;
/// What the limit is set to afterwards: engines have no way back to none at all for a container that has one.
const PLENTY: i64 = 16 * 1024 * 1024 * 1024;

/// Out of memory.
pub(super) struct OutOfMemory {
    target: Target,
}

impl OutOfMemory {
    pub(super) fn new(service: &Name) -> Self {
        Self {
            target: Target::Service(service.clone()),
        }
    }
}

impl Act for OutOfMemory {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let (world, target) = (&scene.world, &self.target);
            let id = kill::container(world, target).await?;
            let refused = |error| Failure::infra(format!("memory limit of {target}: {error}"));
            world
                .engine
                .limit(&id, Some(TOO_LITTLE), None)
                .await
                .map_err(refused)?;
            let exit = kill::ended(world, target, "killed").await?;
            let state = world.engine.inspect(&id).await.map_err(refused)?;
            if exit != kill::KILLED || !state.oom_killed {
                return Err(Failure::invalid(format!(
                    "{target} ended with code {exit}, and the engine does not say that it was for want of memory"
                )));
            }
            Ok(format!("exit code {exit}, for want of memory"))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let (world, target) = (&scene.world, &self.target);
            let id = kill::container(world, target).await?;
            world
                .engine
                .limit(&id, Some(PLENTY), None)
                .await
                .map_err(|error| Failure::infra(format!("memory limit of {target}: {error}")))?;
            kill::start(world, target).await
        }
        .boxed()
    }

    fn fate(&self, scene: &Scene) -> Fate {
        kill::dies_with(scene, &self.target)
    }
}
