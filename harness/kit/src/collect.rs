//! Taking down what is left of a trial: rows, queues, dead letters, what the renderer holds, services, logs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use harness_model::event::{Backend, Step, body_hash};
use harness_model::evidence::{
    AnalysisRow, DeadLetter, EndState, Fields, QueueState, Rendered, ServiceState,
};
use harness_model::name::{Key, Name};
use harness_runner::environment::Failure;
use harness_stack::admin::{BrokerAdmin, DatabaseAdmin};
use harness_stack::client;
use harness_stack::engine::Status;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::world::{World, lock};

fn unreadable(what: &str, cause: &dyn std::fmt::Display) -> Failure {
    Failure::infra(format!("read {what} at the end: {cause}"))
}

/// A row's sequence number.
pub(crate) fn seq(row: &Fields, column: &str) -> Option<u64> {
    row.get(column).and_then(Value::as_u64)
}

/// SHA-256 over a row's columns, in hex.
pub(crate) fn fingerprint(row: &Fields) -> String {
    // A map of plain values in name order has one JSON form only.
    let text = serde_json::to_string(row).unwrap_or_default();
    hex(&Sha256::digest(text.as_bytes()))
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes what is written");
        text
    })
}

/// Reads everything.
pub(crate) async fn end_state(world: &World) -> Result<EndState, Failure> {
    let mut end = {
        let log = lock(&world.log);
        EndState {
            source_before: log.source_before.clone(),
            declared_before: log.declared_before.clone(),
            ..EndState::default()
        }
    };
    rows(world, &mut end).await?;
    queues(world, &mut end).await?;
    let vhost = lock(&world.grant).lease.clone();
    let declared = BrokerAdmin::new(&world.backend(Backend::Broker))
        .declared(&vhost)
        .await;
    end.declared_after = Some(declared.map_err(|error| unreadable("the broker's definitions", &error))?);
    end.services = services(world).await;
    end.rendered = rendered(world).await?;
    Ok(end)
}

async fn rows(world: &World, end: &mut EndState) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| unreadable("the database", error);
    let effects = &world.topology.effects;
    let schema = lock(&world.grant).lease.clone();
    let mut admin = DatabaseAdmin::connect(&world.backend(Backend::Database))
        .await
        .map_err(|error| failed(&error))?;
    admin
        .select_schema(&schema)
        .await
        .map_err(|error| failed(&error))?;

    let source = &effects.source;
    for row in admin
        .rows(&source.table, &[&source.key])
        .await
        .map_err(|error| failed(&error))?
    {
        if let Some(seq) = seq(&row, &source.key) {
            end.source_after.insert(seq, fingerprint(&row));
            end.source.insert(seq, row);
        }
    }
    let analysis = &effects.analysis;
    let order = [analysis.key.as_str(), analysis.language.as_str()];
    for row in admin
        .rows(&analysis.table, &order)
        .await
        .map_err(|error| failed(&error))?
    {
        let language = row
            .get(&analysis.language)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if let Some(seq) = seq(&row, &analysis.key) {
            end.analysis.push(AnalysisRow {
                seq,
                language,
                fields: row,
            });
        }
    }
    if let Some(published) = &effects.published {
        for row in admin
            .rows(&published.table, &[&published.key])
            .await
            .map_err(|error| failed(&error))?
        {
            if row.get(&published.at).is_some_and(|at| !at.is_null()) {
                end.published.extend(seq(&row, &published.key));
            }
        }
    }
    if let Some(tags) = &effects.tags {
        let mut names = BTreeMap::new();
        for row in admin
            .rows(&tags.table, &[&tags.id])
            .await
            .map_err(|error| failed(&error))?
        {
            let name = row
                .get(&tags.name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            let count = row.get(&tags.count).and_then(Value::as_i64).unwrap_or_default();
            names.insert(seq(&row, &tags.id), name.clone());
            end.tags.insert(name, count);
        }
        let order = [tags.link_key.as_str(), tags.link_tag.as_str()];
        for row in admin
            .rows(&tags.links, &order)
            .await
            .map_err(|error| failed(&error))?
        {
            let name = names.get(&seq(&row, &tags.link_tag)).cloned();
            if let Some(report) = seq(&row, &tags.link_key) {
                end.links
                    .push((report, name.unwrap_or_else(|| "(no such tag)".to_owned())));
            }
        }
        end.links.sort();
    }
    Ok(())
}

async fn queues(world: &World, end: &mut EndState) -> Result<(), Failure> {
    let mut messenger = world.messenger.lock().await;
    for (role, queue) in &world.topology.queues {
        let dead = queue.dead_letter.as_ref().map(|dead| &dead.queue);
        let retry = queue.retry.as_ref().map(|retry| &retry.queue);
        for name in std::iter::once(&queue.name).chain(retry).chain(dead) {
            let first = messenger
                .depth(name)
                .await
                .map_err(|error| unreadable(name, &error))?;
            let second = messenger
                .depth(name)
                .await
                .map_err(|error| unreadable(name, &error))?;
            let state = QueueState {
                ready: second.ready,
                consumers: second.consumers,
                stable: first == second,
            };
            world.note(
                None,
                Step::Depth {
                    queue: name.clone(),
                    ready: second.ready,
                    consumers: second.consumers,
                },
            );
            end.queues.insert(name.clone(), state);
        }
        if let Some(dead) = dead {
            let copies = messenger
                .copy(dead)
                .await
                .map_err(|error| unreadable(dead, &error))?;
            let letters = copies.into_iter().map(|copy| {
                let known = copy
                    .message_id
                    .as_deref()
                    .and_then(|id| world.injected_keys.get(id));
                DeadLetter {
                    key: known.or_else(|| key_of(&copy.body, &world.topology.messages.key)),
                    hash: body_hash(&copy.body),
                    size: copy.body.len() as u64,
                    reason: copy.reason,
                }
            });
            end.dead.insert(role.clone(), letters.collect());
        }
    }
    Ok(())
}

