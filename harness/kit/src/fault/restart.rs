//! A graceful restart, as an operator does it: SIGTERM, wait, start.
//!
//! Inject: SIGTERM, and wait for the exit. A frame that is held for it goes on as soon as the signal is sent, because a
//! service is given the time to finish what it has begun. Bit: exit code 0 (RabbitMQ and the database end in an orderly
//! way), and for a broker with connections, `connection.close` with code 320 (CONNECTION_FORCED) on the wire. Of a
//! service any exit code is taken here: what it should be is for an invariant to say. Heal: start again.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::{Backend, Fate, Side, Step};
use harness_model::fault::Target;
use harness_runner::environment::Failure;

use super::act::{Act, Proof, Scene, as_backend};
use super::kill;

/// AMQP 0-9-1 reply code: an operator intervened to close the connection.
pub(super) const CONNECTION_FORCED: u16 = 320;

/// SIGTERM.
pub(super) struct Restart {
    target: Target,
}

impl Restart {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
        }
    }
}

impl Act for Restart {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let (world, target) = (&scene.world, &self.target);
            let connections = as_backend(target).map_or(0, |which| world.connections(which));
            let before = world.recorder.len();
            kill::send(world, target, "SIGTERM").await?;
            if as_backend(target).is_none() {
                scene.release(Fate::Forwarded);
                let exit = kill::ended(world, target, "stopped").await?;
                return Ok(format!("exit code {exit}"));
            }
            let exit = kill::ended(world, target, "stopped").await?;
            if exit != 0 {
                return Err(Failure::invalid(format!(
                    "{target} ended with code {exit} after SIGTERM, not with 0"
                )));
            }
            if as_backend(target) != Some(Backend::Broker) || connections == 0 {
                return Ok(format!("exit code {exit}"));
            }
            let forced = forced_since(scene, before);
            if forced == 0 {
                return Err(Failure::invalid(format!(
                    "{connections} connections were open, but the broker closed none of them with {CONNECTION_FORCED}"
                )));
            }
            Ok(format!(
                "exit code {exit}; {forced} connections closed by the broker with {CONNECTION_FORCED}"
            ))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        kill::start(&scene.world, &self.target).boxed()
    }

    fn fate(&self, scene: &Scene) -> Fate {
        kill::dies_with(scene, &self.target)
    }
}

/// How many connections the broker has closed since an event, because an operator wanted it.
pub(super) fn forced_since(scene: &Scene, before: u64) -> usize {
    let forced = |step: &Step| {
        matches!(
            step,
            Step::AmqpClosed {
                by: Side::Server,
                code: CONNECTION_FORCED,
                ..
            }
        )
    };
    let events = scene.world.recorder.since(before);
    events.iter().filter(|event| forced(&event.step)).count()
}
