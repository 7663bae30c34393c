//! What goes in: reports, by name, in number or all of the corpus.

use std::sync::LazyLock;

use harness_model::event::body_hash;
use harness_model::evidence::Expect;
use harness_model::name::Key;
use harness_model::report::{self, Corpus, Image, Report, Status, raw_message};
use harness_model::seed::Seed;
use harness_model::topology::Topology;
use harness_runner::environment::Failure;
use serde_json::{Map, Value, json};

use crate::files;

/// What is injected: reports, or messages that are none.
#[derive(Debug, Clone)]
#[must_use = "a workload does nothing until it is injected"]
pub struct Workload {
    choice: Choice,
    times: u32,
    rows: Rows,
}

#[derive(Debug, Clone)]
enum Choice {
    Generated(usize),
    Corpus,
    Named(&'static str),
    Canary,
    Poison,
    Odd,
}

/// When the rows of reports are inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Before their messages are published.
    First,
    /// When the scenario says so.
    Later,
    /// Not at all.
    Never,
}

impl From<Choice> for Workload {
    fn from(choice: Choice) -> Self {
        Self {
            choice,
            times: 1,
            rows: Rows::First,
        }
    }
}

impl Workload {
    /// Each message is published so often, one right after the other: more than once is a duplicate.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The messages are published before the reports have rows; see [`crate::pipeline::Pipeline::add_rows`].
    pub fn rows_later(mut self) -> Self {
        self.rows = Rows::Later;
        self
    }

    /// The reports have no rows, so that no attempt can succeed: their messages end as dead letters.
    pub fn without_rows(mut self) -> Self {
        self.rows = Rows::Never;
        self
    }

    pub(crate) fn rows(&self) -> Rows {
        self.rows
    }
}

/// `count` reports from the trial's seed: physical and digital, of all languages.
pub fn reports(count: usize) -> Workload {
    Choice::Generated(count).into()
}

/// All of fixtures/reports.
pub fn corpus() -> Workload {
    Choice::Corpus.into()
}

/// One report of fixtures/reports.
pub fn named(name: &'static str) -> Workload {
    Choice::Named(name).into()
}

/// Messages that no consumer can make sense of: each is to end as a dead letter of every queue that gets it.
pub fn poison() -> Workload {
    Choice::Poison.into()
}

/// Reports whose messages look unusual and are right nevertheless: unknown fields, another content type, a body larger
/// than a frame.
pub fn odd() -> Workload {
    Choice::Odd.into()
}

/// The report that is sent through the whole pipeline to show that it works again: physical, public, tagged, so that it
/// has every effect that a report can have.
pub(crate) fn canary() -> Workload {
    Choice::Canary.into()
}

/// A report with the bytes of its picture.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) report: Report,
    pub(crate) image: Vec<u8>,
}

/// A message to publish, with what must become of it.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) key: Key,
    pub(crate) name: String,
    /// Absent for what is no report.
    pub(crate) seq: Option<u64>,
    pub(crate) loaded: Option<Loaded>,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) times: u32,
    pub(crate) expect: Expect,
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

/// The messages of a workload. Its reports are numbered from `first`. The `turn`th workload of a trial has a stream of
/// its own, so that two of them differ.
pub(crate) fn load(
    workload: &Workload,
    topology: &Topology,
    seed: Seed,
    turn: usize,
    first: u64,
) -> Result<Vec<Item>, Failure> {
    if matches!(workload.choice, Choice::Poison) {
        return Ok(broken(topology, workload.times, turn));
    }
    let mut items = Vec::new();
    for (loaded, seq) in loaded(workload, seed, turn)?.into_iter().zip(first..) {
        let (content_type, body) = message(&workload.choice, seq, &loaded.report);
        let expect = match workload.rows {
            Rows::Never => dead_everywhere(topology, &body),
            Rows::First | Rows::Later => expect(&loaded.report),
        };
        items.push(Item {
            key: Key::from(seq),
            name: loaded.report.name.clone(),
            seq: Some(seq),
            loaded: Some(loaded),
            content_type,
            body,
            times: workload.times,
            expect,
        });
    }
    Ok(items)
}

const JSON: &str = "application/json";

/// The message of a report.
fn message(choice: &Choice, seq: u64, report: &Report) -> (&'static str, Vec<u8>) {
    let mut message = raw_message(seq, report);
    let mut content_type = JSON;
    if matches!(choice, Choice::Odd) {
        match seq % 3 {
            // Larger than a frame of any client's default size.
            0 => message["attachment"] = "\u{1f5d1} ".repeat(50_000).into(),
            1 => content_type = "text/plain",
            _ => message["schema"] = json!({"version": 7, "extra": [null, {}]}),
        }
    }
    (content_type, message.to_string().into_bytes())
}

/// Every queue that gets raw messages, and has a consumer that can reject them.
fn dead_everywhere(topology: &Topology, body: &[u8]) -> Expect {
    let queues = topology.queues.iter().filter(|(_, queue)| {
        !queue.sink && queue.dead_letter.is_some() && queue.bind.iter().any(|route| *route == "raw")
    });
    Expect::DeadLetter {
        queues: queues.map(|(role, _)| role.clone()).collect(),
        hash: body_hash(body),
    }
}

/// Messages that are no reports, each wrong in its own way.
fn broken(topology: &Topology, times: u32, turn: usize) -> Vec<Item> {
    let bodies: [(&str, Vec<u8>); 9] = [
        ("cut-json", br#"{"seq": 1, "tags": ["#.to_vec()),
        ("empty", Vec::new()),
        ("list", b"[1, 2, 3]".to_vec()),
        ("text-seq", br#"{"seq": "17"}"#.to_vec()),
        ("fraction-seq", br#"{"seq": 17.5}"#.to_vec()),
        ("null-seq", br#"{"seq": null}"#.to_vec()),
        (
            "no-seq",
            br#"{"tags": ["litter"], "description": "no number"}"#.to_vec(),
        ),
        ("null-bytes", vec![0; 64]),
        ("huge-garbage", vec![b'x'; 300_000]),
    ];
    let item = |(name, body): (&str, Vec<u8>)| Item {
        key: Key::new(format!("poison-{turn}-{name}")),
        name: name.to_owned(),
        seq: None,
        loaded: None,
        content_type: JSON,
        expect: dead_everywhere(topology, &body),
        body,
        times,
    };
    bodies.into_iter().map(item).collect()
}

fn loaded(workload: &Workload, seed: Seed, turn: usize) -> Result<Vec<Loaded>, Failure> {
    let generated = |count| {
        let mut generated = report::generate(seed.derive(&format!("workload-{turn}")), count);
        if workload.rows == Rows::Never {
            // A report without tags needs nothing from the consumer of tags, so that it would not end as a dead letter.
            for report in &mut generated {
                report.tags = report::Tags::List(vec!["litter".to_owned()]);
            }
        }
        let bare = |report| Loaded {
            report,
            image: Vec::new(),
        };
        generated.into_iter().map(bare).collect()
    };
    match workload.choice {
        Choice::Generated(count) => Ok(generated(count)),
        Choice::Odd => Ok(generated(6)),
        Choice::Poison => Ok(Vec::new()),
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
fn expect(report: &Report) -> Expect {
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
