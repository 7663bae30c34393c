//! The Common Test Report Format, JSON: <https://ctrf.io>.
//!
//! A test is a scenario. What counts against the gate has failed, with the verdict as its raw status; what is held in
//! quarantine is `other`; what was not run is `pending`. A scenario of which some trials passed and some did not is flaky,
//! and has failed all the same.

use harness_model::verdict::Kind;
use serde::Serialize;
use serde_json::{Value, json};

use super::forms::{Told, scene_of};
use super::junit::message;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    name: String,
    status: &'static str,
    duration: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suite: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    retries: usize,
    flaky: bool,
    #[serde(skip_serializing_if = "Value::is_null")]
    extra: Value,
}

/// The report.
pub fn text(told: &Told) -> String {
    let mut tests = Vec::new();
    for case in told.cases() {
        let worst = case.worst();
        let passed = worst.verdict.kind == Kind::Pass && worst.counts_as() == Kind::Pass;
        let status = match (passed, worst.is_held()) {
            (true, _) => "passed",
            (false, true) => "other",
            (false, false) => "failed",
        };
        tests.push(Test {
            suite: suite(&case.name),
            status,
            duration: millis(case.took()),
            raw_status: Some(if worst.is_held() {
                "quarantined"
            } else {
                worst.counts_as().word()
            }),
            message: (!passed).then(|| message(worst)),
            trace: (!passed).then(|| scene_of(worst)),
            file_path: case.place.map(|place| place.file.clone()),
            line: case.place.map(|place| place.line),
            retries: case.trials.len() - 1,
            flaky: case.is_mixed(),
            extra: json!({ "seed": worst.seed.to_string(), "folder": worst.dir, "quarantine": worst.quarantine }),
            name: case.name,
        });
    }
    for name in &told.missing {
        let place = told.places.get(name);
        tests.push(Test {
            name: name.clone(),
            status: "pending",
            duration: 0,
            raw_status: Some("not run"),
            suite: suite(name),
            message: Some("no trial of it is stored".to_owned()),
            trace: None,
            file_path: place.map(|place| place.file.clone()),
            line: place.map(|place| place.line),
            retries: 0,
            flaky: false,
            extra: Value::Null,
        });
    }
    let count = |status: &str| tests.iter().filter(|test| test.status == status).count();
    let start = told.start.as_millisecond();
    let report = json!({
        "reportFormat": "CTRF",
        "specVersion": "0.0.0",
        "generatedBy": "harness",
        "results": {
            "tool": { "name": "harness", "version": env!("CARGO_PKG_VERSION") },
            "summary": {
                "tests": tests.len(),
                "passed": count("passed"),
                "failed": count("failed"),
                "skipped": 0,
                "pending": count("pending"),
                "other": count("other"),
                "flaky": tests.iter().filter(|test| test.flaky).count(),
                "start": start,
                "stop": start + i64::try_from(told.took.as_millis()).unwrap_or_default(),
                "extra": { "run": told.run, "exit": told.exit().code() },
            },
            "tests": tests,
        },
    });
    format!("{report:#}\n")
}

fn suite(name: &str) -> Option<Vec<String>> {
    let (family, _) = name.rsplit_once("::")?;
    Some(vec![family.to_owned()])
}

fn millis(length: std::time::Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
