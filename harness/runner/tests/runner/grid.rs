//! The crash grid, over a pipeline in memory.

use harness_runner::exit::Exit;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::harness;
use crate::{golden, path};

/// From the first table on.
fn tables(said: &str) -> &str {
    said.find("\n\n").map_or("", |at| &said[at..])
}

#[test]
fn points_are_run_where_an_undisturbed_report_comes_by() {
    let out = TempDir::new().unwrap();
    let said = harness(&out, "grid --seed 7");
    assert_eq!((said.exit, &*said.err), (Exit::Failed, ""));
    golden("grid", tables(&said.out));
    assert!(
        path(&out)
            .join("latest/grid.analysis.A0.broker/verdict.json")
            .is_file()
    );
    let stored: Value = harness_runner::store::read_value(&path(&out).join("latest/grid.json")).unwrap();
    assert_eq!(stored["points"].as_array().unwrap().len(), 5 * 4);
    assert_eq!(stored["reached"]["tags"], serde_json::json!([]));
}

#[test]
fn queues_states_and_crashes_can_be_named() {
    let out = TempDir::new().unwrap();
    let said = harness(
        &out,
        "grid --queue analysis --state D --state A1 --state R0 --fault link --format json",
    );
    assert_eq!(said.exit, Exit::Unfit, "one link is not cut");
    let last: Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "grid");
    let points: Vec<_> = last["grid"]["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| {
            let word = |key: &str| point[key].as_str().unwrap().to_owned();
            [word("queue"), word("state"), word("crash"), word("verdict")].join(" ")
        })
        .collect();
    assert_eq!(points, ["analysis D link pass", "analysis A1 link invalid"]);

    let said = harness(&out, "grid --queue analysi");
    assert_eq!(said.exit, Exit::NothingSelected);
    assert_eq!(
        said.err,
        "error: no service consumes a queue analysi\nhint: closest are analysis, tags\n"
    );
    assert_eq!(harness(&out, "grid --queue archive").exit, Exit::NothingSelected);
    let said = harness(&out, "grid --queue tags");
    assert_eq!(said.exit, Exit::NothingSelected);
    assert!(
        said.err.contains("no point that is asked for is reached"),
        "{}",
        said.err
    );
}

#[test]
fn one_point_for_each_state_is_enough_for_a_gate() {
    let out = TempDir::new().unwrap();
    let said = harness(&out, "grid --one-per-state --seed 3 --format json");
    let last: Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
    let points = last["grid"]["points"].as_array().unwrap();
    let states: Vec<_> = points
        .iter()
        .map(|point| point["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["D", "A0", "A1", "N0", "X0"]);
}

#[test]
fn a_pipeline_that_fails_undisturbed_has_no_grid() {
    let out = TempDir::new().unwrap();
    let said = harness(&out, "grid --topology forgetful");
    assert_eq!(said.exit, Exit::Failed);
    assert!(!said.out.contains("::A0::"), "{}", said.out);
}

#[test]
fn a_point_is_run_again_by_its_name() {
    let out = TempDir::new().unwrap();
    harness(&out, "grid --state A0 --fault broker --queue analysis");
    let dir = path(&out).join("latest").canonicalize_utf8().unwrap();
    for (trial, exit) in [
        ("grid.analysis.A0.broker", Exit::Failed),
        ("grid.straight", Exit::Passed),
    ] {
        let said = harness(&out, &format!("reproduce {dir}/{trial}"));
        assert_eq!(said.exit, exit, "{}", said.err);
        let last = said.out.lines().last();
        assert_eq!(last, Some("reproduced 1 of 1; the same schedule 1 of 1"));
    }
}
