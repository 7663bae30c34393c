//! What `harness mutants` needs of the world: where the catalogues are, and the naive check.
//!
//! The naive check is what a pipeline's gate looks like before somebody thinks of the ledger: a report, an idle restart
//! of the broker, another report, and each time "there are rows". It asks for nothing else, so a planted bug that it sees
//! is too easy to say anything for the harness.

use std::time::Duration;

use harness_model::name::Key;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_stack::admin::DatabaseAdmin;
use harness_stack::backend::Backend;
use harness_stack::wait;
use tokio::sync::Mutex;

use crate::cx::Cx;
use crate::fault::ask::{Broker, restart};
use crate::scenario::Builder;
use crate::world::lock;
use crate::{Scenario, collect, workload};

/// The catalogues of planted bugs, below the root of the checkout.
pub(crate) const CATALOGUES: &str = "fixtures/bugs/*.toml";

/// How long the naive check waits for rows.
const PATIENCE: Duration = Duration::from_secs(15);

/// The naive check.
pub(crate) fn baseline() -> Scenario {
    Builder::new(
        "baseline::naive",
        "a report before and a report after an idle restart of the broker leave rows",
        |cx| Box::pin(naive(cx)),
    )
    .exclusive()
    .done()
}

async fn naive(cx: &mut Cx) -> Outcome {
    leaves_rows(cx, "english-bin").await?;
    cx.fault(restart(Broker))?.bitten().await?.heal().await?;
    leaves_rows(cx, "italian-street-light").await
}

/// A report, public and with tags, goes in, and the number of its rows is not zero: in the table of analyses, and in
/// that of links to tags.
async fn leaves_rows(cx: &Cx, report: &'static str) -> Outcome {
    let reports = cx.pipeline().inject(workload::named(report)).await?;
    let seqs: Vec<_> = reports.keys().iter().filter_map(Key::seq).collect();
    let world = &cx.world;
    let failed = |error: &dyn std::fmt::Display| Failure::infra(format!("count rows: {error}"));
    let mut admin = DatabaseAdmin::connect(&world.backend(Backend::Database))
        .await
        .map_err(|error| failed(&error))?;
    let schema = lock(&world.grant).lease.clone();
    admin
        .select_schema(&schema)
        .await
        .map_err(|error| failed(&error))?;

    let effects = &world.topology.effects;
    let analysis = (&effects.analysis.table, &effects.analysis.key);
    let links = effects.tags.as_ref().map(|tags| (&tags.links, &tags.link_key));
    let admin = Mutex::new(admin);
    world.waiting_for("rows");
    for (table, key) in [Some(analysis), links].into_iter().flatten() {
        let count = || async {
            let found = admin.lock().await.rows(table, &[key]).await;
            let found = found.map_err(|error| error.to_string())?;
            let ours = |row: &_| collect::seq(row, key).is_some_and(|seq| seqs.contains(&seq));
            match found.iter().filter(|row| ours(row)).count() {
                0 => Err(format!("{table} has none")),
                _ => Ok(()),
            }
        };
        let there = wait::until(&format!("rows in {table}"), PATIENCE, count).await;
        there.map_err(|timed_out| Failure::fail(timed_out.to_string()))?;
    }
    Ok(())
}
