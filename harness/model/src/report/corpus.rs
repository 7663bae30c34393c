//! The written reports, read from JSON and checked field by field.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

use super::{Image, PUBLIC, Report, Status};

/// Reports with a stable name each, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Corpus {
    reports: Vec<Report>,
}

/// Why a text is not a corpus.
#[derive(Debug, Error)]
pub enum CorpusError {
    /// The text is not a JSON list of objects.
    #[error("read the corpus as a JSON list of objects: {0}")]
    Json(#[from] serde_json::Error),
    /// One field of one report is missing, unknown, of the wrong type or beyond what its column holds.
    #[error("read report {report}, field `{field}`: {problem}")]
    Field {
        /// The report's name; its place in the file, counted from 1, if it has none; `?` if it was read alone.
        report: String,
        /// The field's name.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Corpus {
    /// Reads a JSON list of reports.
    ///
    /// # Errors
    /// The first report and field that is wrong, and names and public ids that are there twice.
    pub fn parse(text: &str) -> Result<Self, CorpusError> {
        let objects: Vec<Map<String, Value>> = serde_json::from_str(text)?;
        let mut names = BTreeSet::new();
        let mut public_ids = BTreeSet::new();
        let mut reports = Vec::with_capacity(objects.len());
        for (i, object) in objects.into_iter().enumerate() {
            let report = Report::try_from(object).map_err(|error| error.at(i + 1))?;
            if !names.insert(report.name.clone()) {
                return Err(field_error(&report.name, "name", "two reports have it"));
            }
            if !public_ids.insert(report.public_id.clone()) {
                return Err(field_error(&report.name, "public_id", "two reports have it"));
            }
            reports.push(report);
        }
        Ok(Self { reports })
    }

    /// The reports, in the order of the file.
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// The report called `name`.
    pub fn get(&self, name: &str) -> Option<&Report> {
        self.reports.iter().find(|report| report.name == name)
    }

    /// Replaces every picture's file name by the bytes that `read` gives for it.
    ///
    /// # Errors
    /// The first report whose picture could not be read, with the cause.
    pub fn load_images(
        &mut self,
        mut read: impl FnMut(&str) -> io::Result<Vec<u8>>,
    ) -> Result<(), CorpusError> {
        for report in &mut self.reports {
            if let Some(Image::File(file)) = &report.image {
                let bytes =
                    read(file).map_err(|e| field_error(&report.name, "image", format!("{file}: {e}")))?;
                report.image = Some(Image::Inline(bytes));
            }
        }
        Ok(())
    }
}

impl CorpusError {
    /// The error with the report's place in the file, if the report has no name.
    fn at(self, place: usize) -> Self {
        match self {
            Self::Field {
                report,
                field,
                problem,
            } if report == NAMELESS => Self::Field {
                report: format!("no. {place}"),
                field,
                problem,
            },
            other => other,
        }
    }
}

const NAMELESS: &str = "?";

fn field_error(report: &str, field: &str, problem: impl Display) -> CorpusError {
    CorpusError::Field {
        report: report.to_owned(),
        field: field.to_owned(),
        problem: problem.to_string(),
    }
}

/// The fields of one report that have not been taken yet.
struct Fields {
    report: String,
    left: Map<String, Value>,
}

impl Fields {
    fn error(&self, field: &str, problem: impl Display) -> CorpusError {
        field_error(&self.report, field, problem)
    }

    /// The field's value, if it is there. Only a type that has room for null takes a null.
    fn take<T: DeserializeOwned>(&mut self, field: &str) -> Result<Option<T>, CorpusError> {
        let Some(value) = self.left.remove(field) else {
            return Ok(None);
        };
        serde_json::from_value(value)
            .map(Some)
            .map_err(|e| self.error(field, e))
    }

    fn required<T: DeserializeOwned>(&mut self, field: &str) -> Result<T, CorpusError> {
        self.take(field)?.ok_or_else(|| self.error(field, "missing"))
    }

    fn nullable<T: DeserializeOwned>(&mut self, field: &str) -> Result<Option<T>, CorpusError> {
        Ok(self.take::<Option<T>>(field)?.flatten())
    }

    /// A text that its column can hold, counted in characters as the database counts them.
    fn fits(&self, field: &str, text: &str, characters: usize) -> Result<(), CorpusError> {
        match text.chars().count() {
            n if n > characters => {
                Err(self.error(field, format!("{n} characters, at most {characters} fit")))
            }
            _ => Ok(()),
        }
    }

    fn degrees(&mut self, field: &str, limit: f32) -> Result<f32, CorpusError> {
        let degrees: f32 = self.required(field)?;
        if degrees.abs() <= limit {
            return Ok(degrees);
        }
        Err(self.error(field, format!("{degrees} is beyond {limit} degrees")))
    }
}

/// A `TEXT` column's capacity.
const TEXT_BYTES: usize = 65_535;

impl TryFrom<Map<String, Value>> for Report {
    type Error = CorpusError;

    fn try_from(object: Map<String, Value>) -> Result<Self, CorpusError> {
        let named = object.get("name").and_then(Value::as_str).unwrap_or(NAMELESS);
        let mut fields = Fields {
            report: named.to_owned(),
            left: object,
        };
        let name: String = fields.required("name")?;
        if name.is_empty()
            || !name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        {
            return Err(fields.error("name", "not lower-case words joined by hyphens"));
        }
        let report = Self {
            public_id: fields.take("public_id")?.unwrap_or_else(|| name.clone()),
            id: fields.take("id")?.unwrap_or_else(|| format!("citizen-{name}")),
            team: fields.take("team")?.unwrap_or(0),
            latitude: fields.degrees("latitude", 90.0)?,
            longitude: fields.degrees("longitude", 180.0)?,
            x: fields.nullable("x")?,
            y: fields.nullable("y")?,
            action_id: fields.nullable("action_id")?,
            description: fields.nullable("description")?,
            tags: fields.take("tags")?.unwrap_or_default(),
            fetcher_id: fields.nullable("fetcher_id")?,
            source_id: fields.nullable("source_id")?,
            visibility: fields.take("visibility")?.unwrap_or_else(|| PUBLIC.to_owned()),
            owners: fields.take("owners")?.unwrap_or_default(),
            owners_public: fields.take("owners_public")?.unwrap_or(true),
            status: fields.take("status")?.unwrap_or(Status::Active),
            url: fields.nullable("url")?,
            image: fields.nullable("image")?,
            kind: fields.required("kind")?,
            name,
        };
        if let Some(unknown) = fields.left.keys().next() {
            return Err(fields.error(unknown, "unknown"));
        }
        if report.public_id.is_empty() {
            return Err(fields.error("public_id", "empty"));
        }
        fields.fits("public_id", &report.public_id, 32)?;
        fields.fits("id", &report.id, 255)?;
        fields.fits("action_id", report.action_id.as_deref().unwrap_or_default(), 32)?;
        if report
            .description
            .as_ref()
            .is_some_and(|text| text.len() > TEXT_BYTES)
        {
            return Err(fields.error("description", format!("more than {TEXT_BYTES} bytes")));
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::{Kind, Tags, canonical_tag, expected_tags, raw_message};

    const TEXT: &str = include_str!("../../../../fixtures/reports/corpus.json");

    macro_rules! pictures {
        ($($name:literal)*) => {
            &[$(($name, include_bytes!(concat!("../../../../fixtures/reports/images/", $name)))),*]
        };
    }
    const PICTURES: &[(&str, &[u8])] = pictures![
        "app-error-dialog.png" "broken-bench.jpg" "checkout-page-alpha.png" "graffiti-wall.jpg"
        "litter-on-street.jpg" "map-screenshot.png" "overflowing-bin.png" "pothole-with-position.jpg"
        "street-light-out.jpg"
    ];

    fn corpus() -> Corpus {
        Corpus::parse(TEXT).unwrap()
    }

    #[test]
    fn the_corpus_has_its_coverage() {
        let corpus = corpus();
        let count =
            |property: &dyn Fn(&Report) -> bool| corpus.reports().iter().filter(|r| property(r)).count();
        let text =
            |r: &Report, found: fn(char) -> bool| r.description.as_deref().unwrap_or("").contains(found);
        let script = |range: std::ops::RangeInclusive<char>| {
            count(&|r| {
                r.description
                    .as_deref()
                    .unwrap_or("")
                    .chars()
                    .any(|c| range.contains(&c))
            })
        };
        let at_least = |what: &str, found: usize, wanted: usize| {
            assert!(
                found >= wanted,
                "{what}: {found} reports, at least {wanted} wanted"
            );
        };
        at_least("all", corpus.reports().len(), 72);
        at_least("physical", count(&|r| r.kind == Kind::Physical), 30);
        at_least("digital", count(&|r| r.kind == Kind::Digital), 25);
        for (what, range) in [
            ("cyrillic", 'а'..='я'),
            ("greek", 'α'..='ω'),
            ("hebrew", 'א'..='ת'),
            ("arabic", 'ا'..='ي'),
            ("devanagari", 'अ'..='ह'),
            ("thai", 'ก'..='ฮ'),
            ("kana", 'あ'..='ん'),
            ("han", '一'..='龥'),
            ("hangul", '가'..='힣'),
            ("combining mark", '\u{300}'..='\u{36f}'),
            ("direction mark", '\u{200e}'..='\u{200f}'),
            ("joiner", '\u{200d}'..='\u{200d}'),
            ("skin tone", '\u{1f3fb}'..='\u{1f3ff}'),
        ] {
            at_least(what, script(range), 1);
        }
        at_least(
            "four-byte character",
            count(&|r| text(r, |c| c.len_utf8() == 4)),
            5,
        );
        at_least("line break", count(&|r| text(r, |c| c == '\n')), 5);
        at_least("tab", count(&|r| text(r, |c| c == '\t')), 1);
        at_least("quote", count(&|r| text(r, |c| matches!(c, '"' | '\''))), 5);
        at_least("backslash", count(&|r| text(r, |c| c == '\\')), 2);
        at_least(
            "long",
            count(&|r| r.description.as_ref().is_some_and(|d| d.len() > 3000)),
            2,
        );
        at_least(
            "empty description",
            count(&|r| r.description.as_deref() == Some("")),
            1,
        );
        at_least("no description", count(&|r| r.description.is_none()), 1);
        at_least("no tags", count(&|r| r.tags.is_absent()), 3);
        at_least("null tags", count(&|r| r.tags == Tags::Null), 2);
        at_least("empty tags", count(&|r| r.tags == Tags::List(vec![])), 2);
        let valid = |r: &Report| r.tags.as_slice().iter().filter_map(|t| canonical_tag(t)).count();
        at_least(
            "invalid tag among valid",
            count(&|r| (1..r.tags.as_slice().len()).contains(&valid(r))),
            5,
        );
        at_least(
            "only invalid tags",
            count(&|r| valid(r) == 0 && !r.tags.as_slice().is_empty()),
            1,
        );
        at_least(
            "tags that become one",
            count(&|r| expected_tags(r).len() < valid(r)),
            3,
        );
        at_least("not public", count(&|r| !r.is_public()), 3);
        at_least(
            "fetched",
            count(&|r| r.fetcher_id.is_some() && r.source_id.is_some()),
            3,
        );
        at_least("resolved", count(&|r| r.status == Status::Resolved), 2);
        at_least("owned", count(&|r| !r.owners.is_empty()), 3);
        at_least(
            "owned privately",
            count(&|r| !r.owners.is_empty() && !r.owners_public),
            1,
        );
        at_least("page", count(&|r| r.url.is_some()), 10);
        at_least("picture", count(&|r| r.image.is_some()), 9);
        at_least(
            "position in the picture",
            count(&|r| r.x.is_some() && r.y.is_some()),
            2,
        );
        at_least("campaign", count(&|r| r.action_id.is_some()), 1);
        for (what, latitude, longitude) in [
            ("north pole", 90.0_f32, 0.0_f32),
            ("south pole", -90.0, -180.0),
            ("date line", 0.0, 180.0),
            ("null island", 0.0, 0.0),
            ("minus zero", -0.0, -0.0),
        ] {
            let exact = |a: f32, b: f32| a.to_bits() == b.to_bits();
            at_least(
                what,
                count(&|r| exact(r.latitude, latitude) && exact(r.longitude, longitude)),
                1,
            );
        }
    }

    #[test]
    fn every_report_survives_storing_and_sending() {
        for report in corpus().reports() {
            let stored = serde_json::to_string(report).unwrap();
            assert_eq!(&serde_json::from_str::<Report>(&stored).unwrap(), report);
            let sent = raw_message(1, report).to_string();
            let received: Value = serde_json::from_str(&sent).unwrap();
            let description = received.get("description").and_then(Value::as_str);
            assert_eq!(description, report.description.as_deref(), "{}", report.name);
            let received_bits =
                |field: &str| received[field].as_f64().map(|degrees| (degrees as f32).to_bits());
            assert_eq!(
                received_bits("latitude"),
                Some(report.latitude.to_bits()),
                "{}",
                report.name
            );
            assert_eq!(
                received_bits("longitude"),
                Some(report.longitude.to_bits()),
                "{}",
                report.name
            );
        }
    }

    #[test]
    fn every_picture_is_there_and_is_used() {
        let mut corpus = corpus();
        let mut used = BTreeSet::new();
        corpus
            .load_images(|file| {
                used.insert(file.to_owned());
                let found = PICTURES.iter().find(|(name, _)| file == format!("images/{name}"));
                found
                    .map(|(_, bytes)| bytes.to_vec())
                    .ok_or_else(|| io::ErrorKind::NotFound.into())
            })
            .unwrap();
        assert_eq!(used.len(), PICTURES.len());
        for report in corpus.reports() {
            match &report.image {
                Some(Image::Inline(bytes)) => {
                    assert!(
                        (2_000..12_000).contains(&bytes.len()),
                        "{}: {} bytes",
                        report.name,
                        bytes.len()
                    );
                    assert!(
                        bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"\x89PNG"),
                        "{}",
                        report.name
                    );
                }
                other => assert_eq!(other, &None, "{}", report.name),
            }
        }
        let missing = Corpus::parse(TEXT)
            .unwrap()
            .load_images(|_| Err(io::ErrorKind::NotFound.into()));
        let error = missing.unwrap_err().to_string();
        assert_eq!(
            error,
            "read report english-bin, field `image`: images/overflowing-bin.png: entity not found"
        );
    }

    #[test]
    fn an_error_names_the_report_and_the_field() {
        let good = json!({"name": "a", "kind": "physical", "latitude": 1.5, "longitude": 2.5});
        for (field, value, error) in [
            (
                "name",
                json!("A b"),
                "report A b, field `name`: not lower-case words joined by hyphens",
            ),
            (
                "name",
                json!(3),
                "report no. 2, field `name`: invalid type: integer `3`, expected a string",
            ),
            (
                "latitude",
                json!(90.1),
                "report b, field `latitude`: 90.1 is beyond 90 degrees",
            ),
            (
                "longitude",
                json!("2"),
                "report b, field `longitude`: invalid type: string \"2\", expected f32",
            ),
            (
                "kind",
                json!("both"),
                "report b, field `kind`: unknown variant `both`, expected `physical` or `digital`",
            ),
            (
                "team",
                json!(null),
                "report b, field `team`: invalid type: null, expected i32",
            ),
            (
                "tags",
                json!([1]),
                "report b, field `tags`: invalid type: integer `1`, expected a string",
            ),
            (
                "public_id",
                json!("a"),
                "report b, field `public_id`: two reports have it",
            ),
            (
                "public_id",
                json!("é".repeat(33)),
                "report b, field `public_id`: 33 characters, at most 32 fit",
            ),
            (
                "description",
                json!("é".repeat(32_768)),
                "report b, field `description`: more than 65535 bytes",
            ),
            ("colour", json!("red"), "report b, field `colour`: unknown"),
        ] {
            let mut bad = good.clone();
            bad["name"] = json!("b");
            bad[field] = value;
            let parsed = Corpus::parse(&json!([good, bad]).to_string());
            assert_eq!(parsed.unwrap_err().to_string(), format!("read {error}"));
        }
        let missing = Corpus::parse(r#"[{"name": "b"}]"#).unwrap_err().to_string();
        assert_eq!(missing, "read report b, field `latitude`: missing");
        assert!(matches!(Corpus::parse("{}").unwrap_err(), CorpusError::Json(_)));
    }
}
