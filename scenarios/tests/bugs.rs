//! The catalogues of planted bugs name only invariants, scenarios and services that there are. Offline, in milliseconds.

use std::process::{Command, Output};

use tempfile::TempDir;

/// `harness mutants ARGS` where there is no engine.
fn mutants(args: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    Command::new(env!("CARGO_BIN_EXE_harness"))
        .arg("mutants")
        .args(args)
        .env("DOCKER_HOST", "unix:///nowhere/engine.sock")
        .env("HARNESS_OUT", folder.path())
        .output()
        .unwrap()
}

#[test]
fn what_the_catalogues_name_is_there() {
    let output = mutants(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    // They are checked before an engine is looked for.
    assert_eq!(output.status.code(), Some(97), "{said}");

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("bugs.toml");
    let bug = "[[bug]]\nid = \"b\"\nlike = \"-\"\nenv = { B = \"b\" }\nservices = [\"tags\"]\n\
               caught_by = [\"no-loss\"]\nscenarios = [\"broker::no_such\"]\n";
    std::fs::write(&file, bug).unwrap();
    let output = mutants(&["--bugs", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(96), "{said}");
    assert!(said.contains("unknown scenario `broker::no_such`"), "{said}");
}
