//! What a deploy has left: the override that is in force, what Compose makes of the files, what runs, and since when.

use harness_model::event::Backend;
use harness_model::ops::compose::Config;
use harness_model::ops::firewall::Firewall;
use harness_model::ops::migrated::{self, Made};
use harness_model::ops::pins;
use harness_model::ops::policy::Policy;
use harness_model::ops::ports::Open;
use harness_model::ops::running::{self, Running};
use harness_model::ops::versions::Answer;
use harness_model::verdict::Finding;
use harness_runner::environment::Failure;
use harness_stack::admin::DatabaseAdmin;
use harness_stack::client;
use harness_stack::ops::BOX_LABEL;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::today;
use crate::ops::{Ops, infra};
use crate::world::lock;

impl Ops {
    /// What is wrong with the firewall rules of this file, relative to the topology's.
    pub(super) fn firewall(&self, file: &str) -> Result<Vec<Finding>, Failure> {
        let path = self.site()?.folder.join(file);
        let text =
            std::fs::read_to_string(&path).map_err(|error| Failure::invalid(format!("{path}: {error}")))?;
        let rules = Firewall::parse(path.file_name().unwrap_or(file), &text)
            .map_err(|error| Failure::invalid(error.to_string()))?;
        Ok(rules.judge(&self.policy()?.ports, None, today()))
    }

    /// What may be open, and which images from elsewhere need no pin.
    pub(super) fn policy(&self) -> Result<Policy, Failure> {
        let path = self.site()?.folder.join(&self.deploy_of()?.policy);
        let text =
            std::fs::read_to_string(&path).map_err(|error| Failure::invalid(format!("{path}: {error}")))?;
        Policy::parse(path.as_str(), &text).map_err(|error| Failure::invalid(error.render(100, false)))
    }

    /// The name and text of the override that is in force.
    pub(super) async fn override_text(&self) -> Result<(String, String), Failure> {
        let link = &self.deploy_of()?.current;
        let none = || Failure::fail(format!("there is no override: {link} leads nowhere")).rule(pins::PARSES);
        let name = self.shell_with("readlink \"$LINK\"", &[("LINK", link)]).await?;
        let text = self.read(link).await?.ok_or_else(none)?;
        let name = name.out.trim();
        Ok((
            if name.is_empty() {
                link.clone()
            } else {
                name.to_owned()
            },
            text,
        ))
    }

    /// What Compose makes of the platform's files, with or without the override; or why it refuses them.
    pub(super) async fn compose(&self, with_override: bool) -> Result<Result<String, String>, Failure> {
        let deploy = self.deploy_of()?;
        let mut files: Vec<_> = deploy
            .compose
            .iter()
            .map(|file| file.rsplit('/').next().unwrap_or(file).to_owned())
            .collect();
        if with_override {
            files.push(deploy.current.clone());
        }
        let files: Vec<_> = files.iter().map(|file| format!(" -f '{file}'")).collect();
        let files = files.concat();
        let project = self.filled("{ops.project}")?;
        let lines = format!(
            "docker compose --profile '*' -p {project}{files} config --format json >/run/ops/config 2>/run/ops/said"
        );
        let env = self.env_of("deploy")?;
        let env: Vec<_> = env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let ran = self.shell_with(&lines, &env).await?;
        let file = if ran.code == 0 {
            "/run/ops/config"
        } else {
            "/run/ops/said"
        };
        let text = self.read(file).await?.unwrap_or_default();
        Ok(if ran.code == 0 { Ok(text) } else { Err(text) })
    }

    /// What Compose makes of the platform's files, which it has to take.
    pub(super) async fn config(&self, with_override: bool) -> Result<Config, Failure> {
        let refused =
            |said: String| Failure::fail(format!("Compose refuses the files: {said}")).rule(pins::PARSES);
        parsed(&self.compose(with_override).await?.map_err(refused)?)
    }

