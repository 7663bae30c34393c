//! The database refuses to write.
//!
//! Inject: `read_only`, for the whole server. Bit: a statement is refused with 1290 on the wire. Heal: it may write
//! again. Healed: the server says so.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::{Backend, Step};
use harness_runner::environment::Failure;
use harness_stack::admin::DatabaseAdmin;

use super::act::{Act, Proof, Scene};

/// Server error code: the server runs with an option that forbids this statement.
const OPTION_PREVENTS_STATEMENT: u16 = 1290;
/// Longest wait for a statement that is refused.
const DEADLINE: Duration = Duration::from_secs(40);

/// A read-only database.
pub(super) struct ReadOnly;

/// Sets it, and gives what the server says that it is now.
async fn set(scene: &Scene, on: bool) -> Result<bool, Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::infra(format!("read_only: {error}"));
    let mut admin = DatabaseAdmin::connect(&scene.world.backend(Backend::Database))
        .await
        .map_err(|error| refused(&error))?;
    admin.read_only(on).await.map_err(|error| refused(&error))?;
    admin.is_read_only().await.map_err(|error| refused(&error))
}

impl Act for ReadOnly {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let from = scene.world.recorder.len();
            set(scene, true).await?;
            scene
                .bite(
                    from,
                    DEADLINE,
                    &format!("refused with {OPTION_PREVENTS_STATEMENT}"),
                    "no statement was refused",
                    |event| {
                        matches!(
                            event.step,
                            Step::DbErr {
                                code: OPTION_PREVENTS_STATEMENT,
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
            if set(scene, false).await? {
                return Err(Failure::infra("the database still says that it is read-only"));
            }
            Ok("the database says that it may write again".to_owned())
        }
        .boxed()
    }
}
