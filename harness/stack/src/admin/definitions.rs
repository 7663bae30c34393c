//! What a trial's virtual host is made from, in the form that the management interface imports.
//!
//! What services declare themselves (their queue and its binding) is made here as well, with the same arguments, so that
//! reports can be published before a service is up.
//!
//! Services declare their queues without arguments. Where work queues are quorum queues, the virtual host therefore has
//! that type as its default: it is what a declaration without arguments means there, and what it is compared with. All
//! other queues then say that they are classic ones.

use harness_model::topology::{ExchangeKind, QueueKind, Topology};
use rabbitmq_http_client::password_hashing::{base64_encoded_salted_password_hash_sha256, salt};
use serde_json::{Value, json};

/// Who may use a virtual host that is made.
pub(super) struct Credentials<'a> {
    /// Of the user, who has the virtual host's name.
    pub(super) password: &'a str,
    /// Name of the administrator, who may read and purge in it.
    pub(super) administrator: &'a str,
}

/// The definitions of what is in a virtual host; with credentials also of itself and of who may use it.
pub(super) fn definitions(vhost: &str, credentials: Option<&Credentials<'_>>, topology: &Topology) -> Value {
    let quorum = topology
        .queues
        .values()
        .any(|queue| queue.kind == QueueKind::Quorum);
    let mut exchanges = Vec::new();
    let mut queues = Vec::new();
    let mut bindings = Vec::new();
    let mut policies = Vec::new();

    let exchange = |name: &str, kind: &str| {
        json!({"vhost": vhost, "name": name, "type": kind, "durable": true, "auto_delete": false, "internal": false,
               "arguments": {}})
    };
    let queue = |name: &str, kind: QueueKind, mut arguments: Value| {
        match kind {
            QueueKind::Quorum => arguments["x-queue-type"] = "quorum".into(),
            QueueKind::Classic if quorum => arguments["x-queue-type"] = "classic".into(),
            QueueKind::Classic => {}
        }
        json!({"vhost": vhost, "name": name, "durable": true, "auto_delete": false, "arguments": arguments})
    };
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
        queues.push(queue(&found.name, found.kind, json!({})));
        for route in found.bind.iter().filter_map(|role| topology.routes.get(role)) {
            bindings.push(bind(exchange_name(&route.exchange), &found.name, &route.key));
        }
        if let Some(dead) = &found.dead_letter {
            queues.push(queue(&dead.queue, QueueKind::Classic, json!({})));
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
                QueueKind::Classic,
                json!({"x-message-ttl": retry.ttl_ms, "x-dead-letter-exchange": "",
                       "x-dead-letter-routing-key": found.name}),
            ));
            bindings.push(bind(&retry.exchange, &retry.queue, "#"));
        }
    }
    let mut all = json!({
        "exchanges": exchanges, "queues": queues, "bindings": bindings, "policies": policies,
    });
    if let Some(credentials) = credentials {
        let hash = base64_encoded_salted_password_hash_sha256(&salt(), credentials.password);
        let permission = |user: &str| json!({"user": user, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"});
        all["vhosts"] = json!([{"name": vhost}]);
        if quorum {
            all["vhosts"][0]["metadata"] =
                json!({"description": "", "tags": [], "default_queue_type": "quorum"});
        }
        all["users"] = json!([{"name": vhost, "tags": [], "hashing_algorithm": "rabbit_password_hashing_sha256",
                               "password_hash": hash}]);
        all["permissions"] = json!([permission(vhost), permission(credentials.administrator)]);
    }
    all
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
    use std::collections::BTreeMap;

    use harness_model::topology::{Setup, Topology};
    use serde_json::{Value, json};

    use super::{Credentials, definitions, escape};

    fn topology(setup: &[Setup]) -> Topology {
        let text = include_str!("../../../../fixtures/topologies/ci.toml");
        Topology::parse("ci.toml", text).unwrap().with(setup).unwrap()
    }

    fn made(topology: &Topology) -> Value {
        let credentials = Credentials {
            password: "secret",
            administrator: "admin",
        };
        definitions("t1", Some(&credentials), topology)
    }

    /// The types that queues are declared with, by name.
    fn types(made: &Value) -> BTreeMap<&str, Option<&str>> {
        let queues = made["queues"].as_array().unwrap().iter();
        queues
            .map(|queue| {
                let kind = queue["arguments"].get("x-queue-type");
                (queue["name"].as_str().unwrap(), kind.and_then(Value::as_str))
            })
            .collect()
    }

    #[test]
    fn classic_queues_are_declared_as_services_do() {
        let made = made(&topology(&[]));
        assert!(types(&made).values().all(Option::is_none));
        assert_eq!(made["vhosts"], json!([{"name": "t1"}]));
    }

    #[test]
    fn quorum_is_what_a_declaration_without_arguments_means() {
        let topology = topology(&[Setup::Quorum]);
        let made = made(&topology);
        let types = types(&made);
        let work: Vec<_> = topology
            .queues
            .values()
            .map(|queue| queue.name.as_str())
            .collect();
        for (name, kind) in &types {
            let expected = if work.contains(name) { "quorum" } else { "classic" };
            assert_eq!(*kind, Some(expected), "{name}");
        }
        assert!(types.len() > work.len());
        assert_eq!(
            made["vhosts"][0]["metadata"]["default_queue_type"],
            json!("quorum")
        );
    }

    #[test]
    fn what_is_restored_touches_no_user() {
        let topology = topology(&[]);
        let mut made = made(&topology);
        let made = made.as_object_mut().unwrap();
        assert_eq!(made["permissions"].as_array().unwrap().len(), 2);
        for part in ["vhosts", "users", "permissions"] {
            assert!(made.remove(part).is_some());
        }
        assert_eq!(definitions("t1", None, &topology), json!(made));
    }

    #[test]
    fn a_pattern_matches_its_queue_only() {
        assert_eq!(escape("report-analyze"), "report-analyze");
        assert_eq!(escape("a.b+c"), "a\\.b\\+c");
    }
}
