//! Looking at what a deploy has left: the override that is in force, what Compose makes of it, what runs.

use std::collections::{BTreeMap, BTreeSet};

use harness_model::name::Name;
use harness_model::ops::compose::Config;
use harness_model::ops::firewall::{self, Firewall};
use harness_model::ops::migrated::{self, Made};
use harness_model::ops::pins::{self, Pinned};
use harness_model::ops::policy::Policy;
use harness_model::ops::ports::{self, Open};
use harness_model::ops::running::{self, Running};
use harness_model::ops::versions::{self, Answer, Expected};
use harness_model::verdict::Finding;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_stack::client;
use harness_stack::ops::BOX_LABEL;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use super::{Ops, Release};
use crate::ops::{infra, judged};
use crate::world::lock;

/// One side of a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The override as a file.
    Override,
    /// What the override pins.
    Pins,
    /// Images from elsewhere.
    ThirdParty,
    /// What runs, against the pins.
    Digests,
    /// What services say of their build; they must agree.
    Versions,
    /// What is open, in the configuration and on the machine.
    Ports,
    /// The firewall's rules.
    Firewall,
    /// Migrations, against the starts of containers.
    Migrations,
}

/// All of them, in the order in which a person would look.
const ALL: [Look; 8] = [
    Look::Override,
    Look::Pins,
    Look::ThirdParty,
    Look::Digests,
    Look::Versions,
    Look::Ports,
    Look::Firewall,
    Look::Migrations,
];

impl Ops {
    /// All is as it should be, and every service is of this release.
    ///
    /// # Errors
    /// Fail, under the rule that is broken.
    pub async fn runs(&self, release: &Release) -> Outcome {
        for look in ALL {
            judged(self.findings(look).await?)?;
        }
        let expected = Expected {
            git_sha: Some(release.git_sha.clone()),
            apart: BTreeSet::new(),
        };
        judged(versions::agree(&self.answers().await, &expected))
    }

    /// Nothing is wrong on this side.
    ///
    /// # Errors
    /// Fail, under the rule that is broken.
    pub async fn is_good(&self, look: Look) -> Outcome {
        judged(self.findings(look).await?)
    }

    /// Something is wrong on this side by this rule, and what is said of it has these words in it.
    ///
    /// # Errors
    /// Fail if it is not noticed, or called something else.
    pub async fn is_bad(&self, look: Look, rule: &str, words: &str) -> Outcome {
        let found = self.findings(look).await?;
        let wanted = |finding: &Finding| finding.rule == rule && finding.what.contains(words);
        if found.iter().any(wanted) {
            return Ok(());
        }
        let said: Vec<_> = found
            .iter()
            .map(|finding| format!("{}: {}", finding.rule, finding.what))
            .collect();
        Err(Failure::fail(format!(
            "{look:?} should have been found to be wrong by rule {rule} with the words `{words}`, found: {said:?}"
        )))
    }

    /// The digest that each service runs, by its name.
    ///
    /// # Errors
    /// Infra when the box does not say.
    pub async fn digests(&self) -> Result<BTreeMap<String, BTreeSet<String>>, Failure> {
        let running = self.running().await?;
        let each = running.into_iter();
        Ok(each
            .map(|one| (one.service, one.container.repo_digests))
            .collect())
    }

    /// What these services run has changed since `before`, and what all others run has not.
    ///
    /// # Errors
    /// Fail, rule `running-digest`, with the services of which that is not so.
    pub async fn only_changed(&self, before: &BTreeMap<String, BTreeSet<String>>, roles: &[&str]) -> Outcome {
        let (deploy, now) = (self.deploy_of()?, self.digests().await?);
        let chosen: BTreeSet<_> = roles
            .iter()
            .map(|role| deploy.service(&Name::new(*role)).to_owned())
            .collect();
        let services: BTreeSet<_> = before.keys().chain(now.keys()).collect();
        let wrong: Vec<_> = services
            .into_iter()
            .filter(|service| (before.get(*service) != now.get(*service)) != chosen.contains(*service))
            .map(|service| {
                format!(
                    "{service} ran {:?} and runs {:?}",
                    before.get(service),
                    now.get(service)
                )
            })
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let what = format!(
            "expected another digest for {chosen:?} and no other: {}",
            wrong.join("; ")
        );
        Err(Failure::fail(what).rule(running::DIGEST))
    }

