//! Something that the topology wants is missing on the broker, or is not what it should be.
//!
//! Inject: through the management interface. Bit: the management interface says that it is gone (or other); a purge bites if
//! the broker says that it has thrown something away. Heal: everything that is missing is made again from the topology.
//! Healed: it is there again; what was purged stays so.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::Backend;
use harness_model::fault::FaultKind;
use harness_model::name::Name;
use harness_model::topology::{Queue, Topology};
use harness_runner::environment::Failure;
use harness_stack::admin::{AdminError, BrokerAdmin};

use super::act::{Act, Proof, Scene, queue, trial_name};

/// Something is broken.
pub(super) struct Broken {
    what: FaultKind,
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn refused(error: AdminError) -> Failure {
    Failure::infra(error.to_string())
}

impl Broken {
    pub(super) fn new(what: &FaultKind) -> Self {
        Self { what: what.clone() }
    }

    /// Breaks it, and says what the broker has said to that.
    async fn break_it(
        &self,
        scene: &Scene,
        admin: &BrokerAdmin,
        vhost: &str,
    ) -> Result<Option<String>, Failure> {
        let queue = |role: &Name| queue(&scene.world, role);
        match &self.what {
            FaultKind::DeleteQueue { queue: role } => admin.delete_queue(vhost, &queue(role)?.name).await,
            FaultKind::DropRetryQueue { queue: role } => {
                admin.delete_queue(vhost, retry(queue(role)?)?).await
            }
            FaultKind::RedeclareQueue { queue: role } => admin.declare_other(vhost, &queue(role)?.name).await,
            FaultKind::PurgeQueue { queue: role } => {
                let name = &queue(role)?.name;
                return match admin.purge_queue(vhost, name).await.map_err(refused)? {
                    0 => Err(Failure::invalid(format!(
                        "{name} was empty: nothing was thrown away"
                    ))),
                    count => Ok(Some(format!(
                        "the broker has thrown {count} messages of {name} away"
                    ))),
                };
            }
            FaultKind::Unbind { route } => {
                let mut queues = bound(&scene.world.topology, route).peekable();
                if queues.peek().is_none() {
                    return Err(Failure::invalid(format!("no queue is bound to {route}")));
                }
                for queue in queues {
                    admin.unbind_all(vhost, &queue.name).await.map_err(refused)?;
                }
                Ok(())
            }
            FaultKind::DropPolicy { queue: role } => admin.delete_policy(vhost, policy(queue(role)?)?).await,
            FaultKind::DeleteExchange { exchange } => {
                admin
                    .delete_exchange(vhost, &scene.world.topology.exchanges[exchange].name)
                    .await
            }
            other => return Err(Failure::invalid(format!("{other} is none of this kind"))),
        }
        .map_err(refused)?;
        Ok(None)
    }

    /// What is there, as the management interface says it; `Err` means that it is not what the topology wants.
    async fn look(
        &self,
        scene: &Scene,
        admin: &BrokerAdmin,
        vhost: &str,
    ) -> Result<Result<String, String>, Failure> {
        let queue = |role: &Name| queue(&scene.world, role);
        let there = |what: &str, is: bool| {
            if is {
                Ok(format!("{what} is there"))
            } else {
                Err(format!("{what} is gone"))
            }
        };
        Ok(match &self.what {
            FaultKind::DeleteQueue { queue: role } => {
                let name = &queue(role)?.name;
                there(
                    name,
                    admin.queue_exists(vhost, name).await.map_err(refused)?.is_some(),
                )
            }
            FaultKind::DropRetryQueue { queue: role } => {
                let name = retry(queue(role)?)?;
                there(
                    name,
                    admin.queue_exists(vhost, name).await.map_err(refused)?.is_some(),
                )
            }
            FaultKind::RedeclareQueue { queue: role } => {
                let name = &queue(role)?.name;
                match admin.queue_exists(vhost, name).await.map_err(refused)? {
                    Some(facts)
                        if facts.arguments.is_empty() || !facts.arguments.contains_key("x-max-length") =>
                    {
                        Ok(format!("{name} is what it should be"))
                    }
                    Some(_) => Err(format!("another {name} is there")),
                    None => Err(format!("{name} is gone")),
                }
            }
            FaultKind::Unbind { route } => {
                let mut count = 0;
                for queue in bound(&scene.world.topology, route) {
                    count += admin.bindings(vhost, &queue.name).await.map_err(refused)?;
                }
                there(&format!("every binding to {route}"), count > 0)
            }
            FaultKind::DropPolicy { queue: role } => {
                let name = policy(queue(role)?)?;
                there(name, admin.policy_exists(vhost, name).await.map_err(refused)?)
            }
            FaultKind::DeleteExchange { exchange } => {
                let name = &scene.world.topology.exchanges[exchange].name;
                there(name, admin.exchange_exists(vhost, name).await.map_err(refused)?)
            }
            other => return Err(Failure::invalid(format!("{other} is none of this kind"))),
        })
    }
}

/// The queues that are bound to a route.
fn bound<'a>(topology: &'a Topology, route: &'a Name) -> impl Iterator<Item = &'a Queue> {
    topology
        .queues
        .values()
        .filter(move |queue| queue.bind.contains(route))
}

fn retry(queue: &Queue) -> Result<&Name, Failure> {
    let retry = queue.retry.as_ref();
    retry
        .map(|retry| &retry.queue)
        .ok_or_else(|| Failure::invalid(format!("{} has no retry queue", queue.name)))
}

fn policy(queue: &Queue) -> Result<&str, Failure> {
    let dead = queue.dead_letter.as_ref();
    dead.map(|dead| dead.policy.as_str())
        .ok_or_else(|| Failure::invalid(format!("{} has no policy", queue.name)))
}

impl Act for Broken {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let (admin, vhost) = (
                BrokerAdmin::new(&scene.world.backend(Backend::Broker)),
                trial_name(&scene.world),
            );
            if let Some(proof) = self.break_it(scene, &admin, &vhost).await? {
                return Ok(proof);
            }
            match self.look(scene, &admin, &vhost).await? {
                Err(gone) => Ok(gone),
                Ok(there) => Err(Failure::invalid(format!("{}: {there}", self.what))),
            }
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let world = &scene.world;
            let (admin, vhost) = (
                BrokerAdmin::new(&world.backend(Backend::Broker)),
                trial_name(world),
            );
            match &self.what {
                FaultKind::PurgeQueue { .. } => return Ok("what was thrown away stays so".to_owned()),
                FaultKind::RedeclareQueue { queue: role } => {
                    let name = &queue(world, role)?.name;
                    admin.delete_queue(&vhost, name).await.map_err(refused)?;
                }
                _ => {}
            }
            admin.restore(&vhost, &world.topology).await.map_err(refused)?;
            self.look(scene, &admin, &vhost)
                .await?
                .map_err(|gone| Failure::infra(format!("{} cannot be healed: {gone}", self.what)))
        }
        .boxed()
    }
}
