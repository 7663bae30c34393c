//! Somebody else holds a lock on the analyses: on all rows with the gaps between them, or on the whole table.
//!
//! Inject: on a connection of the harness' own. Bit: the database says that a session of the services waits for it.
//! Heal: the connection lets go. Healed: the same.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::Backend;
use harness_runner::environment::Failure;
use harness_stack::admin::{DatabaseAdmin, DatabaseError, Held};
use harness_stack::wait;
use tokio::sync::Mutex;

use super::act::{Act, Proof, Scene, trial_name};

/// Longest wait for a session that runs into the lock.
const DEADLINE: Duration = Duration::from_secs(40);

/// A lock.
pub(super) struct Locked {
    whole: bool,
    held: Mutex<Option<Held>>,
}

fn refused(error: &DatabaseError) -> Failure {
    Failure::infra(error.to_string())
}

impl Locked {
    pub(super) fn rows() -> Self {
        Self {
            whole: false,
            held: Mutex::default(),
        }
    }

    pub(super) fn table() -> Self {
        Self {
            whole: true,
            held: Mutex::default(),
        }
    }
}

impl Act for Locked {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let (world, name) = (&scene.world, trial_name(&scene.world));
            let database = world.backend(Backend::Database);
            let table = &world.topology.effects.analysis.table;
            let mut admin = DatabaseAdmin::connect(&database)
                .await
                .map_err(|error| refused(&error))?;
            let held = if self.whole {
                admin.hold_table(&name, table).await
            } else {
                admin.hold_rows(&name, table).await
            };
            *self.held.lock().await = Some(held.map_err(|error| refused(&error))?);
            let admin = Mutex::new(&mut admin);
            let waiting = wait::until("a session that waits for the lock", DEADLINE, || async {
                let found = admin.lock().await.waiting(&name).await;
                match found.map_err(|error| error.to_string())?.first() {
                    Some(first) => Ok(first.clone()),
                    None => Err("nobody waits".to_owned()),
                }
            });
            waiting
                .await
                .map_err(|timed_out| Failure::invalid(timed_out.to_string()))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, _: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let Some(held) = self.held.lock().await.take() else {
                return Ok("no lock was held".to_owned());
            };
            held.release().await.map_err(|error| refused(&error))?;
            Ok("the lock was given back".to_owned())
        }
        .boxed()
    }
}