    /// Compose refuses the files with the override that is in force, or a rule does.
    ///
    /// # Errors
    /// Fail if nobody does.
    pub async fn is_refused(&self) -> Outcome {
        if self.compose(true).await?.is_err() || !self.findings(Look::Pins).await?.is_empty() {
            return Ok(());
        }
        Err(Failure::fail("an override that is wrong is taken").rule(pins::COMPLETE))
    }

    /// Something is wrong with the firewall rules of this file, relative to the topology's, and said with these words.
    ///
    /// # Errors
    /// Fail if it is not noticed.
    pub fn rules_are_bad(&self, file: &str, words: &str) -> Outcome {
        let found = self.firewall(file)?;
        if found.iter().any(|finding| finding.what.contains(words)) {
            return Ok(());
        }
        Err(Failure::fail(format!("nothing is said of {words} in {file}: {found:?}")).rule(firewall::POLICY))
    }

    fn firewall(&self, file: &str) -> Result<Vec<Finding>, Failure> {
        let path = self.site()?.folder.join(file);
        let text =
            std::fs::read_to_string(&path).map_err(|error| Failure::invalid(format!("{path}: {error}")))?;
        let rules = Firewall::parse(path.file_name().unwrap_or(file), &text)
            .map_err(|error| Failure::invalid(error.to_string()))?;
        Ok(rules.judge(&self.policy()?.ports, None, today()))
    }

    fn policy(&self) -> Result<Policy, Failure> {
        let path = self.site()?.folder.join(&self.deploy_of()?.policy);
        let text =
            std::fs::read_to_string(&path).map_err(|error| Failure::invalid(format!("{path}: {error}")))?;
        Policy::parse(path.as_str(), &text).map_err(|error| Failure::invalid(error.render(100, false)))
    }

    /// The override that is in force, in the form that goldens show.
    ///
    /// # Errors
    /// Fail if there is none.
    pub async fn pins(&self) -> Result<Value, Failure> {
        let (_, text) = self.override_text().await?;
        Ok(Value::from(
            self.marked(&text)?.lines().map(str::to_owned).collect::<Vec<_>>(),
        ))
    }

    /// What Compose makes of all files, in the form that goldens show: without environments, which other goldens are about.
    ///
    /// # Errors
    /// Fail if Compose refuses them.
    pub async fn effective(&self) -> Result<Value, Failure> {
        let json = self.compose(true).await?.map_err(Failure::fail)?;
        let mut config: Value =
            serde_json::from_str(&self.marked(&json)?).map_err(|error| infra(error.to_string()))?;
        for service in config["services"].as_object_mut().into_iter().flatten() {
            if let Some(fields) = service.1.as_object_mut() {
                fields.remove("environment");
            }
        }
        Ok(config)
    }

    /// Layers a file over those of the platform, in the place of the override that is in force.
    ///
    /// # Errors
    /// Infra when the box does not take it.
    pub async fn replace_override(&self, change: impl Fn(&str) -> String) -> Outcome {
        let (_, text) = self.override_text().await?;
        let name = self.deploy_of()?.overrides.replace('*', "99991231T235959Z");
        self.write(&name, &change(&text)).await?;
        let current = &self.deploy_of()?.current;
        let ran = self
            .shell_with("ln -sfn \"$TO\" \"$LINK\"", &[("TO", &name), ("LINK", current)])
            .await?;
        if ran.code == 0 {
            Ok(())
        } else {
            Err(infra(ran.out))
        }
    }

