//! What goes in: reports, by name, in number or all of the corpus.

use std::sync::LazyLock;

use harness_model::evidence::Expect;
use harness_model::report::{self, Corpus, Image, Report, Status};
use harness_model::seed::Seed;
use harness_runner::environment::Failure;
use serde_json::{Map, Value, json};

use crate::files;

/// A number or a choice of reports.
#[derive(Debug, Clone)]
#[must_use = "a workload does nothing until it is injected"]
pub struct Workload(Choice);

#[derive(Debug, Clone)]
enum Choice {
    Generated(usize),
    Corpus,
    Named(&'static str),
    Canary,
}

/// `count` reports from the trial's seed: physical and digital, of all languages.
pub fn reports(count: usize) -> Workload {
    Workload(Choice::Generated(count))
}

/// All of fixtures/reports.
pub fn corpus() -> Workload {
    Workload(Choice::Corpus)
}

/// One report of fixtures/reports.
pub fn named(name: &'static str) -> Workload {
    Workload(Choice::Named(name))
}

/// The report that is sent through the whole pipeline to show that it works again: physical, public, tagged, so that it
/// has every effect that a report can have.
pub(crate) fn canary() -> Workload {
    Workload(Choice::Canary)
}

/// A report with the bytes of its picture.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) report: Report,
    pub(crate) image: Vec<u8>,
}

static CORPUS: LazyLock<Result<Vec<Loaded>, String>> = LazyLock::new(|| {
    let folder = files::root().join("fixtures/reports");
    let path = folder.join("corpus.json");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let corpus = Corpus::parse(&text).map_err(|error| format!("{path}: {error}"))?;
    corpus
        .reports()
        .iter()
        .map(|report| {
            let image = match &report.image {
                None => Vec::new(),
                Some(Image::Inline(bytes)) => bytes.clone(),
                Some(Image::File(name)) => {
                    let path = folder.join(name);
                    std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?
                }
            };
            Ok(Loaded {
                report: report.clone(),
                image,
            })
        })
        .collect()
});

fn all() -> Result<&'static [Loaded], Failure> {
    CORPUS
        .as_deref()
        .map_err(|cause| Failure::infra(format!("read the reports: {cause}")))
}

/// The reports of a workload. The `turn`th workload of a trial has a stream of its own, so that two of them differ.
pub(crate) fn load(workload: &Workload, seed: Seed, turn: usize) -> Result<Vec<Loaded>, Failure> {
    match workload.0 {
        Choice::Generated(count) => {
            let generated = report::generate(seed.derive(&format!("workload-{turn}")), count);
            Ok(generated
                .into_iter()
                .map(|report| Loaded {
                    report,
                    image: Vec::new(),
                })
                .collect())
        }
        Choice::Corpus => Ok(all()?.to_vec()),
        Choice::Canary => {
            let fields = json!({
                "name": "canary", "kind": "physical", "latitude": 42.5, "longitude": 19.25, "tags": ["canary"],
                "description": "Litter around the bench at the canary cage",
            });
            let report = serde_json::from_value(fields).map_err(|error| Failure::infra(error.to_string()))?;
            Ok(vec![Loaded {
                report,
                image: Vec::new(),
            }])
        }
        Choice::Named(name) => {
            let found = all()?.iter().find(|loaded| loaded.report.name == name);
            found.map(|loaded| vec![loaded.clone()]).ok_or_else(|| {
                Failure::invalid(format!("no report is called {name}"))
                    .hint("see fixtures/reports/corpus.json")
            })
        }
    }
}

/// What must become of a report.
pub(crate) fn expect(report: &Report) -> Expect {
    let public = report.is_public();
    let owned_publicly = report.owners.is_empty() || report.owners_public;
    Expect::Effect {
        tags: report::expected_tags(report),
        public,
        rendered: public && report.status == Status::Active && owned_publicly,
    }
}

/// A report's fields by name, with its sequence number, as [`harness_model::topology::Insert`] asks for them.
pub(crate) fn fields(report: &Report, seq: u64) -> Map<String, Value> {
    let mut fields = match serde_json::to_value(report) {
        Ok(Value::Object(fields)) => fields,
        // A report is a struct of plain values.
        _ => Map::new(),
    };
    fields.insert("seq".to_owned(), seq.into());
    fields
}
