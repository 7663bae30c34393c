//! What the harness plays outside the pipeline in a trial.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use harness_model::event::Step;
use harness_model::name::Name;
use harness_model::topology::{Setup, Topology};
use harness_runner::environment::Failure;
use harness_stack::upstream::{Asked, Upstream};
use harness_wire::recorder::Recorder;

use crate::world::{Played, lock};

/// Starts what the harness plays in this trial, with every request in the ledger.
pub(super) async fn played(
    topology: &Topology,
    setup: &[Setup],
    bind: IpAddr,
    recorder: &Recorder,
) -> Result<BTreeMap<Name, Played>, Failure> {
    let mut played = BTreeMap::new();
    for wish in setup {
        let Setup::Upstream(name) = wish else { continue };
        let name = Name::new(*name);
        let described = &topology.upstreams[&name];
        let fault: Arc<Mutex<Option<Name>>> = Arc::default();
        let (ledger, asker, culprit) = (recorder.clone(), described.service.clone(), Arc::clone(&fault));
        let asked = name.clone();
        let seen = move |request: Asked| {
            let step = Step::Upstream {
                name: asked.clone(),
                key: request.key,
                status: request.status,
                fault: lock(&culprit).clone().filter(|_| request.disturbed),
            };
            ledger.log(Some(&asker), step);
        };
        let server = Upstream::start(bind, described, Arc::new(seen))
            .await
            .map_err(|error| Failure::infra(format!("play {name} at {bind}: {error}")))?;
        played.insert(name, Played { server, fault });
    }
    Ok(played)
}
