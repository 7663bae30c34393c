//! The real nextest over the tests that live in memory: messages, partitions, retries, timeouts, no engine.
//!
//! It is given the binary as it is, so it builds nothing. Where there is no nextest these tests are left out with a word
//! on stderr; under `CI` they fail instead.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use quick_junit::{FlakyOrRerun, NonSuccessKind, Report, TestCase, TestCaseStatus};
use tempfile::TempDir;

use crate::contract::example;

const NAMES: [&str; 8] = [
    "body::fails",
    "body::hangs",
    "body::invalid",
    "body::panics",
    "body::waits",
    "judge::loses",
    "judge::panics",
    "judge::passes",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Whether nextest is here. It has to be where nothing may be skipped.
static NEXTEST: LazyLock<bool> = LazyLock::new(|| {
    let asked = Command::new("cargo").args(["nextest", "--version"]).output();
    let here = asked.is_ok_and(|output| output.status.success());
    let ci = std::env::vars().any(|(name, value)| name == "CI" && value != "false" && value != "0");
    assert!(here || !ci, "there is no cargo-nextest; .ci/run installs it");
    here
});

/// What cargo says of this workspace, as far as it is for this platform: no other crate need have been downloaded.
static METADATA: LazyLock<String> = LazyLock::new(|| {
    let about = Command::new("rustc").arg("-vV").output().unwrap();
    let about = String::from_utf8(about.stdout).unwrap();
    let host = about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let args = [
        "metadata",
        "--format-version",
        "1",
        "--offline",
        "--filter-platform",
    ];
    let output = Command::new("cargo")
        .args(args)
        .arg(host)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
});

/// A place to run nextest in, with the configuration of this repository.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Option<Self> {
        if *NEXTEST {
            Some(Self {
                folder: TempDir::new().unwrap(),
            })
        } else {
            std::io::Write::write_all(
                &mut std::io::stderr(),
                b"skipped: there is no cargo-nextest on this machine\n",
            )
            .unwrap();
            None
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `cargo nextest COMMAND ..` with these variables, as profile ci; `more` is put behind the configuration.
    fn nextest(&self, command: &str, more: &str, vars: &[(&str, &str)]) -> Output {
        let config = std::fs::read_to_string(root().join(".config/nextest.toml")).unwrap();
        let store = format!(
            "[store]\ndir = \"{}\"\n",
            self.folder.path().join("store").display()
        );
        let config = self.file("nextest.toml", &format!("{store}{config}{more}"));
        let binary = example("memory_tests", &self.folder, "", &[]);
        let metadata: serde_json::Value = serde_json::from_str(&METADATA).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages
            .iter()
            .find(|package| package["name"] == "harness-runner")
            .unwrap();
        let binaries = serde_json::json!({
            "rust-build-meta": {
                "target-directory": metadata["target_directory"],
                "base-output-directories": ["debug"],
                "non-test-binaries": {},
                "linked-paths": [],
            },
            "rust-binaries": { "harness-runner::memory_tests": {
                "binary-id": "harness-runner::memory_tests",
                "binary-name": "memory_tests",
                "package-id": package["id"],
                "kind": "test",
                "binary-path": binary.get_program().to_str().unwrap(),
                "build-platform": "target",
            } },
        });
        let (metadata, binaries) = (
            self.file("metadata.json", &METADATA),
            self.file("binaries.json", &binaries.to_string()),
        );
        let mut nextest = Command::new("cargo");
        nextest.arg("nextest").args(command.split_whitespace());
        nextest
            .args(["--profile", "ci", "--color", "never", "--config-file"])
            .arg(config);
        nextest
            .arg("--cargo-metadata")
            .arg(metadata)
            .arg("--binaries-metadata")
            .arg(binaries);
        // Not those of the run that this test is a part of.
        for (name, _) in std::env::vars().filter(|(name, _)| {
            ["NEXTEST", "HARNESS_", "GITHUB_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
                || name == "CI"
        }) {
            nextest.env_remove(name);
        }
        nextest
            .env("HARNESS_OUT", self.folder.path().join("runs"))
            .envs(vars.iter().copied());
        nextest.current_dir(root()).output().unwrap()
    }

    fn junit(&self) -> Report {
        let file = std::fs::File::open(self.folder.path().join("store/ci/junit.xml")).unwrap();
        Report::deserialize(std::io::BufReader::new(file)).unwrap()
    }
}

fn cases(report: &Report) -> Vec<&TestCase> {
    report
        .test_suites
        .iter()
        .flat_map(|suite| &suite.test_cases)
        .collect()
}

fn case<'a>(report: &'a Report, name: &str) -> &'a TestCase {
    let mut found = cases(report)
        .into_iter()
        .filter(|case| case.name.as_str() == name);
    found.next().unwrap_or_else(|| panic!("no {name} in {report:?}"))
}

