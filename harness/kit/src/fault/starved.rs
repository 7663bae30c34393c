//! The database has no connection left for the services.
//!
//! Inject: their user may have one connection only; the harness takes it, and ends all others. Bit: the services' links
//! have lost a connection, and the database refuses them with 1226 (the user's limit is reached). Heal: no limit, and the
//! harness hangs up. Healed: the server has taken it.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::{Backend, Step};
use harness_runner::environment::Failure;
use harness_stack::admin::{DatabaseAdmin, DatabaseError, Held};
use tokio::sync::Mutex;

use super::act::{Act, Proof, Scene, trial_name};

/// Server error code: the user has exceeded a resource, here `max_user_connections`.
const USER_LIMIT_REACHED: u16 = 1226;
/// Longest wait for a service that is refused.
const DEADLINE: Duration = Duration::from_secs(40);

/// No connections left.
#[derive(Default)]
pub(super) struct Starved {
    occupied: Mutex<Option<Held>>,
}

fn refused(error: &DatabaseError) -> Failure {
    Failure::infra(error.to_string())
}

impl Act for Starved {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let (world, name) = (&scene.world, trial_name(&scene.world));
            let from = world.recorder.len();
            let database = world.backend(Backend::Database);
            let mut admin = DatabaseAdmin::connect(&database)
                .await
                .map_err(|error| refused(&error))?;
            let occupied = admin
                .exhaust_connections(&name, &world.password)
                .await
                .map_err(|error| refused(&error))?;
            *self.occupied.lock().await = Some(occupied);
            scene
                .bite(
                    from,
                    DEADLINE,
                    &format!("refused with {USER_LIMIT_REACHED}"),
                    "nobody was refused",
                    |event| {
                        matches!(
                            event.step,
                            Step::DbErr {
                                code: USER_LIMIT_REACHED,
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
            let mut admin = DatabaseAdmin::connect(&scene.world.backend(Backend::Database))
                .await
                .map_err(|error| refused(&error))?;
            admin
                .limit_connections(&trial_name(&scene.world), None)
                .await
                .map_err(|error| refused(&error))?;
            if let Some(occupied) = self.occupied.lock().await.take() {
                occupied.release().await.map_err(|error| refused(&error))?;
            }
            Ok("there is no limit any more".to_owned())
        }
        .boxed()
    }
}
