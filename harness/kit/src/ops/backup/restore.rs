//! Restoring a dump without the drill: into a database of the harness' own, read by the harness' own hand.

use harness_model::ops::backup::restore::{self, EQUAL, Table};
use harness_model::verdict::{Finding, Kind};
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_stack::admin::{Contents, DatabaseAdmin};
use harness_stack::scratch::Scratch;
use serde_json::Value;

use super::{Backups, Made};
use crate::ops::judged;
use crate::world::lock;

impl Backups {
    /// What was dumped is what is in the source, which nobody may have written to since: every row, and every definition.
    ///
    /// # Errors
    /// Fail, rule `restore-equal`.
    pub async fn brings_everything_back(&self) -> Outcome {
        let source = self.contents_of_source().await?;
        let scratch = self.restored().await?;
        let restored = self.contents_of(&scratch).await;
        self.discard(scratch).await?;
        let restored = restored?;
        let mut found = restore::equal(&compared(&source), &compared(&restored));
        // The names are compared already; these are the texts.
        for (name, definition) in &source.definitions {
            if restored
                .definitions
                .get(name)
                .is_some_and(|other| other != definition)
            {
                let what = format!("{name} is defined otherwise than in the dump's source");
                found.push(Finding::new(Kind::Fail, EQUAL, what));
            } else if name.starts_with("view ") && !restored.definitions.contains_key(name) {
                found.push(Finding::new(Kind::Fail, EQUAL, format!("{name} is missing")));
            }
        }
        judged(found)
    }

    /// All tables of the dump are of one moment, the one at which its rows were counted: each has the rows that the metadata
    /// says, and every tag counts the links that there are.
    ///
    /// # Errors
    /// Fail, rule `restore-equal`.
    pub async fn is_of_one_moment(&self, made: &Made) -> Outcome {
        let scratch = self.restored().await?;
        let looked = self.look_for_one_moment(&scratch, made).await;
        self.discard(scratch).await?;
        looked
    }

    async fn look_for_one_moment(&self, scratch: &Scratch, made: &Made) -> Outcome {
        let unreadable =
            |error: &dyn std::fmt::Display| Failure::infra(format!("read what was restored: {error}"));
        let restored = self.contents_of(scratch).await?;
        let rows = restored
            .tables
            .iter()
            .map(|(name, held)| (name.clone(), held.rows));
        let mut found = restore::counts(&made.metadata.row_counts, &rows.collect(), 0.0);
        let mut admin = scratch
            .schema(&self.schema())
            .await
            .map_err(|error| unreadable(&error))?;
        let Some(tags) = &self.world.topology.effects.tags else {
            return judged(found);
        };
        let links = admin
            .rows(&tags.links, &[&tags.link_key])
            .await
            .map_err(|error| unreadable(&error))?;
        for tag in admin
            .rows(&tags.table, &[&tags.id])
            .await
            .map_err(|error| unreadable(&error))?
        {
            let linked = links
                .iter()
                .filter(|link| link.get(&tags.link_tag) == tag.get(&tags.id))
                .count();
            if tag.get(&tags.count).and_then(Value::as_u64) != Some(linked as u64) {
                let what = format!(
                    "the tables were not dumped at one moment: tag {} counts {}, there are {linked} links",
                    tag.get(&tags.name).unwrap_or(&Value::Null),
                    tag.get(&tags.count).unwrap_or(&Value::Null)
                );
                found.push(Finding::new(Kind::Fail, EQUAL, what));
            }
        }
        judged(found)
    }

    /// What the source holds now.
    pub(super) async fn contents_of_source(&self) -> Result<Contents, Failure> {
        contents(self.source().await?).await
    }

    async fn contents_of(&self, scratch: &Scratch) -> Result<Contents, Failure> {
        let schema = self.schema();
        let admin = scratch.schema(&schema).await.map_err(|error| {
            Failure::fail(format!("the dump brings no schema {schema} back: {error}")).rule(EQUAL)
        })?;
        contents(admin).await
    }

    /// The current dump in a database of its own.
    async fn restored(&self) -> Result<Scratch, Failure> {
        let infra =
            |error: &dyn std::fmt::Display| Failure::infra(format!("start a scratch database: {error}"));
        let grant = lock(&self.world.grant).clone();
        let scratch = Scratch::start(
            &self.world.engine,
            &grant.database.image,
            &grant.lease,
            &grant.backends,
            &self.ops.site()?.labels,
        )
        .await
        .map_err(|error| infra(&error))?;
        let info = scratch.info();
        let lines = format!(
            "set -o pipefail; gsutil cat '{}' | gzip -dc | mariadb --skip-ssl -h {} -u {}",
            self.dump_name()?,
            info.ip,
            info.user
        );
        let loaded = self
            .ops
            .shell_with(&lines, &[("MYSQL_PWD", &info.password)])
            .await?;
        if loaded.code != 0 {
            let what = format!("the dump cannot be restored: {}", loaded.out);
            return Err(Failure::fail(what).rule(EQUAL));
        }
        Ok(scratch)
    }

    async fn discard(&self, scratch: Scratch) -> Outcome {
        let removed = scratch.remove().await;
        removed.map_err(|error| Failure::infra(format!("remove a scratch database: {error}")))
    }
}

async fn contents(mut admin: DatabaseAdmin) -> Result<Contents, Failure> {
    let contents = admin.contents().await;
    contents.map_err(|error| Failure::infra(format!("read what a schema holds: {error}")))
}

/// In the form that the model compares.
fn compared(contents: &Contents) -> restore::Contents {
    let named = |kind: &str| {
        let names = contents.definitions.keys();
        names
            .filter_map(|name| name.strip_prefix(kind).map(str::to_owned))
            .collect()
    };
    let tables = contents.tables.iter().map(|(name, held)| {
        let table = Table {
            rows: held.rows,
            checksum: held.digest.clone(),
        };
        (name.clone(), table)
    });
    restore::Contents {
        tables: tables.collect(),
        triggers: named("trigger "),
        routines: named("routine "),
        events: named("event "),
    }
}
