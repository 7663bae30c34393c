//! What a report is inserted as, and where its effects are.

use std::collections::BTreeMap;

use super::demand::Check;
use crate::name::Name;

/// What a column may be filled from: `seq`, and the fields of a report that are no lists.
#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "seq", "name", "public_id", "id", "team", "latitude", "longitude", "x", "y", "action_id", "description",
    "fetcher_id", "source_id", "visibility", "owners_public", "status", "url", "image", "kind",
];
/// The fields of a report that are lists.
const LISTS: [&str; 2] = ["owners", "tags"];

impl Check<'_> {
    pub(super) fn inject(&mut self) {
        for (index, insert) in self.topology.inject.iter().enumerate() {
            let at = format!("inject.{index}");
            self.identifier(&format!("{at}.table"), &insert.table);
            if let Some(list) = &insert.for_each {
                self.word(&format!("{at}.for_each"), list, &LISTS);
            }
            let mut fields = FIELDS.to_vec();
            if let Some(field) = &insert.only_if {
                self.word(&format!("{at}.if"), field, &[FIELDS, &LISTS].concat());
            }
            fields.extend(insert.for_each.is_some().then_some("item"));
            for (column, field) in &insert.columns {
                let at = format!("{at}.columns.{column}");
                self.column(&at, column);
                self.word(&at, field, &fields);
            }
        }
    }

    pub(super) fn effects(&mut self) {
        let effects = &self.topology.effects;
        let mut identifiers = vec![
            ("source.table", &effects.source.table),
            ("source.key", &effects.source.key),
            ("analysis.table", &effects.analysis.table),
            ("analysis.key", &effects.analysis.key),
            ("analysis.language", &effects.analysis.language),
        ];
        if let Some(published) = &effects.published {
            identifiers.extend([
                ("published.table", &published.table),
                ("published.key", &published.key),
                ("published.visibility", &published.visibility),
                ("published.at", &published.at),
            ]);
        }
        if let Some(tags) = &effects.tags {
            identifiers.extend([
                ("tags.table", &tags.table),
                ("tags.id", &tags.id),
                ("tags.name", &tags.name),
                ("tags.count", &tags.count),
                ("tags.links", &tags.links),
                ("tags.link_key", &tags.link_key),
                ("tags.link_tag", &tags.link_tag),
            ]);
        }
        for (at, name) in identifiers {
            self.identifier(&format!("effects.{at}"), name);
        }
        for (index, column) in effects.analysis.ignore.iter().enumerate() {
            self.identifier(&format!("effects.analysis.ignore.{index}"), column);
        }
        self.filled("effects.analysis.languages", &effects.analysis.languages);
        let mut languages = BTreeMap::new();
        for (index, language) in effects.analysis.languages.iter().enumerate() {
            self.name(
                &mut languages,
                "language",
                &format!("effects.analysis.languages.{index}"),
                language,
            );
        }
        if let Some(points) = &effects.points {
            self.endpoint("points", &points.service, &points.path);
            self.pointer("effects.points.list", &points.list);
            self.pointer("effects.points.key", &points.key);
        }
        if let Some(brands) = &effects.brands {
            self.endpoint("brands", &brands.service, &brands.path);
            self.pointer("effects.brands.list", &brands.list);
            self.pointer("effects.brands.name", &brands.name);
            self.pointer("effects.brands.count", &brands.count);
        }
        if let Some(totals) = &effects.totals {
            self.endpoint("totals", &totals.service, &totals.path);
            self.pointer("effects.totals.physical", &totals.physical);
            self.pointer("effects.totals.digital", &totals.digital);
        }
    }

    fn endpoint(&mut self, effect: &str, service: &Name, path: &str) {
        self.service(&format!("effects.{effect}.service"), service);
        self.path(&format!("effects.{effect}.path"), path);
    }

    pub(super) fn event(&mut self) {
        let Some(event) = &self.topology.event else { return };
        self.route("event.route", &event.route);
        if self
            .topology
            .routes
            .get(&event.route)
            .is_some_and(|route| !route.record)
        {
            let wrong = format!("bodies published to route `{}` are not kept", event.route);
            let help = format!("write `record = true` in `routes.{}`", event.route);
            self.add("event.route", wrong, "a route with `record = true`", &help);
        }
        for (part, found) in [("report", &event.report), ("analysis", &event.analysis)] {
            self.pointer(&format!("event.{part}.at"), &found.at);
            self.word(
                &format!("event.{part}.table"),
                &found.table,
                &["source", "analysis"],
            );
            for (index, field) in found.fields.iter().enumerate() {
                self.identifier(&format!("event.{part}.fields.{index}"), field);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{FIELDS, LISTS};
    use crate::report::Report;

    #[test]
    fn the_fields_are_those_of_a_report() {
        let json = r#"{"name": "a", "kind": "physical", "latitude": 1, "longitude": 1, "tags": []}"#;
        let report: Report = serde_json::from_str(json).unwrap();
        let fields = serde_json::to_value(report).unwrap();
        let fields: BTreeSet<_> = fields.as_object().unwrap().keys().map(String::as_str).collect();
        let known: BTreeSet<_> = FIELDS
            .iter()
            .copied()
            .chain(LISTS)
            .filter(|field| *field != "seq")
            .collect();
        assert_eq!(known, fields);
    }
}
