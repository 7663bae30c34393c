//! Reports: what a citizen sends in, and what may be said about it before any service has seen it.
//!
//! A [`Report`] holds what the tables `reports`, `report_raw`, `report_details`, `reports_owners` and `report_status`
//! are filled with, and [`raw_message`] is the `report.raw` event that announces it. Reports come from the written
//! corpus ([`Corpus`]) or, in any number, from a seed ([`generate`]).
//!
//! The only thing here that knows how a service has to behave is [`canonical_tag`], the rule for tags, written from
//! the rule's wording and from no implementation, so that it can judge them. What an analysis has to say about a
//! report is deliberately not here. Nothing is read from disk: pictures are asked for by name from the caller.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use corpus::{Corpus, CorpusError};
pub use generate::{generate, generated};
pub use tag::{MAX_TAG_BYTES, canonical_tag};

mod corpus;
mod generate;
mod phrases;
mod sentences;
mod tag;

/// One report, before it has a sequence number: the database gives that when the row is inserted.
///
/// In JSON only `name`, `kind`, `latitude` and `longitude` must be there; the other fields say what they are when
/// left out. Reading checks what a table could not hold: see [`CorpusError`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Report {
    /// What the report is for, in lower-case words joined by hyphens.
    pub name: String,
    /// The key that the public sees, unique, 1 to 32 characters; the name when left out.
    pub public_id: String,
    /// Who reported it (column `id`); `citizen-` and the name when left out, so that no two reports share one.
    pub id: String,
    /// The reporter's team; 0 when left out.
    pub team: i32,
    /// Degrees north. The column is a FLOAT, so the value *is* the 32-bit one nearest to what was written.
    pub latitude: f32,
    /// Degrees east, as exact as the latitude.
    pub longitude: f32,
    /// Where in the picture the reporter pointed, as a fraction of its width; NULL when left out.
    pub x: Option<f32>,
    /// Where in the picture the reporter pointed, as a fraction of its height; NULL when left out.
    pub y: Option<f32>,
    /// The campaign it belongs to, at most 32 characters; NULL when left out.
    pub action_id: Option<String>,
    /// What the citizen wrote; NULL when left out, which is not the same as empty.
    pub description: Option<String>,
    /// What the citizen tagged it with.
    #[serde(skip_serializing_if = "Tags::is_absent")]
    pub tags: Tags,
    /// Which collector fetched it, if it was not sent by a citizen (`report_raw`).
    pub fetcher_id: Option<String>,
    /// What the collector's source calls it (`report_raw`).
    pub source_id: Option<String>,
    /// Who may see it (`report_raw`); `public` when left out. Any other value is analysed and not published.
    pub visibility: String,
    /// Who has claimed it (`reports_owners`); nobody when left out.
    pub owners: Vec<String>,
    /// Whether its owners show their claim. Without owners it says nothing; true when left out.
    pub owners_public: bool,
    /// Whether it still stands (`report_status`); active when left out.
    pub status: Status,
    /// The page it is about (`report_details`); no row when left out.
    pub url: Option<String>,
    /// The picture; none when left out, which the table, whose column is NOT NULL, holds as zero bytes.
    pub image: Option<Image>,
    /// What the citizen meant it to be. It says nothing about what an analyzer has to answer.
    pub kind: Kind,
}

impl Report {
    /// Whether everybody may see it, and so whether its analysis is to be published.
    pub fn is_public(&self) -> bool {
        self.visibility == PUBLIC
    }
}

/// The visibility that lets a report's analysis be published.
const PUBLIC: &str = "public";

/// The tags of a report, in the three forms that producers send.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Vec<String>>", into = "Option<Vec<String>>")]
pub enum Tags {
    /// The message has no such field.
    #[default]
    Absent,
    /// The field is null.
    Null,
    /// The field is a list, which may be empty.
    List(Vec<String>),
}

impl Tags {
    /// Whether the message has no such field.
    pub fn is_absent(&self) -> bool {
        *self == Self::Absent
    }

    /// The tags as they were written, valid or not.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::Absent | Self::Null => &[],
            Self::List(tags) => tags,
        }
    }
}

impl From<Option<Vec<String>>> for Tags {
    fn from(field: Option<Vec<String>>) -> Self {
        field.map_or(Self::Null, Self::List)
    }
}

impl From<Tags> for Option<Vec<String>> {
    fn from(tags: Tags) -> Self {
        match tags {
            Tags::Absent | Tags::Null => None,
            Tags::List(tags) => Some(tags),
        }
    }
}

