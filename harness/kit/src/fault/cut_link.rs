//! The connections of one service to one backend are cut, by its tap.
//!
//! Inject: FIN, RST, or nothing passes any more, in one direction or both. Bit: at least one connection was cut.
//! Heal: half-open links pass again; after FIN and RST there is nothing to undo. Healed: the service has connected
//! again, or its old connections carry bytes again.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::{Backend, Fate, Step};
use harness_model::fault::Cut;
use harness_model::name::Name;
use harness_runner::environment::Failure;

use super::act::{Act, Proof, Scene};

/// Longest time for a service to dial again after its link was cut.
const DIAL_DEADLINE: Duration = Duration::from_secs(40);

/// A cut of a link.
pub(super) struct CutLink {
    service: Name,
    backend: Backend,
    how: Cut,
}

impl CutLink {
    pub(super) fn new(service: &Name, backend: Backend, how: Cut) -> Self {
        Self {
            service: service.clone(),
            backend,
            how,
        }
    }
}

impl Act for CutLink {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let cut = scene.world.tap(&self.service, self.backend)?.cut(self.how).await;
            if cut == 0 {
                return Err(Failure::invalid(format!(
                    "{} had no connection that could be cut",
                    self.service
                )));
            }
            Ok(format!("{cut} connections"))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let (world, service) = (&scene.world, &self.service);
            if self.how.is_half_open() {
                world.tap(service, self.backend)?.heal().await;
                return Ok("bytes pass again".to_owned());
            }
            world.waiting_for(format!("{service} to connect again"));
            Ok(connected_again(scene, service, self.backend).await)
        }
        .boxed()
    }

    fn fate(&self, scene: &Scene) -> Fate {
        let on_it = scene.held().is_some_and(|event| {
            event.svc.as_ref() == Some(&self.service) && event.step.link() == Some(self.backend)
        });
        if on_it && !self.how.is_half_open() {
            Fate::Cut
        } else {
            Fate::Forwarded
        }
    }
}

/// Waits until a service has connected since its last connection to a backend was lost. It is for the invariants to say
/// that it should have.
pub(super) async fn connected_again(scene: &Scene, service: &Name, backend: Backend) -> String {
    let of_link = |svc: Option<&Name>, to: Backend| svc == Some(service) && to == backend;
    let lost = scene.world.recorder.with(|events| {
        let lost = events.iter().rfind(
            |event| matches!(event.step, Step::Disconnect { to, .. } if of_link(event.svc.as_ref(), to)),
        );
        lost.map_or(0, |event| event.n)
    });
    let again = scene.event(
        lost,
        DIAL_DEADLINE,
        |event| matches!(event.step, Step::Connect { to } if of_link(event.svc.as_ref(), to)),
    );
    match again.await {
        Some(n) => format!("connected again, event {n}"),
        None => format!(
            "{service} did not connect again within {} s",
            DIAL_DEADLINE.as_secs()
        ),
    }
}
