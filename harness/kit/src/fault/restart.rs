//! A graceful restart, as an operator does it: SIGTERM, wait, start.
//!
//! Inject: SIGTERM, and wait for the exit. Bit: exit code 0 (RabbitMQ and the database end in an orderly way), and for
//! a broker with connections, `connection.close` with code 320 (CONNECTION_FORCED) on the wire. Heal: start again.

use harness_model::event::{Backend, Side, Step};
use harness_model::fault::Target;
use harness_runner::environment::Failure;

use super::kill;
use crate::world::World;

/// AMQP 0-9-1 reply code: an operator intervened to close the connection.
const CONNECTION_FORCED: u16 = 320;

pub(super) async fn inject(world: &World, target: &Target) -> Result<String, Failure> {
    let connections = kill::as_backend(target).map_or(0, |which| world.connections(which));
    let before = world.recorder.len();
    let exit = kill::end(world, target, "SIGTERM", "stopped").await?;
    if exit != 0 {
        return Err(Failure::invalid(format!(
            "{target} ended with code {exit} after SIGTERM, not with 0"
        )));
    }
    if kill::as_backend(target) != Some(Backend::Broker) || connections == 0 {
        return Ok(format!("exit code {exit}"));
    }
    let forced = world.recorder.with(|events| {
        let news = events.iter().filter(|event| event.n > before);
        news.filter(|event| {
            matches!(
                event.step,
                Step::AmqpClosed {
                    by: Side::Server,
                    code: CONNECTION_FORCED,
                    ..
                }
            )
        })
        .count()
    });
    if forced == 0 {
        return Err(Failure::invalid(format!(
            "{connections} connections were open, but the broker closed none of them with {CONNECTION_FORCED}"
        )));
    }
    Ok(format!(
        "exit code {exit}; {forced} connections closed by the broker with {CONNECTION_FORCED}"
    ))
}

pub(super) async fn heal(world: &World, target: &Target) -> Result<String, Failure> {
    kill::heal(world, target).await
}