/// The picture of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Image {
    /// A file beside the corpus, to be read with [`Corpus::load_images`].
    File(String),
    /// The bytes themselves.
    Inline(Vec<u8>),
}

/// What a citizen reports about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A place: litter, damage, danger.
    Physical,
    /// A product: a web site or an app.
    Digital,
}

/// Whether a report still stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It stands.
    #[default]
    Active,
    /// It has been dealt with, and is no longer shown.
    Resolved,
}

/// The canonical forms of a report's valid tags: the set that has to be linked to it in the end.
pub fn expected_tags(report: &Report) -> BTreeSet<String> {
    report
        .tags
        .as_slice()
        .iter()
        .filter_map(|tag| canonical_tag(tag))
        .collect()
}

/// The body of the `report.raw` message for a report stored as `seq`.
///
/// A value that the report does not have is left out, except for tags, which keep the form that [`Tags`] says.
/// Coordinates are the doubles that equal the stored 32-bit values. Who compares them narrows what was read to 32 bits
/// first, for not every JSON reader gets the last digit of a double right (serde_json does not by default).
pub fn raw_message(seq: u64, report: &Report) -> Value {
    let mut message = json!({
        "seq": seq,
        "latitude": report.latitude,
        "longitude": report.longitude,
        "visibility": report.visibility,
    });
    if !report.tags.is_absent() {
        message["tags"] = json!(report.tags);
    }
    let optional = [
        ("description", &report.description),
        ("fetcher_id", &report.fetcher_id),
        ("source_id", &report.source_id),
    ];
    for (field, value) in optional {
        if let Some(value) = value {
            message[field] = json!(value);
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(more: Value) -> Report {
        let Value::Object(mut fields) =
            json!({"name": "a-report", "kind": "physical", "latitude": 42.43, "longitude": -0.0})
        else {
            unreachable!("it is written as an object")
        };
        let Value::Object(more) = more else {
            panic!("not an object: {more}")
        };
        fields.extend(more);
        Report::try_from(fields).unwrap()
    }

    #[test]
    fn the_message_of_a_bare_report_has_nothing_optional() {
        let message = raw_message(7, &report(json!({})));
        assert_eq!(
            message.to_string(),
            r#"{"latitude":42.43000030517578,"longitude":-0.0,"seq":7,"visibility":"public"}"#
        );
    }

    #[test]
    fn the_message_of_a_full_report_has_all_that_producers_send() {
        let message = raw_message(
            8,
            &report(json!({
                "description": "", "tags": ["#A", "a"], "fetcher_id": "f", "source_id": "s", "visibility": "shadow",
                "url": "https://site.example", "status": "resolved", "owners": ["o"], "image": "i.png",
            })),
        );
        assert_eq!(
            message,
            json!({
                "seq": 8, "latitude": 42.43_f32, "longitude": -0.0, "description": "", "tags": ["#A", "a"],
                "fetcher_id": "f", "source_id": "s", "visibility": "shadow",
            })
        );
    }

    #[test]
    fn the_three_forms_of_tags_stay_apart() {
        let forms = [
            (json!({}), Tags::Absent, None),
            (json!({"tags": null}), Tags::Null, Some(Value::Null)),
            (json!({"tags": []}), Tags::List(vec![]), Some(json!([]))),
        ];
        for (fields, tags, sent) in forms {
            let report = report(fields);
            assert_eq!(report.tags, tags);
            assert_eq!(raw_message(1, &report).get("tags"), sent.as_ref());
            let stored = serde_json::to_string(&report).unwrap();
            assert_eq!(
                serde_json::from_str::<Report>(&stored).unwrap(),
                report,
                "{stored}"
            );
        }
    }

    #[test]
    fn expected_tags_are_the_distinct_canonical_forms() {
        let report = report(json!({"tags": ["#Otpad", "otpad", " OTPAD ", "čaša", "", "what?!"]}));
        assert_eq!(
            expected_tags(&report),
            BTreeSet::from(["casa".to_owned(), "otpad".to_owned()])
        );
    }

    #[test]
    fn both_forms_of_a_picture_survive_storing() {
        for image in [json!("a.png"), json!([137, 80, 78, 71])] {
            let report = report(json!({"image": image}));
            assert_eq!(json!(report)["image"], image);
            let again: Report = serde_json::from_value(json!(report)).unwrap();
            assert_eq!(again, report);
        }
    }
}