    /// What is wrong on one side.
    pub(crate) async fn findings(&self, look: Look) -> Result<Vec<Finding>, Failure> {
        let today = today();
        Ok(match look {
            Look::Override => {
                let (file, text) = self.override_text().await?;
                let config = match self.compose(true).await? {
                    Ok(json) => Ok(parsed(&json)?),
                    Err(said) => Err(said),
                };
                let said = config.as_ref().map_err(String::as_str);
                pins::parses(&file, &text, said)
            }
            Look::Pins => {
                let (file, _) = self.override_text().await?;
                let (base, merged) = (self.config(false).await?, self.config(true).await?);
                pins::complete(&Pinned {
                    file: &file,
                    base: &base,
                    merged: &merged,
                    internal: &self.internal()?,
                })
            }
            Look::ThirdParty => {
                let merged = self.config(true).await?;
                pins::third_party(&merged, &self.policy()?.images, &self.internal()?, today)
            }
            Look::Digests => running::digests(&self.config(true).await?, &self.running().await?),
            Look::Versions => versions::agree(&self.answers().await, &Expected::default()),
            Look::Ports => {
                let (config, allowed) = (self.config(true).await?, self.policy()?.ports);
                let mut found = ports::mappings(&config, &allowed, today);
                let mut open = Open::of_config(&config);
                open.extend(self.open().await?);
                found.extend(ports::policy(&allowed, &open, today));
                found
            }
            Look::Firewall => match &self.deploy_of()?.firewall {
                Some(file) => self.firewall(file)?,
                None => Vec::new(),
            },
            Look::Migrations => self.migrations().await?,
        })
    }

    /// The name and text of the override that is in force.
    async fn override_text(&self) -> Result<(String, String), Failure> {
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
    async fn compose(&self, with_override: bool) -> Result<Result<String, String>, Failure> {
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

    async fn config(&self, with_override: bool) -> Result<Config, Failure> {
        let refused =
            |said: String| Failure::fail(format!("Compose refuses the files: {said}")).rule(pins::PARSES);
        parsed(&self.compose(with_override).await?.map_err(refused)?)
    }

    /// What runs in the box's Compose projects.
    async fn running(&self) -> Result<Vec<Running>, Failure> {
        let lease = lock(&self.world.grant).lease.clone();
        let described = self.world.engine.described(&format!("{BOX_LABEL}={lease}")).await;
        let (containers, images) = described.map_err(infra)?;
        running::inspected(&containers, &images).map_err(|error| infra(error.to_string()))
    }

    /// What services say of their build.
    async fn answers(&self) -> Vec<Answer> {
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
    async fn open(&self) -> Result<Vec<Open>, Failure> {
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
    async fn migrations(&self) -> Result<Vec<Finding>, Failure> {
        let Some(migrations) = &self.deploy_of()?.migrations else {
            return Ok(Vec::new());
        };
        let lease = lock(&self.world.grant).lease.clone();
        let backend = self.world.backend(harness_model::event::Backend::Database);
        let mut admin = harness_stack::admin::DatabaseAdmin::connect(&backend)
            .await
            .map_err(infra)?;
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

    /// A text without what differs from trial to trial.
    fn marked(&self, text: &str) -> Result<String, Failure> {
        let site = self.site()?;
        let mut text = text.to_owned();
        for name in ["ops.registry", "ops.project", "ops.gateway"] {
            if let Some(value) = site.values.get(name).filter(|value| !value.is_empty()) {
                text = text.replace(value, &format!("<{}>", &name[4..]));
            }
        }
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find("sha256:") {
            let (before, after) = rest.split_at(at + "sha256:".len());
            out.push_str(before);
            let end = after
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(after.len());
            out.push_str(if end == 64 { "<digest>" } else { &after[..end] });
            rest = &after[end..];
        }
        Ok(out + rest)
    }
}

fn parsed(json: &str) -> Result<Config, Failure> {
    Config::parse("docker compose config", json).map_err(|error| infra(error.to_string()))
}

/// A time of the database, in UTC: `2026-11-24 10:00:00.123456`.
fn utc(text: &str) -> Result<Timestamp, Failure> {
    let refused = |error: jiff::Error| infra(format!("`{text}`, a time of a migration: {error}"));
    let time: jiff::civil::DateTime = text.parse().map_err(refused)?;
    jiff::tz::TimeZone::UTC.to_timestamp(time).map_err(refused)
}

/// The day it is, in UTC.
fn today() -> Date {
    jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date()
}
