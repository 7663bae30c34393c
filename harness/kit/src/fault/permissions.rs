//! The trial's user may do nothing on the broker any more. Its connections stay open.
//!
//! Inject: its permissions are set to match nothing. Bit: the broker has refused something with 403 on the wire.
//! Heal: they are set back. Healed: the management interface has taken them.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::{Backend, Step};
use harness_runner::environment::Failure;
use harness_stack::admin::BrokerAdmin;
use harness_stack::client::HARNESS;

use super::act::{Act, Proof, Scene, trial_name};

/// AMQP 0-9-1 reply code: access refused.
const ACCESS_REFUSED: u16 = 403;
/// Longest wait for somebody to be refused.
const DEADLINE: Duration = Duration::from_secs(40);

/// Loss of permissions.
pub(super) struct Permissions;

impl Permissions {
    async fn set(scene: &Scene, allowed: bool) -> Result<(), Failure> {
        let name = trial_name(&scene.world);
        BrokerAdmin::new(&scene.world.backend(Backend::Broker))
            .permit(&name, &name, allowed)
            .await
            .map_err(|error| Failure::infra(error.to_string()))
    }
}

impl Act for Permissions {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let from = scene.world.recorder.len();
            Self::set(scene, false).await?;
            scene
                .bite(
                    from,
                    DEADLINE,
                    &format!("refused with {ACCESS_REFUSED}"),
                    "nobody was refused",
                    |event| {
                        // The harness has the same user; that it is refused shows nothing of the services.
                        event.svc.as_ref().is_some_and(|svc| *svc != HARNESS)
                            && matches!(
                                event.step,
                                Step::ChannelClosed {
                                    code: ACCESS_REFUSED,
                                    ..
                                } | Step::AmqpClosed {
                                    code: ACCESS_REFUSED,
                                    ..
                                }
                            )
                    },
                )
                .await
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            Self::set(scene, true).await?;
            Ok("everything is permitted again".to_owned())
        }
        .boxed()
    }
}
