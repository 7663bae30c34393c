//! How the platform is run: the box that stands for the production machine, and the scripts that deploy, back up and try
//! to restore.
//!
//! A script is named, not described: it is an organisation's own, runs unmodified, and is told by arguments and variables
//! what it has to know. Besides the placeholders that are there for every service ([`super::template`]) these are known:
//!
//! | placeholder | value |
//! |---|---|
//! | `{ops.project}` | name of the Compose project, which no other trial has |
//! | `{ops.home}` | the folder in which the scripts run |
//! | `{ops.registry}` | address of the registry, as the box and the engine know it |
//! | `{ops.gateway}` | where a container finds the machine |
//! | `{ops.database_image}` | the image of the database that is under test |
//! | `{link.ROLE.broker.host}`, `..port`, `{link.ROLE.database.host}`, `..port` | where a service of that role has to dial |
//!
//! `{database.host}` and `{broker.host}` are the backends themselves here: the box is no service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Topology;
use super::template::Values;
use crate::name::Name;

/// The name by which a topology asks for the box of this repository, which is in no registry.
pub const OPS_IMAGE: &str = "cleanapp-ops";

/// How the platform is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ops {
    /// Image of the box; `cleanapp-ops` is that of this repository. Another one needs bash, procps, strace and
    /// `/usr/bin/python3` besides what the scripts themselves need.
    pub image: String,
    /// Image of the registry.
    pub registry: String,
    /// A folder that is seen in the box as `/ops`, read-only; relative to the topology file.
    pub files: String,
    /// The folder in the box in which scripts run, and which is theirs.
    #[serde(default = "home")]
    pub home: String,
    /// Variables of every script, as templates.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Secrets that scripts fetch by name (`gcloud secrets versions access`), as templates.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// Deploys.
    #[serde(default)]
    pub deploy: Option<Deploy>,
    /// Takes the latest deploy back.
    #[serde(default)]
    pub roll_back: Option<Script>,
    /// Makes a backup.
    #[serde(default)]
    pub backup: Option<Backup>,
    /// Tries to restore it.
    #[serde(default)]
    pub restore_drill: Option<Script>,
    /// Says whether the latest backup is fresh.
    #[serde(default)]
    pub freshness: Option<Script>,
}

/// A script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Its file; relative to the topology file, below `files`.
    pub script: String,
    /// Its arguments, as templates.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its variables, as templates; they win over those of all scripts.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// How services are deployed: by Compose, with images of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The script's file.
    pub script: String,
    /// Its arguments, as templates. Those that a scenario adds, such as the services of a partial deploy, follow.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its variables, as templates.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The Compose files that are in the home before the first deploy, in the order in which they are layered; relative to
    /// the topology file.
    pub compose: Vec<String>,
    /// What the names of images of our own begin with, as a template; the name of the Compose service follows.
    pub internal: String,
    /// The tag that is moved to what is to be deployed.
    pub tag: String,
    /// The link in the home to the override that is in force.
    pub current: String,
    /// What names of overrides in the home look like; `*` stands for the time.
    pub overrides: String,
    /// The file of the policy for ports and images; relative to the topology file.
    pub policy: String,
    /// The firewall's rules; relative to the topology file.
    #[serde(default)]
    pub firewall: Option<String>,
    /// What Compose calls the services, where it is not their role.
    #[serde(default)]
    pub services: BTreeMap<Name, String>,
    /// Where a migration says when it was applied.
    #[serde(default)]
    pub migrations: Option<Migrations>,
}

/// The table of applied migrations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migrations {
    /// Its name.
    pub table: String,
    /// The column with the time, in UTC.
    pub at: String,
}

/// How a backup is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The script's file.
    pub script: String,
    /// Its arguments, as templates.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its variables, as templates.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The environment's name, as metadata and log give it.
    pub environment: String,
    /// URL of the current dump.
    pub object: String,
    /// URL of its metadata.
    pub metadata: String,
    /// URL of the folder of weekly copies.
    pub weekly: String,
    /// The log file in the box.
    pub log: String,
    /// The drill's report in the box.
    #[serde(default)]
    pub report: Option<String>,
}

fn home() -> String {
    "/srv/platform".to_owned()
}

impl Deploy {
    /// Reads the table on its own, as a file has it that describes somebody else's script.
    ///
    /// # Errors
    /// What is wrong with it, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// What Compose calls the service of a role.
    pub fn service<'a>(&'a self, role: &'a Name) -> &'a str {
        self.services.get(role).map_or(role.as_str(), String::as_str)
    }

    /// The role of what Compose calls `service`.
    pub fn role(&self, service: &str, topology: &Topology) -> Option<Name> {
        let mut roles = topology.services.keys();
        roles.find(|role| self.service(role) == service).cloned()
    }

    /// The script.
    pub fn script(&self) -> Script {
        script(&self.script, &self.args, &self.env)
    }
}

impl Backup {
    /// Reads the table on its own, as a file has it that describes somebody else's script.
    ///
    /// # Errors
    /// What is wrong with it, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// The script.
    pub fn script(&self) -> Script {
        script(&self.script, &self.args, &self.env)
    }
}

fn script(file: &str, args: &[String], env: &BTreeMap<String, String>) -> Script {
    Script {
        script: file.to_owned(),
        args: args.to_vec(),
        env: env.clone(),
    }
}

impl Ops {
    /// The script that is for this.
    pub fn script(&self, name: &str) -> Option<Script> {
        self.scripts().remove(name)
    }

    /// The scripts by what they are for.
    pub fn scripts(&self) -> BTreeMap<&'static str, Script> {
        let named = [
            ("deploy", self.deploy.as_ref().map(Deploy::script)),
            ("roll_back", self.roll_back.clone()),
            ("backup", self.backup.as_ref().map(Backup::script)),
            ("restore_drill", self.restore_drill.clone()),
            ("freshness", self.freshness.clone()),
        ];
        named
            .into_iter()
            .filter_map(|(name, script)| Some((name, script?)))
            .collect()
    }

    /// Puts another file in the place of a script.
    ///
    /// # Errors
    /// When there is no such script; says which there are.
    pub fn set_script(&mut self, name: &str, file: &str) -> Result<(), String> {
        let slot = match name {
            "deploy" => self.deploy.as_mut().map(|found| &mut found.script),
            "backup" => self.backup.as_mut().map(|found| &mut found.script),
            "roll_back" => self.roll_back.as_mut().map(|found| &mut found.script),
            "restore_drill" => self.restore_drill.as_mut().map(|found| &mut found.script),
            "freshness" => self.freshness.as_mut().map(|found| &mut found.script),
            _ => None,
        };
        if let Some(slot) = slot {
            file.clone_into(slot);
            return Ok(());
        }
        let known: Vec<_> = self.scripts().into_keys().collect();
        Err(format!(
            "the topology has no script `{name}`; it has {}",
            known.join(", ")
        ))
    }
}

/// Gives the placeholders of the box their values; `value` knows them by name.
pub fn set_values(topology: &Topology, values: &mut Values, value: impl Fn(&str) -> String) {
    let mut names: Vec<_> = ["project", "home", "registry", "gateway", "database_image"]
        .map(|name| format!("ops.{name}"))
        .into();
    for role in topology.services.keys() {
        for part in ["broker.host", "broker.port", "database.host", "database.port"] {
            names.push(format!("link.{role}.{part}"));
        }
    }
    for name in names {
        let found = value(&name);
        values.set(name, &found);
    }
}
