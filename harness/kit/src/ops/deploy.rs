//! Deploys: releases in the trial's registry, the deploy script, and the services that it has started.
//!
//! A trial with [`Setup::Deployed`] begins with the Compose files and the services' environment on the box, and with
//! nothing running. The scenario pushes a [`Release`] and has it deployed; the containers that the script has started are
//! then services like any others: watched, asked, judged, with every link tapped. Their starts and ends are taken from the
//! engine's own events.
//!
//! [`look`] judges what is there.

mod look;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use harness_model::event::{Step, body_hash};
use harness_model::name::Name;
use harness_model::topology::ops::Deploy;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_stack::engine::{EngineEvent, Status};
use harness_stack::ops::BOX_LABEL;
use harness_stack::ops::versions::{self, Version};
use harness_stack::service::{Running, variables};
use harness_stack::wait;

use super::{Ops, Ran, infra};
use crate::environment::Stack;
use crate::health;
use crate::strangers::Foreign;
use crate::world::{World, lock};

pub use self::look::Look;

#[cfg(doc)]
use harness_model::topology::Setup;

/// Compose's label with the name of a container's service.
const SERVICE: &str = "com.docker.compose.service";
/// Compose's label with the number of a service's container.
const NUMBER: &str = "com.docker.compose.container-number";
/// The rule for a deploy script that does not do what it is for.
const DEPLOY: &str = "deploy";
/// Longest time for services that were made anew to be healthy.
const READY: Duration = Duration::from_secs(30);
/// Days of the month on which the releases of a trial say they were built.
const DAYS: u64 = 28;

/// A version of all services in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The commit that its services say they were built from.
    pub git_sha: String,
    /// Its images by id, with their names.
    images: Vec<(String, Vec<String>)>,
}

impl Ops {
    pub(super) fn deploy_of(&self) -> Result<&Deploy, Failure> {
        let deploy = self.described()?.deploy.as_ref();
        deploy.ok_or_else(|| Failure::invalid("the topology has no table `ops.deploy`"))
    }

