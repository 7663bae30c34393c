//! `no-phantoms`: nothing has an effect that was not injected.
//!
//! Looked at are rows, links, tags in use and points. Dead letters that nobody sent are told by `dlq-exact`, totals by
//! `effects-once`.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::Expect;
use crate::name::Key;
use crate::verdict::{Finding, Kind};

use super::case::{Case, Published};

/// The rule's name.
pub(super) const ID: &str = "no-phantoms";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let effects = &case.topology().effects;
    let end = case.end();
    let rows = end
        .analysis
        .iter()
        .map(|row| (row.seq, effects.analysis.table.as_str()));
    let links = effects.tags.as_ref().map_or("links", |tags| &tags.links);
    let links = end.links.iter().map(|(seq, _)| (*seq, links));
    let points = end
        .rendered
        .iter()
        .flat_map(|rendered| &rendered.points)
        .map(|seq| (*seq, "the renderer's points"));
    let published = effects
        .published
        .as_ref()
        .map_or("publications", |published| &published.table);
    let published = end.published.iter().map(|seq| (*seq, published));

    let mut phantoms: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for (seq, place) in rows.chain(links).chain(points).chain(published) {
        phantoms.entry(seq).or_default().insert(place);
    }
    let planned: BTreeMap<_, _> = case
        .plan()
        .injected
        .iter()
        .filter_map(|injected| Some((injected.seq?, &injected.key)))
        .collect();
    let mut findings = Vec::new();
    for (seq, places) in phantoms {
        let places = places.into_iter().collect::<Vec<_>>().join(" and ");
        let why = match planned.get(&seq) {
            None => "was never injected",
            Some(key) if !case.sent(key).any(|publish: &Published<'_>| publish.reached > 0) => {
                "was never published: its message did not reach the broker"
            }
            Some(_) => continue,
        };
        let what = format!("report {seq}: found in {places}, but it {why}");
        findings.push(Finding::new(Kind::Fail, ID, what).about([Key::from(seq)]));
    }
    findings.extend(tags(case));
    findings
}

/// Tags that no report was injected with.
fn tags(case: &Case<'_>) -> Option<Finding> {
    let wanted: BTreeSet<_> = case
        .plan()
        .injected
        .iter()
        .filter_map(|injected| match &injected.expect {
            Expect::Effect { tags, .. } => Some(tags),
            Expect::DeadLetter { .. } => None,
        })
        .flatten()
        .collect();
    let linked = case.end().links.iter().map(|(_, tag)| tag);
    let counted = case
        .end()
        .tags
        .iter()
        .filter(|(_, count)| **count != 0)
        .map(|(tag, _)| tag);
    let phantoms: BTreeSet<_> = linked
        .chain(counted)
        .filter(|tag| !wanted.contains(tag))
        .map(String::as_str)
        .collect();
    let names = phantoms.into_iter().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| {
        Finding::new(
            Kind::Fail,
            ID,
            format!("tags in use that no report was injected with: {names}"),
        )
    })
}
