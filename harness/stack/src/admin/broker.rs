//! The broker's management interface: a virtual host as a whole, its user and its connections.

use std::time::Duration;

use harness_model::fault::Resource;
use harness_model::topology::Topology;
use rabbitmq_http_client::api::{ClientBuilder, HttpClientError};
use rabbitmq_http_client::requests::Permissions;
use rabbitmq_http_client::responses::HealthCheckFailureDetails;

use super::definitions::{Credentials, definitions};
use crate::backend::MANAGEMENT_PORT;
use crate::pool::BackendInfo;

/// Longest time for one request; the slowest, an import of definitions, takes tens of milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

/// Something that was asked of the broker and not done.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct AdminError {
    what: String,
    cause: String,
}

impl AdminError {
    pub(super) fn new(what: impl Into<String>, cause: &impl ToString) -> Self {
        Self {
            what: what.into(),
            cause: cause.to_string(),
        }
    }
}

/// A client of the management interface.
pub struct BrokerAdmin {
    pub(super) client: rabbitmq_http_client::api::Client<String, String, String>,
    pub(super) broker: BackendInfo,
}

impl std::fmt::Debug for BrokerAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerAdmin").finish_non_exhaustive()
    }
}

impl BrokerAdmin {
    /// A client for this broker; nothing is dialled yet.
    ///
    /// # Panics
    /// Never: the address is a literal one.
    pub fn new(broker: &BackendInfo) -> Self {
        let client = ClientBuilder::new()
            .with_endpoint(format!("http://{}:{MANAGEMENT_PORT}/api", broker.ip))
            .with_basic_auth_credentials(broker.user.clone(), broker.password.clone())
            .with_connect_timeout(DEADLINE)
            .with_request_timeout(DEADLINE)
            .build()
            .expect("a literal address makes a client");
        Self {
            client,
            broker: broker.clone(),
        }
    }

    /// The broker's version.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String, AdminError> {
        let version = self.client.server_version().await;
        version.map_err(|error| failed("broker version", &error))
    }

    /// Makes a virtual host with its own user and everything the topology wants to exist before a service starts:
    /// exchanges, queues, bindings, retry and dead-letter queues, policies. One request.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn provision(
        &self,
        vhost: &str,
        password: &str,
        topology: &Topology,
    ) -> Result<(), AdminError> {
        let credentials = Credentials {
            password,
            administrator: &self.broker.user,
        };
        let made = definitions(vhost, Some(&credentials), topology);
        let imported = self.client.import_cluster_wide_definitions(made).await;
        imported.map_err(|error| failed("make the virtual host", &error))
    }

    /// Makes again what the topology wants in a virtual host and is missing: exchanges, queues, bindings, policies. What
    /// is there stays as it is, messages and consumers with it, so this can be asked for at any time and again.
    ///
    /// A queue that is there with other arguments stays, too; see [`BrokerAdmin::delete_queue`]. User, password and
    /// permissions are not touched; see [`BrokerAdmin::permit`].
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn restore(&self, vhost: &str, topology: &Topology) -> Result<(), AdminError> {
        let wanted = definitions(vhost, None, topology);
        let imported = self.client.import_cluster_wide_definitions(wanted).await;
        imported.map_err(|error| failed(format!("restore virtual host {vhost}"), &error))
    }

    /// Allows a user everything in a virtual host, or nothing. Its connections stay.
    ///
    /// A channel remembers what it was allowed, so one that is busy goes on with what it has done before; it forgets when
    /// it has been idle for a moment. What is consumed already goes on being delivered.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn permit(&self, user: &str, vhost: &str, allowed: bool) -> Result<(), AdminError> {
        let pattern = if allowed { ".*" } else { "^$" };
        let permissions = Permissions {
            user,
            vhost,
            configure: pattern,
            read: pattern,
            write: pattern,
        };
        let changed = self.client.declare_permissions(&permissions).await;
        changed.map_err(|error| {
            let word = if allowed { "allow" } else { "forbid" };
            failed(format!("{word} user {user} everything in {vhost}"), &error)
        })
    }

    /// Closes all connections of a virtual host's own user, as an operator does: each peer gets `connection.close` with
    /// code 320. Connections of the harness by that user are among them. Returns how many there were.
    ///
    /// The broker looks them up by user in the table by which it enforces limits, which is exact; its list of connections
    /// by virtual host is a statistic and seconds old.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn close_all(&self, vhost: &str) -> Result<usize, AdminError> {
        let what = || format!("close the connections of {vhost}");
        let open = match self.client.list_user_connections(vhost).await {
            Ok(open) => open.len(),
            Err(error) if error.is_not_found() => 0,
            Err(error) => return Err(failed(what(), &error)),
        };
        let closed = self
            .client
            .close_user_connections(vhost, Some("closed by an operator"), true);
        closed.await.map_err(|error| failed(what(), &error))?;
        Ok(open)
    }

    /// The alarms that block publishers now; see [`super::Alarm`].
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn alarms(&self) -> Result<Vec<Resource>, AdminError> {
        let alarms = match self.client.health_check_cluster_wide_alarms().await {
            Ok(()) => return Ok(Vec::new()),
            Err(HttpClientError::HealthCheckFailed {
                details: HealthCheckFailureDetails::AlarmCheck(details),
                ..
            }) => details.alarms,
            Err(error) => return Err(failed("read the broker's alarms", &error)),
        };
        let resources = alarms.iter().filter_map(|alarm| match alarm.resource.as_str() {
            "memory" => Some(Resource::Memory),
            "disk space" => Some(Resource::Disk),
            // An alarm about file descriptors blocks nobody.
            _ => None,
        });
        Ok(resources.collect())
    }

    /// Removes a virtual host and its user; it is no error if they are not there.
    ///
    /// # Errors
    /// When the broker refuses or does not answer.
    pub async fn remove(&self, vhost: &str) -> Result<(), AdminError> {
        let removed = self.client.delete_vhost(vhost, true).await;
        removed.map_err(|error| failed("remove the virtual host", &error))?;
        let removed = self.client.delete_user(vhost, true).await;
        removed.map_err(|error| failed("remove the user", &error))
    }
}

/// What was asked for, and what the management interface said instead of doing it.
pub(super) fn failed(what: impl Into<String>, error: &HttpClientError) -> AdminError {
    let said = match error {
        HttpClientError::ClientErrorResponse { body, .. }
        | HttpClientError::ServerErrorResponse { body, .. } => body.as_deref(),
        _ => None,
    };
    let cause = said.map_or_else(|| error.to_string(), |said| format!("{error}: {said}"));
    AdminError::new(what, &cause)
}