    /// Puts the Compose files into the home, and the services' environment below it: `env/ROLE.env`.
    pub(crate) async fn prepare_deploys(&self) -> Outcome {
        let (world, site) = (&self.world, self.site()?);
        for file in &self.deploy_of()?.compose {
            let path = site.folder.join(file);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Failure::invalid(format!("{path}: {error}")))?;
            self.write(path.file_name().unwrap_or(file), &text).await?;
        }
        for (role, service) in &world.topology.services {
            let values = variables(&world.topology, Some(service), &Stack::links(world, role)?);
            let env = world
                .topology
                .environment(service, &values)
                .map_err(|error| Failure::invalid(format!("environment of {role}: {error}")))?;
            let lines: Vec<_> = env
                .iter()
                .map(|(name, value)| format!("{name}={value}\n"))
                .collect();
            self.write(&format!("env/{role}.env"), &lines.concat()).await?;
        }
        tokio::spawn(follow(Arc::downgrade(world), self.clone().engine_events()));
        Ok(())
    }

    fn engine_events(self) -> impl futures::Stream<Item = EngineEvent> + Send + Unpin {
        let lease = lock(&self.world.grant).lease.clone();
        let events = self.world.engine.events(BOX_LABEL, &lease, None);
        Box::pin(events.filter_map(|event| async { event.ok() }))
    }

    /// What names of our own images begin with.
    pub(super) fn internal(&self) -> Result<String, Failure> {
        self.filled(&self.deploy_of()?.internal)
    }

    /// Pushes another version of all services, and moves the tag to it.
    ///
    /// # Errors
    /// Infra when the registry does not take it.
    pub async fn release(&self) -> Result<Release, Failure> {
        self.push(&[]).await
    }

    /// The same, with services that end as soon as they are started.
    ///
    /// # Errors
    /// Infra when the registry does not take it.
    pub async fn broken_release(&self) -> Result<Release, Failure> {
        self.push(&[r#"ENTRYPOINT ["/bin/false"]"#]).await
    }

    async fn push(&self, changes: &[&str]) -> Result<Release, Failure> {
        let (site, deploy) = (self.site()?, self.deploy_of()?);
        let number = site.releases.fetch_add(1, Ordering::Relaxed) + 1;
        let git_sha = body_hash(format!("{} {number}", self.world.seed).as_bytes())[..12].to_owned();
        let version = Version {
            git_sha: git_sha.clone(),
            build_time: format!("2026-10-{:02}T10:00:00Z", number % DAYS + 1),
            changes: changes.iter().map(|change| (*change).to_owned()).collect(),
        };
        let internal = self.internal()?;
        let mut names = BTreeMap::<&str, Vec<String>>::new();
        for (role, image) in &site.images {
            let name = format!("{internal}{}:{}", deploy.service(role), deploy.tag);
            names.entry(image).or_default().push(name);
        }
        let lease = lock(&self.world.grant).lease.clone();
        let mut images = Vec::new();
        for (index, (image, names)) in names.iter().enumerate() {
            let scratch = format!("harness-{lease}-release-{number}-{index}");
            let id = versions::push(&self.world.engine, image, &version, names, &site.labels, &scratch)
                .await
                .map_err(infra)?;
            images.push((id, names.clone()));
        }
        Ok(Release { git_sha, images })
    }

    /// Deploys what the tag leads to: all services, or these roles only. The script must succeed.
    ///
    /// # Errors
    /// Fail, under the rule that says what is wrong with what it has left, else under `deploy`.
    pub async fn deploy(&self, roles: &[&str]) -> Outcome {
        self.deployed(self.run_deploy(roles).await?).await
    }

    /// The box with deploys by a script of somebody else's, described by a file next to the topology's: what takes the
    /// place of its table `ops.deploy`.
    ///
    /// # Errors
    /// Invalid when the file does not describe one.
    pub fn deploying_by(&self, file: &str) -> Result<Self, Failure> {
        let path = self.site()?.folder.join(file);
        let described = std::fs::read_to_string(&path)
            .map_err(|error| error.to_string())
            .and_then(|text| Deploy::parse(&text))
            .map_err(|error| Failure::invalid(format!("{path}: {error}")))?;
        let mut other = self.clone();
        if let Some(ops) = &mut other.described {
            ops.deploy = Some(described);
        }
        Ok(other)
    }

    async fn deployed(&self, ran: Ran) -> Outcome {
        if ran.code == 0 {
            return Ok(());
        }
        // What it has left may say more than its exit code.
        for look in [Look::Override, Look::Pins] {
            super::judged(self.findings(look).await?)?;
        }
        let what = format!("the deploy failed with exit code {}:\n{}", ran.code, ran.out);
        Err(Failure::fail(what).rule(DEPLOY))
    }

    /// Moves the tag to a release that was pushed before.
    ///
    /// # Errors
    /// Infra when the registry does not take it.
    pub async fn tag(&self, release: &Release) -> Outcome {
        for (id, names) in &release.images {
            versions::push_again(&self.world.engine, id, names)
                .await
                .map_err(infra)?;
        }
        Ok(())
    }

    /// Deploys all services, and moves the tag to another release as soon as the script has begun to get what it pinned.
    ///
    /// # Errors
    /// As [`Ops::deploy`].
    pub async fn deploy_while_tag_moves(&self, to: &Release) -> Outcome {
        let recorder = &self.world.recorder;
        let mut next = recorder.len();
        let moves = async {
            while !recorder
                .since(next)
                .iter()
                .any(|event| matches!(event.step, Step::Engine { .. }))
            {
                next = recorder.len();
                recorder.past(next).await;
            }
            self.tag(to).await
        };
        let (deployed, moved) = tokio::join!(self.deploy(&[]), moves);
        deployed.and(moved)
    }

    /// Deploys; the script must fail, and say so with this word.
    ///
    /// # Errors
    /// Fail, rule `deploy`, if it succeeds or does not say it.
    pub async fn deploy_fails(&self, roles: &[&str], word: &str) -> Outcome {
        let ran = self.run_deploy(roles).await?;
        if ran.code != 0 && ran.out.contains(word) {
            return Ok(());
        }
        let what = format!(
            "a deploy that cannot succeed ended with exit code {} and should have said `{word}`:\n{}",
            ran.code, ran.out
        );
        Err(Failure::fail(what).rule(DEPLOY))
    }

    async fn run_deploy(&self, roles: &[&str]) -> Result<Ran, Failure> {
        let deploy = self.deploy_of()?;
        let names: Vec<_> = roles
            .iter()
            .map(|role| deploy.service(&Name::new(*role)).to_owned())
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let began = jiff::Timestamp::now();
        let ran = self.script("deploy", &names, &BTreeMap::new()).await?;
        if ran.code == 0 {
            *lock(&self.site()?.deployed) = Some(began);
        }
        self.adopt().await?;
        Ok(ran)
    }

    /// Takes the latest deploy back. The script must succeed.
    ///
    /// # Errors
    /// Fail, rule `deploy`.
    pub async fn roll_back(&self) -> Outcome {
        let ran = self.script("roll_back", &[], &BTreeMap::new()).await?;
        self.adopt().await?;
        if ran.code == 0 {
            return Ok(());
        }
        let what = format!("the roll-back failed with exit code {}:\n{}", ran.code, ran.out);
        Err(Failure::fail(what).rule(DEPLOY))
    }

    /// Makes all containers anew from the files that are in force, as an operator does by hand.
    ///
    /// # Errors
    /// Fail if Compose does not do it.
    pub async fn recreate(&self) -> Outcome {
        let deploy = self.deploy_of()?;
        let project = self.filled("{ops.project}")?;
        let mut command: Vec<_> = ["docker", "compose", "-p", &project].map(str::to_owned).into();
        let base = deploy
            .compose
            .iter()
            .map(|file| file.rsplit('/').next().unwrap_or(file));
        for file in base.chain([deploy.current.as_str()]) {
            command.extend(["-f".to_owned(), file.to_owned()]);
        }
        command.extend(["up", "-d", "--force-recreate"].map(str::to_owned));
        let ran = self.recorded("recreate", command, self.env_of("deploy")?).await?;
        self.adopt().await?;
        if ran.code != 0 {
            return Err(Failure::fail(format!(
                "Compose does not make the services anew:\n{}",
                ran.out
            )));
        }
        self.answer().await
    }

    /// Every service that runs is healthy.
    async fn answer(&self) -> Outcome {
        let services = self.world.services.lock().await;
        for running in services.values() {
            let awaited = format!("{} to be healthy", running.name);
            wait::until(&awaited, READY, || async { running.health().await.verdict })
                .await
                .map_err(|timed_out| Failure::hang(timed_out.to_string()))?;
        }
        Ok(())
    }

    /// The box neither sees nor changes a container that is somebody else's.
    ///
    /// # Errors
    /// Fail if it does.
    pub async fn cannot_touch(&self, foreign: &Foreign) -> Outcome {
        let id = foreign.id();
        let lines = format!(
            "docker ps -aq --no-trunc | grep -q {id} && echo seen; \
             for verb in 'rm -f' kill stop restart; do docker $verb {id} >/dev/null 2>&1 && echo \"$verb\"; done; \
             docker container prune -f >/dev/null; docker network prune -f >/dev/null; \
             docker builder prune -af >/dev/null 2>&1 && echo pruned; docker inspect --format '{{{{.State.Status}}}}' {id}"
        );
        let command = ["bash", "-c", &lines].map(str::to_owned).into();
        let ran = self.recorded("others", command, self.env_of("deploy")?).await?;
        if ran.out.trim() == "running" {
            return Ok(());
        }
        Err(Failure::fail(format!(
            "the ops box can do to a container of somebody else's: {}",
            ran.out
        )))
    }

    /// Ends the registry: from now on nobody answers at its address.
    ///
    /// # Errors
    /// Infra when the engine refuses.
    pub async fn lose_registry(&self) -> Outcome {
        match self.site()?.ops_box.registry_container() {
            Some(container) => self.world.engine.remove_container(container).await.map_err(infra),
            None => Err(Failure::invalid("there is no registry")),
        }
    }

    /// Takes the containers that run now for the trial's services.
    async fn adopt(&self) -> Outcome {
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
async fn follow(world: std::sync::Weak<World>, mut events: impl futures::Stream<Item = EngineEvent> + Unpin) {
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
