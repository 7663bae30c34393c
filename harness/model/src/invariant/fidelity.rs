//! `event-fidelity`: an event says about a report exactly what the database holds.
//!
//! Only events of the services that the topology names as its producers are looked at, and only where the ledger holds
//! the body. Columns that differ from run to run (`effects.analysis.ignore`) are left out, as are times. A field that
//! is null equals one that is not there, and numbers are equal if they are as 32-bit floats, because that is what the
//! columns hold; whole numbers must be equal as such.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::evidence::Fields;
use crate::topology::{EventFields, EventPart};
use crate::verdict::{Finding, Kind};

use super::case::{Case, Published};
use super::story;

/// The rule's name.
pub(super) const ID: &str = "event-fidelity";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let Some(event) = &case.topology().event else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for publish in case
        .publishes
        .iter()
        .filter(|publish| is_event(case, event, publish))
    {
        let Some(body) = &publish.message.body else {
            continue;
        };
        let wrong = match serde_json::from_str(body) {
            Ok(body) => compare(case, event, &body),
            Err(error) => vec![format!("its body is not JSON: {error}")],
        };
        if !wrong.is_empty() {
            let by = publish.svc.map_or("somebody", |svc| svc);
            let name = publish
                .message
                .key
                .as_ref()
                .map_or("an event".into(), |key| story::name(case, key));
            let what = format!(
                "{name}: the event that {by} published at #{} is wrong: {}",
                publish.n,
                wrong.join("; ")
            );
            let keys = publish.message.key.clone();
            findings.push(
                Finding::new(Kind::Fail, ID, what)
                    .about(keys)
                    .shown_by([publish.n]),
            );
        }
    }
    findings
}

/// It is published to the event's route by a service that produces it.
pub(super) fn is_event(case: &Case<'_>, event: &EventFields, publish: &Published<'_>) -> bool {
    let message = publish.message;
    case.topology()
        .route_role(&message.exchange, &message.routing_key)
        == Some(&event.route)
        && publish
            .svc
            .and_then(|svc| case.topology().service(svc))
            .is_some_and(|service| service.produces.contains(&event.route))
}

/// All that is wrong with an event.
fn compare(case: &Case<'_>, event: &EventFields, body: &Value) -> Vec<String> {
    let source = &case.topology().effects.source;
    let Some(seq) = body
        .pointer(&event.report.at)
        .and_then(|report| report.get(&source.key))
        .and_then(Value::as_u64)
    else {
        return vec![format!(
            "it names no report at {}/{}",
            event.report.at, source.key
        )];
    };
    let mut wrong = Vec::new();
    part(case, &event.report, body, seq, &mut wrong);
    part(case, &event.analysis, body, seq, &mut wrong);
    wrong
}

fn part(case: &Case<'_>, part: &EventPart, body: &Value, seq: u64, wrong: &mut Vec<String>) {
    let Some(found) = body.pointer(&part.at) else {
        wrong.push(format!("it has nothing at {}", part.at));
        return;
    };
    if part.table == "source" {
        match case.end().source.get(&seq) {
            Some(row) => fields(case, part, found, row, &part.at, wrong),
            None => wrong.push(format!(
                "report {seq} has no row in {}",
                case.topology().effects.source.table
            )),
        }
        return;
    }
    let Some(items) = found.as_array() else {
        wrong.push(format!("{} is not a list", part.at));
        return;
    };
    let table = &case.topology().effects.analysis;
    let language = |item: &'_ Value| {
        item.get(&table.language)
            .and_then(Value::as_str)
            .unwrap_or("none")
            .to_owned()
    };
    let found: Vec<_> = items.iter().map(language).collect();
    let distinct: BTreeSet<_> = found.iter().map(String::as_str).collect();
    let wanted: BTreeSet<_> = table.languages.iter().map(String::as_str).collect();
    if distinct != wanted || found.len() != wanted.len() {
        wrong.push(format!(
            "{} is in {}; each of {} once would be right",
            part.at,
            list(&found),
            list(&table.languages)
        ));
    }
    // English comes first; a pipeline that does not speak it begins with the language that is declared first.
    let first = table
        .languages
        .iter()
        .find(|language| *language == "en")
        .or(table.languages.first());
    if first.is_some_and(|first| found.first().is_some_and(|found| found != first)) {
        wrong.push(format!(
            "{} begins with {}, not with {}",
            part.at,
            found[0],
            first.map_or("", |first| first)
        ));
    }
    for (item, language) in items.iter().zip(&found) {
        let at = format!("{}[{language}]", part.at);
        match case
            .end()
            .analysis
            .iter()
            .find(|row| row.seq == seq && row.language == *language)
        {
            Some(row) => fields(case, part, item, &row.fields, &at, wrong),
            None => wrong.push(format!("{at}: report {seq} has no such row in {}", table.table)),
        }
    }
}

fn list(languages: &[String]) -> String {
    if languages.is_empty() {
        "no language".into()
    } else {
        languages.join(", ")
    }
}

fn fields(case: &Case<'_>, part: &EventPart, found: &Value, row: &Fields, at: &str, wrong: &mut Vec<String>) {
    let ignored = &case.topology().effects.analysis.ignore;
    for field in part.fields.iter().filter(|field| !ignored.contains(field)) {
        let (said, held) = (
            found.get(field).unwrap_or(&Value::Null),
            row.get(field).unwrap_or(&Value::Null),
        );
        if !same(said, held) {
            wrong.push(format!(
                "{at}/{field} is {}, the database has {}",
                short(said),
                short(held)
            ));
        }
    }
}

/// Whether an event and a column say the same.
fn same(said: &Value, held: &Value) -> bool {
    match (said, held) {
        (Value::Number(said), Value::Number(held)) => {
            if (said.is_f64() || held.is_f64())
                && let (Some(said), Some(held)) = (said.as_f64(), held.as_f64())
            {
                // Equal, not close: both are the same 32-bit value, written with more or fewer digits. Adding zero
                // makes one of the two zeros.
                let bits = |number: f64| (number as f32 + 0.0).to_bits();
                bits(said) == bits(held)
            } else {
                said == held
            }
        }
        (Value::Bool(truth), Value::Number(number)) | (Value::Number(number), Value::Bool(truth)) => {
            number.as_f64() == Some(f64::from(u8::from(*truth)))
        }
        _ => said == held,
    }
}

/// A value, cut to what fits on a line.
fn short(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}
