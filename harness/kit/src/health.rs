//! What every service says of its health, all through a trial.
//!
//! Nothing announces a change of health, so the endpoints are asked again and again, each by a task of its own, and a
//! changed answer becomes an event. The tasks end with the trial.

use std::sync::{Arc, Weak};
use std::time::Duration;

use harness_model::event::Step;
use harness_model::name::Name;
use harness_model::topology::Service;
use harness_stack::{service, wait};

use crate::world::World;

/// Time between two questions: what a change may be seen too late by.
const PERIOD: Duration = Duration::from_millis(200);

/// Begins to watch the services that run.
pub(crate) async fn watch(world: &Arc<World>) {
    let services = world.services.lock().await;
    for (name, running) in services.iter() {
        tokio::spawn(watch_one(
            Arc::downgrade(world),
            name.clone(),
            running.service.clone(),
        ));
    }
}

/// Begins to watch one that runs.
pub(crate) async fn watch_this(world: &Arc<World>, name: &Name) {
    let services = world.services.lock().await;
    if let Some(running) = services.get(name) {
        tokio::spawn(watch_one(
            Arc::downgrade(world),
            name.clone(),
            running.service.clone(),
        ));
    }
}

async fn watch_one(world: Weak<World>, name: Name, described: Service) {
    let mut last = None;
    loop {
        let Some(ip) = address(&world, &name).await else {
            return;
        };
        let answer = service::health(ip, &described).await;
        let Some(world) = world.upgrade() else { return };
        let now = Some((answer.status, answer.broker));
        if now != last {
            let step = Step::Health {
                status: answer.status,
                broker: answer.broker,
            };
            world.note(Some(&name), step);
            last = now;
        }
        drop(world);
        wait::pass(PERIOD).await;
    }
}

/// Where a service is now; none once the trial has ended.
async fn address(world: &Weak<World>, name: &Name) -> Option<std::net::IpAddr> {
    let world = world.upgrade()?;
    let services = world.services.lock().await;
    services.get(name).map(|running| running.ip)
}
