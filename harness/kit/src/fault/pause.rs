//! The processes of a backend or a service stand still.
//!
//! Inject: the engine freezes the container. Nothing is closed: dials of a paused backend are accepted by its kernel and
//! then meet silence. Bit: the engine says `paused`. Heal: let it go on. Healed: the engine says `running`.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::fault::Target;
use harness_model::name::Name;
use harness_runner::environment::Failure;
use harness_stack::engine::Status;

use super::act::{Act, Proof, Scene, note_container};
use super::kill;

/// Pause.
pub(super) struct Pause {
    target: Target,
}

impl Pause {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
        }
    }

    async fn freeze(&self, scene: &Scene, frozen: bool) -> Proof {
        let (world, target) = (&scene.world, &self.target);
        let id = kill::container(world, target).await?;
        let refused = |error| Failure::infra(format!("pause of {target}: {error}"));
        let before = world.engine.inspect(&id).await.map_err(refused)?.status;
        // A pause that failed has left nothing to undo.
        if frozen || before == Status::Paused {
            let done = if frozen {
                world.engine.pause(&id).await
            } else {
                world.engine.unpause(&id).await
            };
            done.map_err(refused)?;
        }
        let status = world.engine.inspect(&id).await.map_err(refused)?.status;
        let (wanted, change) = if frozen {
            (Status::Paused, "paused")
        } else {
            (Status::Running, "resumed")
        };
        if status != wanted {
            let what = format!("{target} is {status:?}, not {wanted:?}");
            // One that does not bite says nothing; one that cannot be undone spoils what comes after.
            return Err(if frozen {
                Failure::invalid(what)
            } else {
                Failure::infra(what)
            });
        }
        note_container(world, &Name::new(target.to_string()), change, None);
        Ok(format!("the engine says {change}"))
    }
}

impl Act for Pause {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        self.freeze(scene, true).boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        self.freeze(scene, false).boxed()
    }
}
