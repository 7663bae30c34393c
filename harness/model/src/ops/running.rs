//! What runs, as the engine describes it, against the pins; and the manifest of a running platform.
//!
//! A container is judged by the digests of the image that it was started from, never by the tag in its configuration: a
//! tag that has moved since changes nothing, and one that had moved before is found.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::compose::Config;
use super::fail;
use super::pins::Reference;
use crate::verdict::Finding;

/// What runs has the digest that is pinned.
pub const DIGEST: &str = "running-digest";
/// A platform is what its manifest says.
pub const DRIFT: &str = "manifest-drift";

/// The form of a manifest that is written.
const SCHEMA_VERSION: u32 = 1;
/// Labels that Compose gives a container.
const PROJECT_LABEL: &str = "com.docker.compose.project";
const SERVICE_LABEL: &str = "com.docker.compose.service";

/// A container, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its name.
    pub name: String,
    /// The Compose project that it belongs to; empty if none.
    pub project: String,
    /// The service that it belongs to; empty if none.
    pub service: String,
    /// What it is.
    pub container: Container,
}

/// A container in a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The reference that it was started with.
    pub config_image: String,
    /// The digests under which its image is known, as `repository@sha256:..`.
    pub repo_digests: BTreeSet<String>,
    /// The one of them that is of the same repository.
    pub pinned_image: Option<String>,
    /// Id of its image.
    pub image_id: String,
    /// Where it is in its life, in the engine's word.
    pub state: String,
    /// What its health check says, if it has one.
    #[serde(default)]
    pub health: Option<String>,
    /// Where its ports are bound on the machine, such as `127.0.0.1:8080`, by `port/protocol`.
    #[serde(default)]
    pub ports: BTreeMap<String, BTreeSet<String>>,
    /// The networks that it is on.
    #[serde(default)]
    pub networks: BTreeSet<String>,
}

/// What a platform is at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this manifest.
    pub schema_version: u32,
    /// The environment, such as `prod`.
    pub env: String,
    /// The day on which it was taken.
    pub captured_date: Date,
    /// The containers by name.
    pub containers: BTreeMap<String, Container>,
    /// Those whose image is known under no digest.
    pub containers_missing_repo_digests: BTreeSet<String>,
    /// How many there are.
    pub summary: Summary,
}

/// Counts of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// All containers.
    pub containers: usize,
    /// Those that run.
    pub running: usize,
    /// Those that say that they are not healthy.
    pub unhealthy: usize,
    /// Those without a digest.
    pub missing_repo_digests: usize,
}