    /// What runs in the box's Compose projects.
    pub(super) async fn running(&self) -> Result<Vec<Running>, Failure> {
        let lease = lock(&self.world.grant).lease.clone();
        let described = self.world.engine.described(&format!("{BOX_LABEL}={lease}")).await;
        let (containers, images) = described.map_err(infra)?;
        running::inspected(&containers, &images).map_err(|error| infra(error.to_string()))
    }

    /// What services say of their build.
    pub(super) async fn answers(&self) -> Vec<Answer> {
        let services = self.world.services.lock().await;
        let mut answers = Vec::new();
        for (role, described) in &self.world.topology.services {
            let Some(path) = &described.version else { continue };
            let ours: Vec<_> = services
                .values()
                .filter(|running| running.role == *role)
                .collect();
            if ours.is_empty() {
                answers.push(Answer {
                    of: role.to_string(),
                    service: None,
                    body: Err("it does not run".to_owned()),
                });
            }
            for running in ours {
                let answer = client::get(running.ip, described.port, path).await;
                let body = answer.and_then(|answer| match answer.status {
                    200 => Ok(answer.body.to_string()),
                    other => Err(format!("status {other}")),
                });
                answers.push(Answer {
                    of: running.name.to_string(),
                    service: None,
                    body,
                });
            }
        }
        answers
    }

    /// What the containers have open, and the sockets that listen for them.
    pub(super) async fn open(&self) -> Result<Vec<Open>, Failure> {
        let mut open = Open::of_running(&self.running().await?);
        for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let Some(text) = self.read(file).await? else {
                continue;
            };
            let sockets = Open::of_proc(file, &text).map_err(|error| infra(error.to_string()))?;
            open.extend(Open::of_platform(&open, sockets));
        }
        Ok(open)
    }

    /// Every migration was applied before the containers of the latest deploy were made.
    pub(super) async fn migrations(&self) -> Result<Vec<Finding>, Failure> {
        let Some(migrations) = &self.deploy_of()?.migrations else {
            return Ok(Vec::new());
        };
        let lease = lock(&self.world.grant).lease.clone();
        let backend = self.world.backend(Backend::Database);
        let mut admin = DatabaseAdmin::connect(&backend).await.map_err(infra)?;
        admin.select_schema(&lease).await.map_err(infra)?;
        let rows = admin.rows(&migrations.table, &[&migrations.at]).await.ok();
        let applied = rows.map(|rows| {
            let at = rows
                .iter()
                .filter_map(|row| row.get(&migrations.at)?.as_str().map(str::to_owned));
            at.map(|text| utc(&text)).collect::<Result<Vec<_>, _>>()
        });
        let applied = applied.transpose()?;
        let began = (*lock(&self.site()?.deployed)).unwrap_or(Timestamp::MIN);
        let table = &migrations.table;
        Ok(migrated::first(
            table,
            applied.as_deref(),
            began,
            &self.made().await?,
        ))
    }

    /// When the containers that run were made.
    async fn made(&self) -> Result<Vec<Made>, Failure> {
        let lines = "docker ps -q | xargs -r docker inspect --format '{{.Created}} {{.Name}}'";
        let ran = self.shell(lines).await?;
        if ran.code != 0 {
            return Err(infra(format!("ask when containers were made: {}", ran.out)));
        }
        let lines = ran.out.lines().filter_map(|line| line.split_once(' '));
        lines
            .map(|(at, name)| {
                Ok(Made {
                    name: name.trim_start_matches('/').to_owned(),
                    at: at.parse().map_err(|error| infra(format!("`{at}`: {error}")))?,
                })
            })
            .collect()
    }
}

/// What Compose has printed.
pub(super) fn parsed(json: &str) -> Result<Config, Failure> {
    Config::parse("docker compose config", json).map_err(|error| infra(error.to_string()))
}

/// A time of the database, in UTC: `2026-11-24 10:00:00.123456`.
fn utc(text: &str) -> Result<Timestamp, Failure> {
    let refused = |error: jiff::Error| infra(format!("`{text}`, a time of a migration: {error}"));
    let time: DateTime = text.parse().map_err(refused)?;
    TimeZone::UTC.to_timestamp(time).map_err(refused)
}
