//! The broker closes what a service has opened: its connections, or a channel.
//!
//! *Connections.* Inject: as an operator asks for it. Bit: `connection.close` with 320 on the wire.
//! *A channel.* Inject: the tap sends one ack of the service twice, which the broker answers as AMQP demands, by closing
//! the channel with 406 (unknown delivery tag). Bit: that close. Neither has anything to undo; healed means that the
//! services have connected, or consumed, again.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::{Backend, Side, Step, StepKind};
use harness_model::fault::Pattern;
use harness_model::name::Name;
use harness_runner::environment::Failure;
use harness_stack::admin::BrokerAdmin;
use harness_stack::client::HARNESS;
use harness_wire::recorder::{Action, Rule};

use super::act::{Act, Proof, Scene, trial_name};
use super::cut_link::connected_again;
use super::restart::forced_since;

/// AMQP 0-9-1 reply code: the client asked for what a precondition forbids.
const PRECONDITION_FAILED: u16 = 406;
/// Longest wait for an ack to send twice, and for the broker's answer.
const DEADLINE: Duration = Duration::from_secs(50);
/// Longest time for a service to consume again.
const CONSUME_DEADLINE: Duration = Duration::from_secs(40);

/// All connections of the trial.
pub(super) struct Connections;

impl Act for Connections {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let world = &scene.world;
            let before = world.recorder.len();
            BrokerAdmin::new(&world.backend(Backend::Broker))
                .close_all(&trial_name(world))
                .await
                .map_err(|error| Failure::infra(error.to_string()))?;
            let closed = scene.event(before, DEADLINE, |event| {
                event.svc.as_ref().is_some_and(|svc| *svc != HARNESS)
                    && matches!(event.step, Step::AmqpClosed { by: Side::Server, .. })
            });
            if closed.await.is_none() {
                return Err(Failure::invalid("no connection was closed by the broker"));
            }
            Ok(format!(
                "{} connections were closed by the broker",
                forced_since(scene, before)
            ))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let mut proof = Vec::new();
            for service in scene.world.topology.services.keys() {
                proof.push(format!(
                    "{service}: {}",
                    connected_again(scene, service, Backend::Broker).await
                ));
            }
            Ok(proof.join("; "))
        }
        .boxed()
    }
}

/// A channel of a service.
pub(super) struct Channel {
    service: Name,
}

impl Channel {
    pub(super) fn new(service: &Name) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn closed(&self, scene: &Scene, from: u64) -> Option<u64> {
        let closed = |step: &Step| {
            matches!(
                step,
                Step::ChannelClosed {
                    by: Side::Server,
                    code: PRECONDITION_FAILED,
                    ..
                }
            )
        };
        let of_service = scene.event(from, DEADLINE, |event| {
            event.svc.as_ref() == Some(&self.service) && closed(&event.step)
        });
        of_service.await
    }
}

impl Act for Channel {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let from = scene.world.recorder.len();
            let rule = Rule {
                pattern: Pattern {
                    by: Some(self.service.clone()),
                    ..Pattern::new(StepKind::Ack)
                },
                action: Action::Duplicate,
                every: 1,
                limit: Some(1),
            };
            let _twice = scene.world.recorder.rule(scene.id.clone(), rule);
            match self.closed(scene, from).await {
                Some(n) => Ok(format!(
                    "the broker closed it with {PRECONDITION_FAILED}, event {n}"
                )),
                None => Err(Failure::invalid(format!(
                    "no channel of {} was closed within {} s",
                    self.service,
                    DEADLINE.as_secs()
                ))),
            }
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let closed = scene.world.recorder.with(|events| {
                let closed = events.iter().rfind(|event| {
                    event.svc.as_ref() == Some(&self.service)
                        && matches!(event.step, Step::ChannelClosed { .. })
                });
                closed.map_or(0, |event| event.n)
            });
            let again = scene.event(closed, CONSUME_DEADLINE, |event| {
                event.svc.as_ref() == Some(&self.service) && matches!(event.step, Step::Consume { .. })
            });
            // It is for the invariants to say that it should have.
            Ok(match again.await {
                Some(n) => format!("consumes again, event {n}"),
                None => format!(
                    "{} did not consume again within {} s",
                    self.service,
                    CONSUME_DEADLINE.as_secs()
                ),
            })
        }
        .boxed()
    }
}
