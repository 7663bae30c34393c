//! The backup and its restore drill, as a scenario speaks of them.
//!
//! [`Backups`] runs the scripts that the topology names, unmodified, in the ops box, and judges what they leave. It takes
//! none of their words for it: it reads the source itself, restores the dump into a database of its own ([`restore`]),
//! damages dumps and metadata to see whether the drill notices ([`damage`]), and looks for secrets in what the box has
//! recorded. What is wrong is a failure under one of the rules of [`harness_model::ops`].

mod damage;
mod drill;
mod made;
mod restore;

use std::collections::BTreeMap;
use std::sync::Arc;

use harness_model::event::Backend;
use harness_model::topology::ops::Backup;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_stack::admin::DatabaseAdmin;

use super::{Ops, Ran};
use crate::cx::Cx;
use crate::files;
use crate::world::{World, lock};

pub use self::damage::Damage;
pub use self::made::Made;

/// The backups of one trial.
pub struct Backups {
    pub(crate) ops: Ops,
    pub(crate) world: Arc<World>,
}

impl Cx {
    /// The backups of this trial.
    ///
    /// # Errors
    /// Invalid when the scenario has not asked for an ops box.
    pub fn backups(&self) -> Result<Backups, Failure> {
        Ok(Backups {
            ops: self.ops()?,
            world: Arc::clone(&self.world),
        })
    }
}

impl Backups {
    /// Runs a file of fixtures/ops/data in the trial's schema, as its administrator.
    ///
    /// # Errors
    /// Infra when the database refuses.
    pub async fn load(&self, file: &str) -> Outcome {
        let path = files::root().join("fixtures/ops/data").join(file);
        let refused = |error: &dyn std::fmt::Display| Failure::infra(format!("load {file}: {error}"));
        let sql = std::fs::read_to_string(&path).map_err(|error| refused(&error))?;
        let mut admin = self.source().await?;
        admin.script(file, &sql).await.map_err(|error| refused(&error))
    }

    /// An administrator's session in the schema that is backed up.
    pub(crate) async fn source(&self) -> Result<DatabaseAdmin, Failure> {
        let refused = |error: &dyn std::fmt::Display| Failure::infra(format!("read the source: {error}"));
        let mut admin = DatabaseAdmin::connect(&self.world.backend(Backend::Database))
            .await
            .map_err(|error| refused(&error))?;
        let schema = self.schema();
        admin
            .select_schema(&schema)
            .await
            .map_err(|error| refused(&error))?;
        Ok(admin)
    }

    /// The name of the schema that is backed up.
    pub(crate) fn schema(&self) -> String {
        lock(&self.world.grant).lease.clone()
    }

    /// Runs one of the topology's scripts.
    pub(crate) async fn script(&self, role: &str, env: &[(&str, &str)]) -> Result<Ran, Failure> {
        let env: BTreeMap<_, _> = env
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        self.world.waiting_for(format!("the script {role}"));
        self.ops.script_with(role, &env).await
    }

    /// Runs a few lines of shell in the box; they must not fail.
    pub(crate) async fn shell(&self, lines: &str) -> Result<String, Failure> {
        let ran = self.ops.shell(lines).await?;
        if ran.code == 0 {
            return Ok(ran.out);
        }
        Err(Failure::infra(format!(
            "run in the box: exit code {}\n{lines}\n{}",
            ran.code, ran.out
        )))
    }
}

impl Backups {
    fn table(&self) -> Result<&Backup, Failure> {
        let described = self.ops.described()?.backup.as_ref();
        described.ok_or_else(|| Failure::invalid("the topology has no [ops.backup]"))
    }

    /// What the scripts call the environment.
    pub(crate) fn environment(&self) -> Result<String, Failure> {
        Ok(self.table()?.environment.clone())
    }

    /// The dump in the object store.
    pub(crate) fn dump_name(&self) -> Result<String, Failure> {
        Ok(self.table()?.object.clone())
    }

    /// The metadata in the object store.
    pub(crate) fn metadata_name(&self) -> Result<String, Failure> {
        Ok(self.table()?.metadata.clone())
    }

    /// The folder of weekly copies in the object store.
    pub(crate) fn weekly_folder(&self) -> Result<String, Failure> {
        Ok(self.table()?.weekly.clone())
    }

    /// The log, in the box.
    pub(crate) fn log_name(&self) -> Result<String, Failure> {
        Ok(self.table()?.log.clone())
    }

    /// The drill's report, in the box.
    pub(crate) fn report_name(&self) -> Result<String, Failure> {
        let report = self.table()?.report.clone();
        report.ok_or_else(|| Failure::invalid("the topology's [ops.backup] names no report of the drill"))
    }

    /// Limits the memory of all that scripts run, in MiB.
    ///
    /// # Errors
    /// Infra when the engine refuses.
    pub async fn limit_memory(&self, mib: u32) -> Outcome {
        self.ops.limit(i64::from(mib) << 20).await
    }

    /// The current dump, unpacked, is larger than so many MiB: in a memory of that size nobody can have held all of it.
    ///
    /// # Errors
    /// Invalid if it is not: then a limit says nothing of scripts that hold it.
    pub async fn is_larger_than(&self, mib: u32) -> Outcome {
        let lines = format!(
            "set -o pipefail; gsutil cat '{}' | gzip -dc | wc -c",
            self.dump_name()?
        );
        let said = self.shell(&lines).await?;
        let bytes: u64 = said
            .trim()
            .parse()
            .map_err(|error| Failure::infra(format!("measure the dump: {error}: {said}")))?;
        if bytes > u64::from(mib) << 20 {
            return Ok(());
        }
        let what = format!(
            "the dump has {} MiB and would fit into a memory of {mib} MiB",
            bytes >> 20
        );
        Err(Failure::invalid(what))
    }

    /// No password is in the arguments of a command, in a file, an object or a log, or in an image.
    ///
    /// # Errors
    /// Fail, rule `secret-exposed`.
    pub async fn shows_no_secret(&self) -> Outcome {
        self.ops.shows_no_secret().await
    }

    /// Secrets stand in places that are described with these words, and are found in each.
    ///
    /// # Errors
    /// Fail, rule `secret-exposed`, with the places in which none was found.
    pub async fn shows_secrets(&self, places: &[&str]) -> Outcome {
        self.ops.shows_secrets(places).await
    }

    /// The backups with another file, named relative to the topology's, in the place of one of its scripts.
    ///
    /// # Errors
    /// Invalid when the topology has no such script.
    pub fn with_script(mut self, role: &str, file: &str) -> Result<Self, Failure> {
        self.ops = self.ops.with_script(role, file)?;
        Ok(self)
    }

    /// The backups of somebody else's script, described by a file of fixtures/ops/foreign.
    ///
    /// # Errors
    /// Infra when the file cannot be read.
    pub fn by(mut self, file: &str) -> Result<Self, Failure> {
        let path = files::root().join("fixtures/ops/foreign").join(file);
        let text =
            std::fs::read_to_string(&path).map_err(|error| Failure::infra(format!("{path}: {error}")))?;
        let backup = Backup::parse(&text).map_err(|error| Failure::infra(format!("{path}: {error}")))?;
        if let Some(described) = &mut self.ops.described {
            described.backup = Some(backup);
        }
        Ok(self)
    }
}
