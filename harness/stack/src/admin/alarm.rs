//! Resource alarms: the broker believes that it runs out of memory or disk, and blocks whoever publishes.
//!
//! The limits can be changed by the broker's command line alone, which runs in its container; each run takes more than a
//! second. Whether an alarm is on is read from the broker's table of alarms, over the management interface.
//!
//! An alarm concerns the whole broker, so it needs an exclusive lease. A restart of the broker forgets it.

use std::time::Duration;

use harness_model::fault::Resource;

use super::broker::{AdminError, BrokerAdmin, failed};
use crate::engine::Engine;
use crate::pool::BackendInfo;
use crate::wait;

/// Longest time from a changed limit to its effect; the broker compares at once.
const EFFECT: Duration = Duration::from_secs(10);

/// A limit of memory, in bytes, that every broker is above.
const NO_MEMORY: u64 = 1;
/// A limit of free disk space, in bytes, that every broker is below: a petabyte.
const ALL_DISK: u64 = 1_000_000_000_000_000;

/// An alarm that can be raised and cleared: what it is about, and the limit that was in force before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    resource: Resource,
    before: u64,
}

impl Alarm {
    /// Reads the limit that [`Alarm::clear`] puts back. Nothing is changed.
    ///
    /// # Errors
    /// When the broker does not answer, or does not tell its limit.
    pub async fn prepare(broker: &BackendInfo, resource: Resource) -> Result<Self, AdminError> {
        let what = "read the broker's limits";
        let nodes = BrokerAdmin::new(broker).client.list_nodes().await;
        let nodes = nodes.map_err(|error| failed(what, &error))?;
        let limit = nodes.first().map_or(0, |node| match resource {
            Resource::Memory => node.memory_high_watermark,
            Resource::Disk => node.free_disk_space_low_watermark,
        });
        if limit == 0 {
            return Err(AdminError::new(what, &"the node has told none yet"));
        }
        Ok(Self {
            resource,
            before: limit,
        })
    }

    /// Raises the alarm and waits until it is on.
    ///
    /// # Errors
    /// When the broker's command line fails, or the alarm does not come on.
    pub async fn raise(&self, engine: &Engine, broker: &BackendInfo) -> Result<(), AdminError> {
        let limit = match self.resource {
            Resource::Memory => NO_MEMORY,
            Resource::Disk => ALL_DISK,
        };
        self.set(engine, broker, limit, true).await
    }

    /// Puts the limit back that was in force and waits until the alarm is off. It is no error if it never was on.
    ///
    /// # Errors
    /// When the broker's command line fails, or the alarm does not go off: then the broker really runs out of it.
    pub async fn clear(&self, engine: &Engine, broker: &BackendInfo) -> Result<(), AdminError> {
        self.set(engine, broker, self.before, false).await
    }

    async fn set(
        &self,
        engine: &Engine,
        broker: &BackendInfo,
        limit: u64,
        on: bool,
    ) -> Result<(), AdminError> {
        let limit = limit.to_string();
        let command: &[&str] = match self.resource {
            Resource::Memory => &["rabbitmqctl", "set_vm_memory_high_watermark", "absolute", &limit],
            Resource::Disk => &["rabbitmqctl", "set_disk_free_limit", &limit],
        };
        let what = command.join(" ");
        let failed = |cause: &dyn ToString| AdminError::new(what.clone(), &cause.to_string());
        let output = engine
            .exec(&broker.container, command)
            .await
            .map_err(|error| failed(&error))?;
        if output.code != 0 {
            let said = output.stderr.trim();
            return Err(failed(&format!("exit code {}: {said}", output.code)));
        }
        let admin = BrokerAdmin::new(broker);
        let awaited = if on { "the alarm" } else { "the end of the alarm" };
        wait::until(awaited, EFFECT, || async {
            let alarms = admin.alarms().await.map_err(|error| error.to_string())?;
            if alarms.contains(&self.resource) == on {
                Ok(())
            } else {
                Err(format!("alarms: {alarms:?}"))
            }
        })
        .await
        .map_err(|timed_out| failed(&timed_out))
    }
}
