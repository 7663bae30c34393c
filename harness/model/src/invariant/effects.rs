//! `effects-once`: whatever happened on the wire, each report has had each of its effects once.
//!
//! Rows, links, counts, points and totals are compared with what was injected, so a duplicate on the wire that a
//! service absorbed is fine here. An effect that is missing altogether is a loss, which `no-loss` tells, with where it
//! died; an effect of something that was never injected belongs to `no-phantoms`. Totals show no single report, so
//! there the sum is judged, with room for reports that the broker never promised to keep.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::evidence::{AnalysisRow, Expect, Injected, Rendered};
use crate::name::Key;
use crate::verdict::{Finding, Kind};

use super::case::Case;
use super::{answered, story};

/// The rule's name.
pub(super) const ID: &str = "effects-once";

/// Whether the renderer has to show a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// It has to.
    Yes,
    /// Its analysis does not tell.
    Maybe,
    /// It must not.
    No,
}

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    rows(case, &mut findings);
    links(case, &mut findings);
    usage(case, &mut findings);
    shadow(case, &mut findings);
    findings.extend(answered::judge(case));
    if let Some(rendered) = &case.end().rendered {
        points(case, rendered, &mut findings);
        brands(case, rendered, &mut findings);
        totals(case, rendered, &mut findings);
    }
    findings
}

/// The languages in which a report has been analysed.
pub(super) fn languages<'a>(case: &Case<'a>, seq: u64) -> BTreeSet<&'a str> {
    case.rows(seq).iter().map(|row| row.language.as_str()).collect()
}

/// Whether the renderer's points have to show a report: valid and physical in all of its languages, and somewhere.
pub(super) fn physical(case: &Case<'_>, injected: &Injected) -> Shown {
    let rendered = matches!(injected.expect, Expect::Effect { rendered: true, .. });
    let Some(seq) = injected.seq.filter(|_| rendered) else {
        return Shown::No;
    };
    let all: Vec<_> = case
        .rows(seq)
        .iter()
        .map(|row| Some(class(row)? == "physical" && valid(row)?))
        .collect();
    if all.iter().all(|shown| *shown == Some(false)) {
        Shown::No
    } else if all.iter().all(|shown| *shown == Some(true)) && located(case, seq) {
        Shown::Yes
    } else {
        Shown::Maybe
    }
}

/// The report says where it is. Zero degrees both ways is what a report without coordinates has.
fn located(case: &Case<'_>, seq: u64) -> bool {
    let Some(row) = case.end().source.get(&seq) else {
        return false;
    };
    ["latitude", "longitude"].iter().any(|column| {
        row.get(*column)
            .and_then(Value::as_f64)
            .is_some_and(|degrees| degrees != 0.0)
    })
}

fn class(row: &AnalysisRow) -> Option<&str> {
    row.fields.get("classification")?.as_str()
}

fn valid(row: &AnalysisRow) -> Option<bool> {
    match row.fields.get("is_valid")? {
        Value::Bool(valid) => Some(*valid),
        Value::Number(number) => Some(number.as_f64() != Some(0.0)),
        _ => None,
    }
}

pub(super) fn fail(what: String, keys: impl IntoIterator<Item = Key>) -> Finding {
    Finding::new(Kind::Fail, ID, what).about(keys)
}

fn of_seq(case: &Case<'_>, seq: u64) -> String {
    story::name(case, &Key::from(seq))
}

fn rows(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let table = &case.topology().effects.analysis;
    let mut count: BTreeMap<(u64, &str), u64> = BTreeMap::new();
    for row in &case.end().analysis {
        *count.entry((row.seq, &row.language)).or_default() += 1;
    }
    for ((seq, language), count) in count {
        let report = of_seq(case, seq);
        if count > 1 {
            let what = format!(
                "{report}: {count} rows for language {language} in {}; one would be right",
                table.table
            );
            findings.push(fail(what, [seq.into()]).shown_by(delivered(case, seq)));
        }
        if !table.languages.iter().any(|wanted| wanted == language) {
            let what = format!(
                "{report}: a row for language {language}, which nobody asked for, in {}",
                table.table
            );
            findings.push(fail(what, [seq.into()]));
        }
    }
}

