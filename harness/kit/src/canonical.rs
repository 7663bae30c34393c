//! What of a trial is the same in every run, as goldens keep it.

use std::collections::{BTreeMap, BTreeSet};

use harness_model::event::Step;
use harness_model::evidence::EndState;
use harness_model::name::{Key, Name};
use harness_model::topology::Topology;
use serde_json::{Value, json};

use crate::world::World;

/// An end state.
pub(crate) fn end_state(end: &EndState, topology: &Topology) -> Value {
    let analysis: Vec<Value> = end
        .analysis
        .iter()
        .map(|row| {
            let kept = row
                .fields
                .iter()
                .filter(|(column, _)| !topology.effects.analysis.ignore.contains(column));
            Value::Object(
                kept.map(|(column, value)| (column.clone(), value.clone()))
                    .collect(),
            )
        })
        .collect();
    let queues: BTreeMap<_, _> = topology
        .queues
        .iter()
        .filter(|(_, queue)| !queue.sink)
        .map(|(role, queue)| {
            let state = end.queues.get(&queue.name);
            let dead = end.dead.get(role).map_or(0, Vec::len);
            let (ready, consumers) = state.map_or((0, 0), |state| (state.ready, state.consumers));
            (
                role,
                json!({"ready": ready, "consumers": consumers, "dead": dead}),
            )
        })
        .collect();
    json!({
        "analysis": analysis,
        "published": end.published,
        "tags": end.tags,
        "links": end.links,
        "rendered": end.rendered,
        "queues": queues,
    })
}

/// What the ledger says of some messages, service by service.
pub(crate) fn ledger(world: &World, keys: &[Key]) -> Value {
    let topology = &world.topology;
    let wanted: BTreeSet<&Key> = keys.iter().collect();
    let queue = |name: &Name| topology.queue_role(name).unwrap_or(name).to_string();
    let route = |exchange: &str, key: &str| {
        topology
            .route_role(exchange, key)
            .map_or_else(|| format!("{exchange}/{key}"), Name::to_string)
    };
    world.recorder.with(|events| {
        let mut steps: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for event in events {
            let Some(svc) = &event.svc else { continue };
            if !event.step.keys().into_iter().any(|key| wanted.contains(key)) {
                continue;
            }
            let step = match &event.step {
                Step::Publish {
                    mandatory, message, ..
                } => {
                    let body: Option<Value> = message
                        .body
                        .as_deref()
                        .and_then(|body| serde_json::from_str(body).ok());
                    json!({"publish": route(&message.exchange, &message.routing_key), "mandatory": mandatory,
                           "persistent": message.persistent, "body": body.map(without_times)})
                }
                Step::Confirm { ok, .. } => json!({"confirm": ok}),
                Step::Return { code, .. } => json!({"return": code}),
                Step::Deliver {
                    queue: Some(from),
                    redelivered,
                    ..
                } => {
                    json!({"deliver": queue(from), "redelivered": redelivered})
                }
                Step::Ack { .. } => json!("ack"),
                Step::Nack { requeue, .. } => json!({"nack": {"requeue": requeue}}),
                Step::Inject { report, .. } => json!({"inject": report}),
                _ => continue,
            };
            steps.entry(svc.as_str()).or_default().push(step);
        }
        json!(steps)
    })
}

/// The same value with every `timestamp` and `.._at` blanked: they differ from run to run.
fn without_times(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| {
                let time = (name == "timestamp" || name.ends_with("_at")) && value.is_string();
                let value = if time {
                    Value::String("(time)".to_owned())
                } else {
                    without_times(value)
                };
                (name, value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(without_times).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::without_times;
    use serde_json::json;

    #[test]
    fn times_are_blanked_wherever_they_are() {
        let body = json!({"timestamp": "2026", "list": [{"created_at": "now", "seq": 1}]});
        assert_eq!(
            without_times(body),
            json!({"timestamp": "(time)", "list": [{"created_at": "(time)", "seq": 1}]})
        );
    }
}