#[test]
fn junit_has_the_diagnosis_as_its_message() {
    let Some(site) = Site::new() else { return };
    let ran = site.nextest("run judge:: body::fails", "", &[]);
    assert_eq!(ran.status.code(), Some(100), "{ran:?}");
    let report = site.junit();
    assert_eq!(
        (report.tests, report.failures, report.errors),
        (4, 3, 0),
        "{report:?}"
    );
    assert!(matches!(
        case(&report, "judge::passes").status,
        TestCaseStatus::Success { .. }
    ));
    for (name, diagnosis) in [
        (
            "judge::loses",
            "fail: judge::loses: no-loss: 1 of the injected reports went nowhere (reports 2)",
        ),
        (
            "body::fails",
            "fail: body::fails: body: two rows where one should be (reports 4)",
        ),
    ] {
        let TestCaseStatus::NonSuccess {
            message, description, ..
        } = &case(&report, name).status
        else {
            panic!("{name} has failed")
        };
        let said = format!("{message:?} {description:?}");
        assert!(
            said.contains(&format!("Error: {diagnosis}")) || said.contains(diagnosis),
            "{said}"
        );
    }
}

#[test]
fn partitions_together_run_everything_once() {
    let Some(site) = Site::new() else { return };
    for kind in ["slice", "hash"] {
        let mut ran = Vec::new();
        for part in 1..=3 {
            let command = format!("run --partition {kind}:{part}/3");
            site.nextest(&command, "", &[("HARNESS_TOPOLOGY", "open=infra")]);
            let report = site.junit();
            ran.extend(cases(&report).iter().map(|case| case.name.as_str().to_owned()));
        }
        ran.sort();
        assert_eq!(ran, NAMES, "{kind}");
    }
}

#[test]
fn what_passes_only_when_tried_again_is_flaky_and_can_be_made_to_fail() {
    let Some(site) = Site::new() else { return };
    let vars = [("HARNESS_TOPOLOGY", "first:canary=fails")];
    let once = site.nextest("run judge::passes", "", &vars);
    assert_eq!(
        once.status.code(),
        Some(100),
        "by itself nothing is tried twice: {once:?}"
    );
    let again = site.nextest("run judge::passes --retries 1", "", &vars);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let report = site.junit();
    let TestCaseStatus::Success { flaky_runs } = &case(&report, "judge::passes").status else {
        panic!("it has passed in the end: {report:?}")
    };
    assert_eq!(flaky_runs.len(), 1);

    let ours = site.folder.path().join("ours.xml");
    let forms = format!("junit={}", ours.display());
    let red = site.nextest(
        "run judge::passes --retries 1 --flaky-result fail",
        "",
        &[vars[0], ("HARNESS_REPORT", &forms)],
    );
    assert_eq!(red.status.code(), Some(100), "{red:?}");
    // The two processes have written one file between them.
    let report = Report::deserialize(std::io::BufReader::new(std::fs::File::open(&ours).unwrap())).unwrap();
    let TestCaseStatus::NonSuccess { kind, reruns, .. } = &case(&report, "passes").status else {
        panic!("for us it has failed: {report:?}")
    };
    assert_eq!(
        (*kind, reruns.kind),
        (NonSuccessKind::Failure, FlakyOrRerun::Flaky)
    );
    assert_eq!(reruns.runs.len(), 1);
}

#[test]
fn a_machine_without_an_engine_is_red_in_a_gate() {
    let Some(site) = Site::new() else { return };
    let none = ("DOCKER_HOST", "none");
    let red = site.nextest("run judge::passes", "", &[none, ("CI", "true")]);
    assert_eq!(red.status.code(), Some(100), "{red:?}");
    let local = site.nextest("run judge::passes", "", &[none]);
    let said = String::from_utf8_lossy(&local.stderr).into_owned();
    // Nothing was run, and nextest says so with a code of its own.
    assert_eq!(local.status.code(), Some(4), "{said}");
    assert!(
        said.contains("1 skipped") || said.contains("no tests to run"),
        "{said}"
    );
}

#[test]
fn a_test_that_takes_too_long_still_leaves_its_evidence() {
    let Some(site) = Site::new() else { return };
    let more = "\n[[profile.ci.overrides]]\nfilter = 'all()'\nslow-timeout = { period = \"1s\", terminate-after = 1, \
                grace-period = \"10s\" }\n";
    let late = site.nextest("run body::waits", more, &[]);
    assert_eq!(late.status.code(), Some(100), "{late:?}");
    let names: BTreeSet<_> = files(&site.folder.path().join("runs/latest/body.waits"));
    for file in ["verdict.json", "plan.json", "end_state.json", "ledger.jsonl"] {
        assert!(names.contains(file), "no {file} in {names:?}");
    }
}

fn files(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