/// The deliveries of a report to the service that analyses.
fn delivered(case: &Case<'_>, seq: u64) -> Vec<u64> {
    let Some(queue) = case.roles.analysis else {
        return Vec::new();
    };
    case.deliveries_from(queue, &seq.into())
        .map(|delivery| delivery.n)
        .collect()
}

fn links(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(table) = &case.topology().effects.tags else {
        return;
    };
    for injected in &case.plan().injected {
        let (Some(seq), Expect::Effect { tags: wanted, .. }) = (injected.seq, &injected.expect) else {
            continue;
        };
        let found = case.links(seq);
        let distinct: BTreeSet<_> = found.iter().copied().collect();
        let mut wrong = Vec::new();
        if distinct.len() < found.len() {
            wrong.push("the same tag is linked twice".to_owned());
        }
        let extra: Vec<_> = distinct
            .iter()
            .copied()
            .filter(|tag| !wanted.contains(*tag))
            .collect();
        if !extra.is_empty() {
            wrong.push(format!("not asked for: {}", extra.join(", ")));
        }
        let missing: Vec<_> = wanted
            .iter()
            .map(String::as_str)
            .filter(|tag| !distinct.contains(tag))
            .collect();
        if !missing.is_empty() && !found.is_empty() {
            wrong.push(format!("missing: {}", missing.join(", ")));
        }
        if !wrong.is_empty() {
            let what = format!(
                "{}: wrong tags in {}: {}",
                of_seq(case, seq),
                table.links,
                wrong.join("; ")
            );
            findings.push(fail(what, [injected.key.clone()]));
        }
    }
}

fn usage(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(table) = &case.topology().effects.tags else {
        return;
    };
    let mut linked: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for (seq, tag) in &case.end().links {
        linked.entry(tag).or_default().insert(*seq);
    }
    let names: BTreeSet<_> = linked
        .keys()
        .copied()
        .chain(case.end().tags.keys().map(String::as_str))
        .collect();
    for tag in names {
        let reports = linked.get(tag).cloned().unwrap_or_default();
        let count = case.end().tags.get(tag).copied();
        if count != i64::try_from(reports.len()).ok() {
            let count = count.map_or("has no row".into(), |count| {
                format!("has {} {count}", table.count)
            });
            let links = story::counted(reports.len() as u64, "report");
            let what = format!("tag {tag} {count}, but {links} linked to it");
            findings.push(fail(what, reports.into_iter().map(Key::from)));
        }
    }
}

/// Events of reports that are not public.
fn shadow(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let Some(event) = &case.topology().event else {
        return;
    };
    for publish in case.publishes.iter().filter(|publish| !publish.by_harness()) {
        let message = publish.message;
        let to_event = case
            .topology()
            .route_role(&message.exchange, &message.routing_key)
            == Some(&event.route);
        let Some(injected) = message
            .key
            .as_ref()
            .and_then(|key| case.injected(key))
            .filter(|_| to_event)
        else {
            continue;
        };
        if matches!(injected.expect, Expect::Effect { public: false, .. }) {
            let what = format!(
                "{}: not public, and yet {} published its event at #{}",
                story::name(case, &injected.key),
                publish.svc.map_or("somebody", |svc| svc),
                publish.n
            );
            findings.push(fail(what, [injected.key.clone()]).shown_by([publish.n]));
        }
    }
}

