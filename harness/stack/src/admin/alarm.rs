//! Resource alarms: the broker believes that it runs out of memory or disk, and blocks whoever publishes.
//!
//! The limits can be changed, and be read at once after a boot, by the broker's command line alone, which runs in its
//! container; each run takes more than a second. Whether an alarm is on is read from the broker's table of alarms, over
//! the management interface.
//!
//! An alarm concerns the whole broker, so it needs an exclusive lease. A restart of the broker forgets it.

use std::time::Duration;

use harness_model::fault::Resource;
use serde_json::Value;

use super::broker::{AdminError, BrokerAdmin};
use crate::engine::Engine;
use crate::pool::BackendInfo;
use crate::wait;

/// Longest time from a changed limit to its effect; the broker compares at once.
const EFFECT: Duration = Duration::from_secs(10);

/// A limit of memory, in bytes, that every broker is above.
const NO_MEMORY: &str = "1";
/// A limit of free disk space, in bytes, that every broker is below: a petabyte.
const ALL_DISK: &str = "1000000000000000";

/// An alarm that can be raised and cleared: what it is about, and the limit that was in force before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    resource: Resource,
    /// As an argument of the command that sets it.
    before: Vec<String>,
}

impl Alarm {
    /// Reads the limit that [`Alarm::clear`] puts back. Nothing is changed.
    ///
    /// # Errors
    /// When the broker's command line fails or does not tell the limit.
    pub async fn prepare(
        engine: &Engine,
        broker: &BackendInfo,
        resource: Resource,
    ) -> Result<Self, AdminError> {
        let status = ["rabbitmqctl", "--silent", "status", "--formatter", "json"];
        let said = run(engine, broker, &status).await?;
        let before = limit(resource, &said).ok_or_else(|| {
            let cause = format!("there is no limit in what it says: {said}");
            AdminError::new(status.join(" "), &cause)
        })?;
        Ok(Self { resource, before })
    }

    /// Raises the alarm and waits until it is on.
    ///
    /// # Errors
    /// When the broker's command line fails, or the alarm does not come on.
    pub async fn raise(&self, engine: &Engine, broker: &BackendInfo) -> Result<(), AdminError> {
        let limit: &[&str] = match self.resource {
            Resource::Memory => &["absolute", NO_MEMORY],
            Resource::Disk => &[ALL_DISK],
        };
        self.set(engine, broker, limit, true).await
    }

    /// Puts the limit back that was in force and waits until the alarm is off. It is no error if it never was on.
    ///
    /// # Errors
    /// When the broker's command line fails, or the alarm does not go off: then the broker really runs out of it.
    pub async fn clear(&self, engine: &Engine, broker: &BackendInfo) -> Result<(), AdminError> {
        let limit: Vec<_> = self.before.iter().map(String::as_str).collect();
        self.set(engine, broker, &limit, false).await
    }

    async fn set(
        &self,
        engine: &Engine,
        broker: &BackendInfo,
        limit: &[&str],
        on: bool,
    ) -> Result<(), AdminError> {
        let verb = match self.resource {
            Resource::Memory => "set_vm_memory_high_watermark",
            Resource::Disk => "set_disk_free_limit",
        };
        let command = [&["rabbitmqctl", "--silent", verb], limit].concat();
        run(engine, broker, &command).await?;
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
        .map_err(|timed_out| AdminError::new(command.join(" "), &timed_out))
    }
}

/// Runs a command in the broker's container and gives what it says.
async fn run(engine: &Engine, broker: &BackendInfo, command: &[&str]) -> Result<String, AdminError> {
    let failed = |cause: &dyn ToString| AdminError::new(command.join(" "), &cause.to_string());
    let output = engine.exec(&broker.container, command).await;
    let output = output.map_err(|error| failed(&error))?;
    if output.code == 0 {
        Ok(output.stdout)
    } else {
        let said = format!("{} {}", output.stdout.trim(), output.stderr.trim());
        Err(failed(&format!("exit code {}: {}", output.code, said.trim())))
    }
}

/// The limit in a status of the node, as arguments of the command that sets it.
fn limit(resource: Resource, status: &str) -> Option<Vec<String>> {
    let status: Value = serde_json::from_str(status).ok()?;
    let number = |value: &Value| value.is_number().then(|| value.to_string());
    match resource {
        Resource::Disk => Some(vec![number(status.get("disk_free_limit")?)?]),
        Resource::Memory => {
            let setting = status.get("vm_memory_high_watermark_setting")?;
            match (setting.get("relative"), setting.get("absolute")) {
                (Some(part), _) => Some(vec![number(part)?]),
                (None, bytes) => Some(vec!["absolute".to_owned(), number(bytes?)?]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use harness_model::fault::Resource::{Disk, Memory};

    use super::limit;

    #[test]
    fn limits_are_set_as_they_were() {
        let relative =
            r#"{"disk_free_limit": 50000000, "vm_memory_high_watermark_setting": {"relative": 0.6}}"#;
        let absolute = r#"{"vm_memory_high_watermark_setting": {"absolute": 2000000000}}"#;
        for (resource, status, expected) in [
            (Disk, relative, Some("50000000")),
            (Memory, relative, Some("0.6")),
            (Memory, absolute, Some("absolute 2000000000")),
            (Disk, absolute, None),
            (Disk, r#"{"disk_free_limit": "NaN"}"#, None),
            (Memory, r#"{"vm_memory_high_watermark_setting": {}}"#, None),
            (Memory, "Error: no node", None),
        ] {
            let said = limit(resource, status).map(|words| words.join(" "));
            assert_eq!(said.as_deref(), expected, "{status}");
        }
    }
}
