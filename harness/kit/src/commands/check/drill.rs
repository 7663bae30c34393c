//! `harness check backup --drill`: the dump is restored into a scratch database, read, and thrown away.
//!
//! By the harness' own hand, not by the platform's drill, so that it needs nothing but the two files: a scratch database of
//! the topology's image, and a container with the database's client that sees the dump, read-only. Both are on a network
//! without a way out, carry a lease's labels, and are gone afterwards, whoever dies first. The platform is not touched.
//!
//! What is compared are the counts of the metadata, within the tolerance; that every row can be read is shown by reading
//! it. Checksums of the metadata are made by a formula of the platform's own and are not compared here.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8Path;
use harness_model::ops::backup::metadata::Metadata;
use harness_model::ops::backup::restore::{self, EQUAL};
use harness_model::ops::fail;
use harness_model::verdict::Finding;
use harness_runner::exit::Refusal;
use harness_stack::admin::DatabaseAdmin;
use harness_stack::engine::{Exec, Machine};
use harness_stack::pool::{Grant, Mode};
use harness_stack::progress::Progress;
use harness_stack::scratch::Scratch;
use harness_stack::service;

use crate::environment::Stack;

/// Longest time for a dump to be loaded.
const LOAD: Duration = Duration::from_hours(6);
/// Where the client sees the dump.
const DUMP: &str = "/dump.sql.gz";
/// Where tables go whose dump names no schema.
const NAMELESS: &str = "restored";

/// What a drill has found.
pub(super) struct Drilled {
    pub(super) findings: Vec<Finding>,
    /// Rows by table, as they were restored.
    pub(super) rows: BTreeMap<String, u64>,
}

/// Restores `object`, and compares what came out with its metadata.
pub(super) async fn run(stack: &Stack, object: &Utf8Path, metadata: &Metadata) -> Result<Drilled, Refusal> {
    let lease = stack
        .take(Mode::Shared, "check::drill")
        .await
        .map_err(|failure| engine(&failure))?;
    let grant = lease.grant().clone();
    let drilled = Box::pin(in_scratch(stack, &grant, object, metadata)).await;
    let released = lease.release(false).await;
    let drilled = drilled?;
    released.map_err(|error| engine(&error))?;
    Ok(drilled)
}

async fn in_scratch(
    stack: &Stack,
    grant: &Grant,
    object: &Utf8Path,
    metadata: &Metadata,
) -> Result<Drilled, Refusal> {
    let labels = service::labels(grant, &stack.paths.dir().display().to_string());
    let object = object
        .canonicalize_utf8()
        .map_err(|error| Refusal::config(format!("read {object}: {error}")))?;
    let client = Machine {
        image: stack
            .image("ops")
            .map_err(|failure| engine(&failure))?
            .reference
            .clone(),
        name: format!("harness-{}-client", grant.lease),
        network: grant.backends.clone(),
        labels: labels.clone(),
        binds: vec![format!("{object}:{DUMP}:ro")],
        entrypoint: ["sh", "-c", "while :; do sleep 3600; done"]
            .map(str::to_owned)
            .into(),
        ..Machine::default()
    };
    let scratch = async {
        let image = &grant.database.image;
        let started = Scratch::start(&stack.engine, image, &grant.lease, &grant.backends, &labels);
        started.await.map_err(|error| engine(&error))
    };
    let client = async {
        stack
            .engine
            .start_machine(&client)
            .await
            .map_err(|error| engine(&error))
    };
    let step = Progress::to_stderr().step("drill");
    step.message("starting a scratch database");
    let (scratch, client) = tokio::try_join!(scratch, client)?;
    step.message("restoring the dump");
    let drilled = if let Some(finding) = load(stack, &scratch, &client).await? {
        Drilled {
            findings: vec![finding],
            rows: BTreeMap::new(),
        }
    } else {
        step.message("reading what was restored");
        compare(&scratch, metadata).await?
    };
    // What is left of this by an error goes with the lease.
    stack
        .engine
        .remove_container(&client)
        .await
        .map_err(|error| engine(&error))?;
    scratch.remove().await.map_err(|error| engine(&error))?;
    step.done("restored, read and thrown away");
    Ok(drilled)
}

/// Loads the dump; says why the server refuses it.
async fn load(stack: &Stack, scratch: &Scratch, client: &str) -> Result<Option<Finding>, Refusal> {
    let info = scratch.info();
    let lines = format!(
        "set -o pipefail; sql() {{ mariadb --skip-ssl -h {} -u {} \"$@\"; }}; \
         sql -e 'CREATE DATABASE {NAMELESS}' && gzip -dc {DUMP} | sql {NAMELESS}",
        info.ip, info.user
    );
    let exec = Exec {
        command: ["bash", "-c", &lines].map(str::to_owned).into(),
        env: BTreeMap::from([("MYSQL_PWD".to_owned(), info.password.clone())]),
        within: LOAD,
        ..Exec::default()
    };
    let loaded = stack
        .engine
        .exec_in(client, &exec)
        .await
        .map_err(|error| engine(&error))?;
    Ok((loaded.code != 0).then(|| {
        let said = loaded
            .stderr
            .lines()
            .next_back()
            .unwrap_or("no reason")
            .to_owned();
        fail(EQUAL, format!("the dump cannot be restored: {said}"))
    }))
}

async fn compare(scratch: &Scratch, metadata: &Metadata) -> Result<Drilled, Refusal> {
    let mut admin = DatabaseAdmin::connect(scratch.info())
        .await
        .map_err(|error| engine(&error))?;
    let mut rows = BTreeMap::new();
    for schema in admin.schemas().await.map_err(|error| engine(&error))? {
        admin
            .select_schema(&schema)
            .await
            .map_err(|error| engine(&error))?;
        for (table, held) in admin.contents().await.map_err(|error| engine(&error))?.tables {
            // Metadata names tables with their schema or, where there is one only, without.
            *rows.entry(table.clone()).or_default() += held.rows;
            rows.insert(format!("{schema}.{table}"), held.rows);
        }
    }
    let findings = restore::counts(&metadata.row_counts, &rows, restore::TOLERANCE_PCT);
    Ok(Drilled { findings, rows })
}

fn engine(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::engine(format!("the drill: {error}"))
}