/// The first of the dotted paths that leads to a number or a text.
fn key_of(body: &[u8], paths: &[String]) -> Option<Key> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let at = |path: &String| path.split('.').try_fold(&body, |value, part| value.get(part));
    paths.iter().filter_map(at).find_map(|value| match value {
        Value::Number(number) => Some(Key::new(number.to_string())),
        Value::String(text) => Some(Key::new(text)),
        _ => None,
    })
}

async fn services(world: &World) -> BTreeMap<Name, ServiceState> {
    let services = world.services.lock().await;
    let mut states = BTreeMap::new();
    for (role, running) in services.iter() {
        let inspected = world.engine.inspect(&running.container).await;
        let alive = inspected
            .as_ref()
            .is_ok_and(|state| state.status == Status::Running);
        let exit = inspected.ok().filter(|_| !alive).map(|state| state.exit_code);
        let health = running.health().await.status;
        states.insert(
            role.clone(),
            ServiceState {
                running: alive,
                exit,
                health,
            },
        );
    }
    states
}

/// What the renderer says of itself. A renderer that does not answer holds nothing that could be compared: that is a
/// finding for the invariants (it is not running, or not healthy), not a failure to read.
async fn rendered(world: &World) -> Result<Option<Rendered>, Failure> {
    let effects = &world.topology.effects;
    let (Some(points), Some(brands), Some(totals)) = (&effects.points, &effects.brands, &effects.totals)
    else {
        return Ok(None);
    };
    let services = world.services.lock().await;
    let ask = async |service: &Name, path: &str| {
        let running = services
            .get(service)
            .ok_or_else(|| format!("{service} was not started"))?;
        let answer = client::get(running.ip, running.service.port, path).await?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(format!("{path}: status {}", answer.status))
        }
    };
    let mut rendered = Rendered::default();
    let list = |body: &Value, at: &str| {
        body.pointer(at)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let read = async {
        let body = ask(&points.service, &points.path).await?;
        for item in list(&body, &points.list) {
            rendered
                .points
                .extend(item.pointer(&points.key).and_then(Value::as_u64));
        }
        let body = ask(&brands.service, &brands.path).await?;
        for item in list(&body, &brands.list) {
            let name = item
                .pointer(&brands.name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            let count = item
                .pointer(&brands.count)
                .and_then(Value::as_u64)
                .unwrap_or_default();
            *rendered.brands.entry(name).or_default() += count;
        }
        let body = ask(&totals.service, &totals.path).await?;
        let number = |at: &str| body.pointer(at).and_then(Value::as_u64).unwrap_or_default();
        rendered.physical = number(&totals.physical);
        rendered.digital = number(&totals.digital);
        Ok::<_, String>(())
    };
    match read.await {
        Ok(()) => {
            rendered.points.sort_unstable();
            Ok(Some(rendered))
        }
        Err(cause) => {
            world.note(
                None,
                Step::Note {
                    text: format!("the renderer's endpoints cannot be read: {cause}"),
                },
            );
            Ok(Some(Rendered::default()))
        }
    }
}

/// The logs of the services, by role.
pub(crate) async fn logs(world: &World) -> BTreeMap<String, String> {
    let services = world.services.lock().await;
    let mut logs = BTreeMap::new();
    for (role, running) in services.iter() {
        let log = world.engine.logs_all(&running.container).await;
        logs.insert(
            role.to_string(),
            log.unwrap_or_else(|error| format!("(no log: {error})")),
        );
    }
    logs
}

#[cfg(test)]
mod tests {
    use super::{fingerprint, key_of};
    use harness_model::evidence::Fields;
    use serde_json::json;

    #[test]
    fn a_changed_row_has_another_fingerprint() {
        let row: Fields = [("a".to_owned(), json!(1)), ("b".to_owned(), json!(null))].into();
        let mut changed = row.clone();
        changed.insert("b".to_owned(), json!(""));
        assert_ne!(fingerprint(&row), fingerprint(&changed));
        assert_eq!(fingerprint(&row).len(), 64);
    }

    #[test]
    fn a_key_is_found_on_the_first_path_that_is_there() {
        let paths = ["seq".to_owned(), "report.seq".to_owned()];
        assert_eq!(key_of(br#"{"seq": 7}"#, &paths).unwrap(), "7");
        assert_eq!(key_of(br#"{"report": {"seq": "x"}}"#, &paths).unwrap(), "x");
        assert_eq!(key_of(b"not json", &paths), None);
    }
}
