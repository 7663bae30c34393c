//! What isolation costs: a virtual host with the whole topology and a schema with its tables, for each trial.

use harness_runner::environment::Failure;
use harness_stack::admin::{BrokerAdmin, DatabaseAdmin};
use harness_stack::pool::Mode;
use harness_stack::secret;
use tokio::time::Instant;

use super::{Bound, Measure, failed, percentile_ms};
use crate::environment::Stack;

pub(super) async fn measure(stack: &Stack, runs: u32) -> Result<Vec<Measure>, Failure> {
    let lease = stack.take(Mode::Shared, "bench").await?;
    let grant = lease.grant().clone();
    let scripts = stack.scripts()?;
    let mut times = Vec::new();
    for run in 0..runs.max(1) * 10 {
        let name = format!("{}-{run}", grant.lease);
        let password = secret::password();
        let begin = Instant::now();
        let broker = async {
            BrokerAdmin::new(&grant.broker)
                .provision(&name, &password, &stack.topology)
                .await
                .map_err(|error| failed(&error))
        };
        let database = async {
            let mut admin = DatabaseAdmin::connect(&grant.database)
                .await
                .map_err(|error| failed(&error))?;
            admin
                .provision(&name, &password, &scripts)
                .await
                .map_err(|error| failed(&error))
        };
        tokio::try_join!(broker, database)?;
        times.push(begin.elapsed());
        BrokerAdmin::new(&grant.broker)
            .remove(&name)
            .await
            .map_err(|error| failed(&error))?;
        let mut admin = DatabaseAdmin::connect(&grant.database)
            .await
            .map_err(|error| failed(&error))?;
        admin.remove(&name).await.map_err(|error| failed(&error))?;
    }
    lease.release(false).await.map_err(|error| failed(&error))?;
    let (p50, p99) = (percentile_ms(&mut times, 0.5), percentile_ms(&mut times, 0.99));
    Ok(vec![Measure {
        name: "provision p50",
        value: p50,
        unit: "ms",
        bound: Bound::AtMost(100.0),
        beside: format!("p99 {p99:.0} ms, {} times", times.len()),
    }])
}
