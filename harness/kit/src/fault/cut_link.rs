//! The connections of one service to one backend are cut, by its tap.
//!
//! Inject: FIN, RST, or nothing passes any more. Bit: at least one connection was cut (half-open: or none can pass).
//! Heal: half-open links pass again; after FIN and RST there is nothing to undo. Healed: the service has connected
//! again, or its old connections carry bytes again.

use std::time::Duration;

use harness_model::event::{Backend, Step};
use harness_model::fault::Cut;
use harness_model::name::Name;
use harness_runner::environment::Failure;

use crate::world::World;

/// Longest time for a service to dial again after its link was cut.
const DIAL_DEADLINE: Duration = Duration::from_secs(40);

pub(super) async fn inject(
    world: &World,
    service: &Name,
    backend: Backend,
    how: Cut,
) -> Result<String, Failure> {
    let cut = world.tap(service, backend)?.cut(how).await;
    if cut == 0 {
        return Err(Failure::invalid(format!(
            "{service} had no connection that could be cut"
        )));
    }
    Ok(format!("{cut} connections"))
}

pub(super) async fn heal(
    world: &World,
    service: &Name,
    backend: Backend,
    how: Cut,
) -> Result<String, Failure> {
    let tap = world.tap(service, backend)?;
    if how == Cut::HalfOpen {
        tap.heal().await;
        return Ok("bytes pass again".to_owned());
    }
    world.waiting_for(format!("{service} to connect again"));
    let again = async {
        loop {
            let seen = world.recorder.len();
            let connected = world.recorder.with(|events| {
                let of_link = events
                    .iter()
                    .rev()
                    .filter(|event| event.svc.as_ref() == Some(service));
                of_link
                    .take_while(|event| !matches!(event.step, Step::Disconnect { to, .. } if to == backend))
                    .find(|event| matches!(event.step, Step::Connect { to } if to == backend))
                    .map(|event| event.n)
            });
            match connected {
                Some(n) => return n,
                None => world.recorder.past(seen).await,
            }
        }
    };
    match tokio::time::timeout(DIAL_DEADLINE, again).await {
        Ok(n) => Ok(format!("connected again, event {n}")),
        // It is for the invariants to say that it should have.
        Err(_) => Ok(format!(
            "{service} did not connect again within {} s",
            DIAL_DEADLINE.as_secs()
        )),
    }
}
