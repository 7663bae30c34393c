//! What is in the JSON of a request that makes or joins something.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Gives what a body makes the labels.
pub(in crate::ops) fn label_body(body: &[u8], labels: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    let mut body: Value = serde_json::from_slice(body).ok()?;
    let object = body.as_object_mut()?;
    let all = object.entry("Labels").or_insert_with(|| json!({}));
    if all.is_null() {
        *all = json!({});
    }
    let all = all.as_object_mut()?;
    all.extend(labels.iter().map(|(key, value)| (key.clone(), json!(value))));
    serde_json::to_vec(&body).ok()
}

/// The named volumes that a container to be made mounts: the engine would make those that are missing without a label.
pub(in crate::ops) fn named_volumes(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let host = &body["HostConfig"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let binds = list(&host["Binds"]).into_iter().filter_map(|bind| {
        let source = bind.as_str()?.split(':').next()?.to_owned();
        bind.as_str()?.contains(':').then_some(source)
    });
    let mounts = list(&host["Mounts"]).into_iter().filter_map(|mount| {
        let named = mount["Type"] == "volume";
        named.then(|| mount["Source"].as_str().map(str::to_owned))?
    });
    let mut names: Vec<_> = binds
        .chain(mounts)
        .filter(|name| !name.is_empty() && !name.starts_with(['/', '.', '~']))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The containers whose volumes a container to be made mounts.
pub(in crate::ops) fn volumes_from(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let list = body["HostConfig"]["VolumesFrom"].as_array();
    let names = list.into_iter().flatten().filter_map(Value::as_str);
    names
        .map(|name| name.split(':').next().unwrap_or(name).to_owned())
        .collect()
}

/// The container that is put on a network or taken off.
pub(in crate::ops) fn connected(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["Container"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::tests::labels;
    use super::{connected, label_body, named_volumes, volumes_from};

    #[test]
    fn what_is_made_is_labelled() {
        let labelled =
            |body: &str| String::from_utf8(label_body(body.as_bytes(), &labels()).unwrap()).unwrap();
        assert_eq!(
            labelled(r#"{"Image":"x"}"#),
            r#"{"Image":"x","Labels":{"a":"b"}}"#
        );
        assert_eq!(labelled(r#"{"Labels":null}"#), r#"{"Labels":{"a":"b"}}"#);
        assert_eq!(
            labelled(r#"{"Labels":{"a":"x","c":"d"}}"#),
            r#"{"Labels":{"a":"b","c":"d"}}"#
        );
        assert_eq!(label_body(b"[]", &labels()), None);
    }

    #[test]
    fn volumes_that_a_container_would_make_are_known() {
        let body = r#"{"HostConfig":{"Binds":["data:/x","/etc:/y:ro"],"Mounts":[{"Type":"volume","Source":"more"},
            {"Type":"bind","Source":"/a"},{"Type":"volume"}]}}"#;
        assert_eq!(named_volumes(body.as_bytes()), ["data", "more"]);
        assert!(named_volumes(b"{}").is_empty());
        let body = r#"{"HostConfig":{"VolumesFrom":["theirs:ro","ours"]}}"#;
        assert_eq!(volumes_from(body.as_bytes()), ["theirs", "ours"]);
        assert!(volumes_from(b"{}").is_empty());
    }

    #[test]
    fn who_joins_a_network_is_known() {
        for (body, container) in [
            (r#"{"Container":"x","EndpointConfig":{}}"#, Some("x")),
            (r#"{"Container":null}"#, None),
            ("{", None),
        ] {
            assert_eq!(connected(body.as_bytes()).as_deref(), container, "{body}");
        }
    }
}