/// What the engine says cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read what the engine says of {what}: {cause}")]
pub struct InspectError {
    what: &'static str,
    cause: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    name: String,
    image: String,
    state: State,
    config: Configured,
    #[serde(default)]
    network_settings: Option<Network>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(default)]
    health: Option<Health>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configured {
    image: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Network {
    #[serde(default)]
    ports: Option<BTreeMap<String, Option<Vec<Bound>>>>,
    #[serde(default)]
    networks: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Bound {
    #[serde(default)]
    host_ip: String,
    #[serde(default)]
    host_port: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedImage {
    id: String,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
}

/// Reads what `docker inspect` prints of containers, and `docker image inspect` of their images: two arrays.
///
/// # Errors
/// They are no JSON of this form.
pub fn inspected(containers: &str, images: &str) -> Result<Vec<Running>, InspectError> {
    let containers: Vec<Inspected> = read("containers", containers)?;
    let images: Vec<InspectedImage> = read("images", images)?;
    let digests: BTreeMap<_, _> = images
        .into_iter()
        .map(|image| (image.id, image.repo_digests.unwrap_or_default()))
        .collect();
    let running = containers.into_iter().map(|container| {
        let repo_digests = digests
            .get(&container.image)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        container.running(repo_digests)
    });
    Ok(running.collect())
}

fn read<'a, T: Deserialize<'a>>(what: &'static str, json: &'a str) -> Result<T, InspectError> {
    serde_json::from_str(json).map_err(|error| InspectError {
        what,
        cause: error.to_string(),
    })
}

impl Inspected {
    fn running(self, repo_digests: BTreeSet<String>) -> Running {
        let network = self.network_settings.unwrap_or_default();
        let labels = self.config.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let repository = Reference::of(&self.config.image).full_repository();
        let pinned = repo_digests
            .iter()
            .find(|digest| Reference::of(digest).full_repository() == repository);
        let ports = network
            .ports
            .unwrap_or_default()
            .into_iter()
            .map(|(port, bound)| {
                let bound = bound.unwrap_or_default().into_iter();
                (port, bound.map(Bound::address).collect())
            });
        Running {
            name: self.name.trim_start_matches('/').to_owned(),
            project: label(PROJECT_LABEL),
            service: label(SERVICE_LABEL),
            container: Container {
                pinned_image: pinned.cloned(),
                repo_digests,
                image_id: self.image,
                state: self.state.status,
                health: self
                    .state
                    .health
                    .map(|health| health.status)
                    .filter(|status| status != "none"),
                ports: ports.collect(),
                networks: network.networks.unwrap_or_default().into_keys().collect(),
                config_image: self.config.image,
            },
        }
    }
}

impl Bound {
    fn address(self) -> String {
        match self.host_ip.as_str() {
            "" => format!("0.0.0.0:{}", self.host_port),
            ip if ip.contains(':') => format!("[{ip}]:{}", self.host_port),
            ip => format!("{ip}:{}", self.host_port),
        }
    }
}

/// Rule `running-digest`: services of `merged` that are pinned, and do not run or run something else.
pub fn digests(merged: &Config, running: &[Running]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, service) in &merged.services {
        let Some(pin) = service
            .image
            .as_deref()
            .filter(|image| Reference::of(image).is_pinned())
        else {
            continue;
        };
        let wanted = Reference::of(pin);
        let ours: Vec<_> = running
            .iter()
            .filter(|running| running.service == *name)
            .collect();
        // One that is started with a profile only may well not run.
        if ours.is_empty() && service.profiles.is_empty() {
            findings.push(fail(
                DIGEST,
                format!("service {name} has no container; expected one of `{pin}`"),
            ));
        }
        for Running {
            name: container,
            container: what,
            ..
        } in ours
        {
            let same = |digest: &String| {
                let found = Reference::of(digest);
                found.full_repository() == wanted.full_repository() && found.digest == wanted.digest
            };
            if what.state != "running" {
                let what = format!(
                    "service {name}: container {container} is {}; expected it to run `{pin}`",
                    what.state
                );
                findings.push(fail(DIGEST, what));
            } else if !what.repo_digests.iter().any(same) {
                let known: Vec<_> = what.repo_digests.iter().map(String::as_str).collect();
                let known = if known.is_empty() {
                    "no digest".to_owned()
                } else {
                    known.join(", ")
                };
                let what = format!(
                    "service {name}: container {container} runs image {}, known as {known}, started as `{}`; expected the \
                     pin `{pin}`",
                    what.image_id, what.config_image
                );
                findings.push(fail(DIGEST, what));
            }
        }
    }
    findings
}

impl Manifest {
    /// The manifest of these containers.
    pub fn of(env: &str, captured_date: Date, running: &[Running]) -> Self {
        let containers: BTreeMap<_, _> = running
            .iter()
            .map(|running| (running.name.clone(), running.container.clone()))
            .collect();
        let of = |wanted: &dyn Fn(&Container) -> bool| {
            let found = containers.iter().filter(|(_, container)| wanted(container));
            found.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>()
        };
        let missing = of(&|container| container.repo_digests.is_empty());
        let summary = Summary {
            containers: containers.len(),
            running: of(&|container| container.state == "running").len(),
            unhealthy: of(&|container| container.health.as_deref() == Some("unhealthy")).len(),
            missing_repo_digests: missing.len(),
        };
        Self {
            schema_version: SCHEMA_VERSION,
            env: env.to_owned(),
            captured_date,
            containers_missing_repo_digests: missing,
            summary,
            containers,
        }
    }
}

/// Rule `manifest-drift`: what is another than the manifest `before` says. Days, and health that comes and goes, are not
/// compared.
pub fn drift(before: &Manifest, after: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |what: String| findings.push(fail(DRIFT, what));
    if before.env != after.env {
        say(format!(
            "the environment is {}; expected {}",
            after.env, before.env
        ));
    }
    for (name, was) in &before.containers {
        let Some(is) = after.containers.get(name) else {
            say(format!(
                "container {name} is gone; expected `{}`",
                was.config_image
            ));
            continue;
        };
        let parts = [
            ("image", &was.image_id, &is.image_id),
            ("reference", &was.config_image, &is.config_image),
            ("state", &was.state, &is.state),
        ];
        for (part, was, is) in parts.into_iter().filter(|(_, was, is)| was != is) {
            say(format!("container {name}: its {part} is {is}; expected {was}"));
        }
        if was.ports != is.ports {
            let (was, is) = (shown(&was.ports), shown(&is.ports));
            say(format!("container {name}: its ports are {is}; expected {was}"));
        }
        if was.networks != is.networks {
            let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
            let (was, is) = (list(&was.networks), list(&is.networks));
            say(format!("container {name}: its networks are {is}; expected {was}"));
        }
    }
    for name in after
        .containers
        .keys()
        .filter(|name| !before.containers.contains_key(*name))
    {
        say(format!("container {name} is new; expected none of this name"));
    }
    findings
}

fn shown(ports: &BTreeMap<String, BTreeSet<String>>) -> String {
    let mut all = Vec::new();
    for (port, bound) in ports {
        all.extend(bound.iter().map(|bound| format!("{bound}->{port}")));
    }
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}
