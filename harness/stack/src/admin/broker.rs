//! The broker's management interface.

use rabbitmq_http_client::api::ClientBuilder;
use rabbitmq_http_client::password_hashing::{base64_encoded_salted_password_hash_sha256, salt};
use serde_json::{Value, json};
use std::time::Duration;

use harness_model::topology::{ExchangeKind, QueueKind, Topology};

use crate::backend::MANAGEMENT_PORT;
use crate::pool::BackendInfo;

/// Longest time for one request; the slowest, an import of definitions, takes tens of milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

/// A request that the management interface did not grant.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct AdminError {
    what: &'static str,
    cause: String,
}

/// A client of the management interface.
pub struct BrokerAdmin {
    client: rabbitmq_http_client::api::Client<String, String, String>,
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
        Self { client }
    }

    /// The broker's version.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String, AdminError> {
        self.client
            .server_version()
            .await
            .map_err(|error| failed("broker version", &error))
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
        let definitions = definitions(vhost, password, topology);
        self.client
            .import_cluster_wide_definitions(definitions)
            .await
            .map_err(|error| failed("make the virtual host", &error))
    }

    /// Removes a virtual host and its user; it is no error if they are not there.
    ///
    /// # Errors
    /// When the broker refuses or does not answer.
    pub async fn remove(&self, vhost: &str) -> Result<(), AdminError> {
        self.client
            .delete_vhost(vhost, true)
            .await
            .map_err(|error| failed("remove the virtual host", &error))?;
        self.client
            .delete_user(vhost, true)
            .await
            .map_err(|error| failed("remove the user", &error))
    }
}

fn failed(what: &'static str, error: &rabbitmq_http_client::api::HttpClientError) -> AdminError {
    AdminError {
        what,
        cause: error.to_string(),
    }
}

/// The definitions that the management interface imports: a virtual host, its user (of the same name) and what is in
/// it.
///
/// What services declare themselves (their queue and its binding) is made here as well, with the same arguments, so
/// that reports can be published before a service is up.
fn definitions(vhost: &str, password: &str, topology: &Topology) -> Value {
    let mut exchanges = Vec::new();
    let mut queues = Vec::new();
    let mut bindings = Vec::new();
    let mut policies = Vec::new();

    let exchange = |name: &str, kind: &str| {
        json!({"vhost": vhost, "name": name, "type": kind, "durable": true, "auto_delete": false, "internal": false,
               "arguments": {}})
    };
    let queue = |name: &str, arguments: Value| json!({"vhost": vhost, "name": name, "durable": true, "auto_delete": false, "arguments": arguments});
    let bind = |source: &str, queue: &str, key: &str| {
        json!({"vhost": vhost, "source": source, "destination": queue, "destination_type": "queue",
               "routing_key": key, "arguments": {}})
    };
    let exchange_name = |role: &str| {
        topology
            .exchanges
            .get(role)
            .map(|found| found.name.as_str())
            .unwrap_or_default()
    };

    for found in topology.exchanges.values() {
        exchanges.push(exchange(&found.name, kind_word(found.kind)));
    }
    for found in topology.queues.values() {
        let arguments = match found.kind {
            QueueKind::Classic => json!({}),
            QueueKind::Quorum => json!({"x-queue-type": "quorum"}),
        };
        queues.push(queue(&found.name, arguments));
        for route in found.bind.iter().filter_map(|role| topology.routes.get(role)) {
            bindings.push(bind(exchange_name(&route.exchange), &found.name, &route.key));
        }
        if let Some(dead) = &found.dead_letter {
            queues.push(queue(&dead.queue, json!({})));
            bindings.push(bind(exchange_name(&dead.exchange), &dead.queue, &dead.key));
            policies.push(json!({
                "vhost": vhost, "name": dead.policy, "apply-to": "queues", "priority": 0,
                "pattern": format!("^{}$", escape(&found.name)),
                "definition": {"dead-letter-exchange": exchange_name(&dead.exchange),
                               "dead-letter-routing-key": dead.key},
            }));
        }
        if let Some(retry) = &found.retry {
            exchanges.push(exchange(&retry.exchange, "topic"));
            queues.push(queue(
                &retry.queue,
                json!({"x-message-ttl": retry.ttl_ms, "x-dead-letter-exchange": "",
                       "x-dead-letter-routing-key": found.name}),
            ));
            bindings.push(bind(&retry.exchange, &retry.queue, "#"));
        }
    }
    json!({
        "vhosts": [{"name": vhost}],
        "users": [{"name": vhost, "tags": [], "hashing_algorithm": "rabbit_password_hashing_sha256",
                   "password_hash": base64_encoded_salted_password_hash_sha256(&salt(), password)}],
        "permissions": [{"user": vhost, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"}],
        "exchanges": exchanges, "queues": queues, "bindings": bindings, "policies": policies,
    })
}

fn kind_word(kind: ExchangeKind) -> &'static str {
    match kind {
        ExchangeKind::Direct => "direct",
        ExchangeKind::Topic => "topic",
        ExchangeKind::Fanout => "fanout",
        ExchangeKind::Headers => "headers",
    }
}

/// A queue name as a regular expression that matches nothing else.
fn escape(name: &str) -> String {
    name.chars().fold(String::new(), |mut out, letter| {
        if !letter.is_alphanumeric() && letter != '-' && letter != '_' {
            out.push('\\');
        }
        out.push(letter);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn a_pattern_matches_its_queue_only() {
        assert_eq!(escape("report-analyze"), "report-analyze");
        assert_eq!(escape("a.b+c"), "a\\.b\\+c");
    }
}
