//! What a virtual host holds, read back in a form that can be compared with another reading.

use std::collections::BTreeMap;

use harness_model::evidence::{Binding, Declared};
use harness_model::name::Name;
use serde::Deserialize;
use serde_json::Value;

use super::broker::{AdminError, BrokerAdmin, failed};

/// As the management interface exports a virtual host: without its name, what is predeclared, and exclusive queues.
#[derive(Debug, Deserialize)]
struct Exported {
    exchanges: Vec<Thing>,
    queues: Vec<Thing>,
    bindings: Vec<Bound>,
    policies: Vec<Thing>,
}

#[derive(Debug, Deserialize)]
struct Thing {
    name: String,
    #[serde(flatten)]
    facts: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Bound {
    source: String,
    destination: String,
    routing_key: String,
    #[serde(default)]
    arguments: BTreeMap<String, Value>,
}

impl BrokerAdmin {
    /// The exchanges, queues, bindings and policies of a virtual host, from the broker's own tables.
    ///
    /// # Errors
    /// When the broker does not answer, or with something else.
    pub async fn declared(&self, vhost: &str) -> Result<Declared, AdminError> {
        let what = || format!("export virtual host {vhost}");
        let text = self.client.export_vhost_definitions_as_string(vhost).await;
        let text = text.map_err(|error| failed(what(), &error))?;
        parse(&text).map_err(|error| AdminError::new(what(), &error))
    }
}

fn parse(text: &str) -> Result<Declared, serde_json::Error> {
    let exported: Exported = serde_json::from_str(text)?;
    let named = |things: Vec<Thing>| {
        let words = things
            .into_iter()
            .map(|thing| (Name::new(thing.name), words(&thing.facts)));
        words.collect::<BTreeMap<_, _>>()
    };
    let bindings = exported.bindings.into_iter().map(|bound| Binding {
        source: Name::new(bound.source),
        to: Name::new(bound.destination),
        key: bound.routing_key,
        arguments: if bound.arguments.is_empty() {
            String::new()
        } else {
            words(&bound.arguments)
        },
    });
    Ok(Declared {
        bindings: bindings.collect(),
        exchanges: named(exported.exchanges),
        queues: named(exported.queues),
        policies: named(exported.policies),
    })
}

/// `type direct, durable true, ..`: facts in the order of their names.
fn words(facts: &BTreeMap<String, Value>) -> String {
    let word = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    };
    facts.iter().map(word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_export_in_words() {
        let text = r#"{"rabbit_version": "4.0.5", "parameters": [],
            "policies": [{"name": "dlx", "pattern": "^q$", "apply-to": "queues", "priority": 0, "definition": {"b": 1, "a": 2}}],
            "exchanges": [{"name": "main", "type": "direct", "durable": true, "auto_delete": false, "internal": false, "arguments": {}}],
            "queues": [{"name": "q", "durable": true, "auto_delete": false, "arguments": {"x-queue-type": "classic"}}],
            "bindings": [{"source": "main", "destination": "q", "destination_type": "queue", "routing_key": "k", "arguments": {}},
                         {"source": "main", "destination": "q", "destination_type": "queue", "routing_key": "", "arguments": {"x-match": "all"}}]}"#;
        let declared = parse(text).unwrap();
        assert_eq!(
            declared.exchanges["main"],
            "arguments {}, auto_delete false, durable true, internal false, type direct"
        );
        assert_eq!(
            declared.queues["q"],
            r#"arguments {"x-queue-type":"classic"}, auto_delete false, durable true"#
        );
        assert_eq!(
            declared.policies["dlx"],
            r#"apply-to queues, definition {"a":2,"b":1}, pattern ^q$, priority 0"#
        );
        let bindings: Vec<_> = declared
            .bindings
            .iter()
            .map(|bound| (bound.key.as_str(), bound.arguments.as_str()))
            .collect();
        assert_eq!(bindings, [("", "x-match all"), ("k", "")]);
        assert!(parse("{}").is_err());
    }
}