fn points(case: &Case<'_>, rendered: &Rendered, findings: &mut Vec<Finding>) {
    let mut count: BTreeMap<u64, u64> = BTreeMap::new();
    for seq in &rendered.points {
        *count.entry(*seq).or_default() += 1;
    }
    for (seq, count) in count {
        if count > 1 {
            let what = format!(
                "{}: listed {count} times among the renderer's points",
                of_seq(case, seq)
            );
            findings.push(fail(what, [seq.into()]));
        }
        // A point of something that was never injected is a phantom.
        let injected = case
            .plan()
            .injected
            .iter()
            .find(|injected| injected.seq == Some(seq));
        if injected.is_some_and(|injected| physical(case, injected) == Shown::No) {
            let what = format!(
                "{}: among the renderer's points, where only valid physical reports that are active and public belong",
                of_seq(case, seq)
            );
            findings.push(fail(what, [seq.into()]));
        }
    }
}

/// The brand under which the renderer has to count a report.
fn brand<'a>(case: &Case<'a>, injected: &Injected) -> Option<(&'a str, Shown)> {
    let Expect::Effect {
        public: true,
        rendered,
        ..
    } = injected.expect
    else {
        return None;
    };
    let seq = injected.seq?;
    let row = case.rows(seq).iter().find(|row| row.language == "en")?;
    let brand = row
        .fields
        .get("brand_name")?
        .as_str()
        .filter(|brand| !brand.is_empty())?;
    match (class(row), valid(row)) {
        // Whether a digital report that is resolved or privately owned still counts is left to the pipeline.
        (Some("digital"), Some(true)) if rendered => Some((brand, Shown::Yes)),
        (None | Some("digital"), None | Some(true)) => Some((brand, Shown::Maybe)),
        _ => None,
    }
}

fn brands(case: &Case<'_>, rendered: &Rendered, findings: &mut Vec<Finding>) {
    if case.topology().effects.brands.is_none() {
        return;
    }
    // For each brand: how many there must be, how many there may be, and which.
    let mut wanted: BTreeMap<&str, (u64, u64, Vec<Key>)> = BTreeMap::new();
    for injected in &case.plan().injected {
        let Some((brand, shown)) = brand(case, injected) else {
            continue;
        };
        let (least, most, keys) = wanted.entry(brand).or_default();
        let gone = case.roles.renderer.is_some_and(|queue| {
            case.is_dead(queue, &injected.key) || case.may_have_vanished(queue, &injected.key)
        });
        *least += u64::from(shown == Shown::Yes && case.promised(&injected.key) && !gone);
        *most += 1;
        keys.push(injected.key.clone());
    }
    let names: BTreeSet<_> = wanted
        .keys()
        .copied()
        .chain(rendered.brands.keys().map(String::as_str))
        .collect();
    for name in names {
        let (least, most, keys) = wanted.remove(name).unwrap_or_default();
        let found = rendered.brands.get(name).copied().unwrap_or(0);
        if !(least..=most).contains(&found) {
            let right = if least == most {
                most.to_string()
            } else {
                format!("{least} to {most}")
            };
            let what = format!(
                "brand {name}: the renderer counts {}, {right} would be right",
                story::counted(found, "report")
            );
            findings.push(fail(what, keys));
        }
    }
}

fn totals(case: &Case<'_>, rendered: &Rendered, findings: &mut Vec<Finding>) {
    let effects = &case.topology().effects;
    if effects.totals.is_none() {
        return;
    }
    let points = rendered.points.iter().collect::<BTreeSet<_>>().len() as u64;
    if effects.points.is_some() && rendered.physical != points {
        let points = story::counted(points, "point");
        let what = format!(
            "the renderer says that it has {} physical, and lists {points}",
            rendered.physical
        );
        findings.push(fail(what, []));
    }
    let brands = rendered
        .brands
        .values()
        .fold(0, |sum: u64, count| sum.saturating_add(*count));
    if effects.brands.is_some() && rendered.digital != brands {
        let what = format!(
            "the renderer says that it has {} digital, and its brands sum up to {brands}",
            rendered.digital
        );
        findings.push(fail(what, []));
    }
}
