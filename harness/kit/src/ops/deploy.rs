//! Deploys: releases in the trial's registry, the deploy script, and the services that it has started.
//!
//! A trial with [`Setup::Deployed`] begins with the Compose files and the services' environment on the box, and with
//! nothing running. The scenario pushes a [`Release`] and has it deployed; the containers that the script has started are
//! then services like any others: watched, asked, judged, with every link tapped. Their starts and ends are taken from the
//! engine's own events.
//!
//! [`release`] fills the registry, [`adopt`] takes what a script has started for the trial's services, [`look`] judges what
//! is there.

mod adopt;
mod look;
mod release;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use harness_model::event::{Event, Step};
use harness_model::name::Name;
use harness_model::topology::ops::Deploy;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_stack::service::variables;
use harness_stack::wait;

use self::adopt::follow;
use super::{Ops, Ran};
use crate::environment::Stack;
use crate::strangers::Foreign;
use crate::world::lock;

pub use self::look::Look;
pub use self::release::Release;

#[cfg(doc)]
use harness_model::topology::Setup;

/// The rule for a deploy script that does not do what it is for.
const DEPLOY: &str = "deploy";
/// Longest time for services that were made anew to be healthy.
const READY: Duration = Duration::from_secs(30);

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

    /// What names of our own images begin with.
    pub(super) fn internal(&self) -> Result<String, Failure> {
        self.filled(&self.deploy_of()?.internal)
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

    /// The box with another file, named relative to the topology's, in the place of one of its scripts.
    ///
    /// # Errors
    /// Invalid when the topology has no such script.
    pub fn with_script(&self, name: &str, file: &str) -> Result<Self, Failure> {
        let mut other = self.clone();
        let described = other.described.as_mut();
        let described = described.ok_or_else(|| Failure::invalid("the topology has no table `ops`"))?;
        described.set_script(name, file).map_err(Failure::invalid)?;
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

    /// The latest deploy had replaced the services of these roles before it ended, whatever became of them.
    ///
    /// # Errors
    /// Invalid when one of them was not started: then nothing is shown of a deploy that ends midway.
    pub async fn had_replaced(&self, roles: &[&str]) -> Outcome {
        let recorder = &self.world.recorder;
        // The engine tells of starts in its own time.
        let all = || async {
            let steps = recorder.since(0);
            let began = |event: &Event| started(&event.step) == Some(&Name::new("deploy"));
            let latest = steps.iter().rposition(began).map_or(0, |at| at + 1);
            let missing = roles.iter().find(|role| {
                let of_role = |event: &Event| started(&event.step) == Some(&Name::new(**role));
                !steps[latest..].iter().any(of_role)
            });
            missing.map_or(Ok(()), |role| {
                Err(format!("{role} was not started by the latest deploy"))
            })
        };
        wait::until("services to have been replaced", READY, all)
            .await
            .map_err(|timed_out| Failure::invalid(timed_out.to_string()))
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

    /// The box neither sees nor changes a container that is somebody else's, and moves no name of an image that is.
    ///
    /// # Errors
    /// Fail if it does.
    pub async fn cannot_touch(&self, foreign: &Foreign) -> Outcome {
        let id = foreign.id();
        let image = lock(&self.world.grant).broker.image.reference.clone();
        let lines = format!(
            "docker ps -aq --no-trunc | grep -q {id} && echo seen; \
             for verb in 'rm -f' kill stop restart; do docker $verb {id} >/dev/null 2>&1 && echo \"$verb\"; done; \
             docker pull {image} 2>&1 | grep -q 'this ops box has not made: image' || echo pulled; \
             echo | docker load 2>&1 | grep -q 'it is not for an ops box' || echo loaded; \
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
}

/// The script or container that this step tells the start of.
fn started(step: &Step) -> Option<&Name> {
    match step {
        Step::Script { name, change, .. } | Step::Container { name, change, .. } if change == "started" => {
            Some(name)
        }
        _ => None,
    }
}
