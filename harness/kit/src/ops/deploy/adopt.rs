//! Containers that a script has started, taken for the trial's services; their starts and ends, as the engine tells them.

use std::collections::BTreeMap;
use std::sync::Weak;

use futures::{Stream, StreamExt as _};
use harness_model::event::Step;
use harness_model::name::Name;
use harness_model::topology::ops::Deploy;
use harness_runner::scenario::Outcome;
use harness_stack::engine::{EngineEvent, Status};
use harness_stack::ops::BOX_LABEL;
use harness_stack::service::Running;

use crate::health;
use crate::ops::{Ops, infra};
use crate::world::{World, lock};

/// Compose's label with the name of a container's service.
const SERVICE: &str = "com.docker.compose.service";
/// Compose's label with the number of a service's container.
const NUMBER: &str = "com.docker.compose.container-number";

impl Ops {
    /// What the engine tells of the containers that scripts make, from now on.
    pub(super) fn engine_events(self) -> impl Stream<Item = EngineEvent> + Send + Unpin {
        let lease = lock(&self.world.grant).lease.clone();
        let events = self.world.engine.events(BOX_LABEL, &lease, None);
        Box::pin(events.filter_map(|event| async { event.ok() }))
    }

    /// Takes the containers that run now for the trial's services.
    pub(super) async fn adopt(&self) -> Outcome {
        let (world, deploy) = (&self.world, self.deploy_of()?);
        let lease = lock(&world.grant).lease.clone();
        let labels = BTreeMap::from([(BOX_LABEL.to_owned(), lease)]);
        let found = world.engine.containers_labelled(&labels).await.map_err(infra)?;
        let mut running = BTreeMap::new();
        for (id, labels) in found {
            let Some((role, name)) = service_of(world, deploy, &labels) else {
                continue;
            };
            let state = world.engine.inspect(&id).await.map_err(infra)?;
            if state.status == Status::Running {
                let service = &world.topology.services[&role];
                let adopted = Running::adopted(&world.engine, &role, name.clone(), service, &id).await;
                running.insert(name, adopted.map_err(infra)?);
            }
        }
        let names: Vec<_> = running.keys().cloned().collect();
        // All at once: who watches a service finds it again under its name.
        *world.services.lock().await = running;
        for name in names {
            if lock(&self.site()?.watched).insert(name.clone()) {
                health::watch_this(world, &name).await;
            }
        }
        Ok(())
    }
}

/// The role, and the name among the trial's containers, of a container with these labels.
fn service_of(world: &World, deploy: &Deploy, labels: &BTreeMap<String, String>) -> Option<(Name, Name)> {
    let role = deploy.role(labels.get(SERVICE)?, &world.topology)?;
    let number = labels.get(NUMBER).map_or("1", String::as_str);
    let name = if number == "1" {
        role.clone()
    } else {
        Name::from(format!("{role}-{number}"))
    };
    Some((role, name))
}

/// Tells the ledger of starts and ends of deployed containers, as the engine tells them.
pub(super) async fn follow(world: Weak<World>, mut events: impl Stream<Item = EngineEvent> + Unpin) {
    let mut signals = BTreeMap::<String, String>::new();
    while let Some(event) = events.next().await {
        let Some(world) = world.upgrade() else { return };
        let ops = world.topology.ops.as_ref().and_then(|ops| ops.deploy.as_ref());
        let Some((_, name)) = ops.and_then(|deploy| service_of(&world, deploy, &event.attributes)) else {
            continue;
        };
        let (change, exit) = match event.action.as_str() {
            "start" => ("started", None),
            "kill" => {
                let signal = event.attributes.get("signal").cloned().unwrap_or_default();
                signals.insert(event.container, signal);
                continue;
            }
            "die" => {
                let change = match signals.remove(&event.container).as_deref() {
                    Some("9" | "SIGKILL") => "killed",
                    Some(_) => "stopped",
                    None => "exited",
                };
                let exit = event
                    .attributes
                    .get("exitCode")
                    .and_then(|code| code.parse().ok());
                (change, exit)
            }
            _ => continue,
        };
        let change = change.to_owned();
        world.note(None, Step::Container { name, change, exit });
    }
}
