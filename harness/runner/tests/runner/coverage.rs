//! What stored runs have left idle.

use std::fs;

use harness_runner::exit::Exit;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::harness;
use crate::{golden, path};

#[test]
fn what_is_idle_is_named() {
    let out = TempDir::new().unwrap();
    harness(&out, "judge::");
    let said = harness(&out, "coverage");
    assert_eq!((said.exit, &*said.err), (Exit::Failed, ""));
    golden("coverage", &said.out);
}

#[test]
fn several_runs_are_counted_together_and_bugs_if_they_are_named() {
    let out = TempDir::new().unwrap();
    let mut runs = Vec::new();
    for filter in ["judge::passes", "judge::loses"] {
        harness(&out, filter);
        runs.push(path(&out).join("latest").canonicalize_utf8().unwrap());
    }
    let bugs = path(&out).join("bugs.toml");
    let entry = "[[bug]]\nid = \"found\"\nlike = \"-\"\nenv = { SCRIPT = \"forgetful\" }\nservices = [\"tags\"]\n\
                 caught_by = [\"no-loss\"]\nscenarios = [\"judge::passes\"]\n";
    fs::write(&bugs, entry).unwrap();
    assert_eq!(
        harness(&out, &format!("mutants --no-baseline --bugs {bugs}")).exit,
        Exit::Passed
    );
    let mutants = path(&out).join("latest/mutants.json");
    let said = harness(
        &out,
        &format!(
            "coverage {} {} --mutants {mutants} --format json",
            runs[0], runs[1]
        ),
    );
    assert_eq!(said.exit, Exit::Failed);
    let value: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(value["coverage"]["trials"], 2);
    assert_eq!(value["coverage"]["times"]["broken"]["no-loss"], 1);
    let [part, idle] = &value["idle"].as_array().unwrap()[4].as_array().unwrap()[..] else {
        panic!("a part and what is idle in it")
    };
    assert_eq!(part, "broken");
    assert!(!idle.as_array().unwrap().contains(&"no-loss".into()), "{idle}");

    // The parts of a run with bugs are looked at as well.
    let said = harness(&out, "coverage --format json");
    let value: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(value["coverage"]["trials"], 1);
}

#[test]
fn trials_without_evidence_are_not_counted_and_shown() {
    let out = TempDir::new().unwrap();
    harness(&out, "judge::passes --topology open=infra");
    let said = harness(&out, "coverage");
    assert_eq!((said.exit, &*said.out), (Exit::NothingSelected, ""));
    assert!(
        said.err
            .starts_with("error: no trial with its evidence is stored in "),
        "{}",
        said.err
    );
    assert_eq!(harness(&out, "coverage nowhere").exit, Exit::Refused);

    harness(&out, "judge::passes");
    let run = path(&out).join("latest").canonicalize_utf8().unwrap();
    fs::remove_file(run.join("judge.passes/end_state.json")).unwrap();
    harness(&out, "judge::loses");
    let said = harness(&out, &format!("coverage {run} {}/latest", path(&out)));
    assert!(
        said.out.starts_with("1 trials\n")
            && said
                .out
                .contains("judge.passes has no evidence and is not counted"),
        "{}",
        said.out
    );
}
