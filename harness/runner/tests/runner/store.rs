//! The run store: what is written is read back, what is damaged is refused, what is not ours is left alone.

use std::fs;
use std::os::unix::fs::symlink;

use camino::{Utf8Path, Utf8PathBuf};
use harness_runner::exit::Exit;
use harness_runner::store::{self, Run, StoreError};
use tempfile::TempDir;

use crate::cli::harness;
use crate::path;

/// The folder of a trial that was run and lost a report.
pub(crate) fn trial(out: &TempDir) -> Utf8PathBuf {
    assert_eq!(harness(out, "run --seed 1 judge::loses").exit, Exit::Failed);
    path(out).join("latest/judge.loses")
}

#[test]
fn a_trial_is_read_back_whole() {
    let out = TempDir::new().unwrap();
    let stored = store::read(&trial(&out)).unwrap();
    assert_eq!(stored.about.scenario, "judge::loses");
    assert_eq!(stored.verdict.findings[0].rule, "no-loss");
    assert_eq!(stored.evidence.plan.topology.name, "memory");
    assert_eq!(stored.evidence.ledger.events().len(), 4);
    let log = store::read_logs(&trial(&out));
    assert!(log["analyzer"].contains("lost the broker"));
}

#[test]
fn damage_is_refused_with_file_and_line() {
    type Damage = fn(&str) -> String;
    let table: [(&str, Damage, &str); 6] = [
        (
            "ledger.jsonl",
            |text| text[..text.len() - 9].to_owned(),
            "ledger.jsonl: line 4: cut off after",
        ),
        (
            "ledger.jsonl",
            |text| text.replacen("\"n\":2", "\"n\":3", 1),
            "ledger.jsonl: line 2: event 3 where",
        ),
        (
            "ledger.jsonl",
            |_| "?\n".to_owned(),
            "ledger.jsonl: line 1: not an event",
        ),
        (
            "plan.json",
            |text| text.replace("\"memory\"", "7"),
            "plan.json: line 4: invalid type: integer `7`",
        ),
        (
            "verdict.json",
            |text| text.replace("\"fail\"", "\"fine\""),
            "verdict.json: line 2: unknown variant `fine`",
        ),
        (
            "env.json",
            |_| String::new(),
            "env.json: line 1: EOF while parsing",
        ),
    ];
    let out = TempDir::new().unwrap();
    let dir = trial(&out);
    for (name, damage, expected) in table {
        let file = dir.join(name);
        let whole = fs::read_to_string(&file).unwrap();
        fs::write(&file, damage(&whole)).unwrap();
        let error = store::read(&dir).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        fs::write(&file, whole).unwrap();
    }
    fs::remove_file(dir.join("end_state.json")).unwrap();
    let error = store::read(&dir).unwrap_err();
    assert!(
        matches!(&error, StoreError::Read { path, .. } if path.ends_with("end_state.json")),
        "{error}"
    );
}

#[test]
fn the_latest_runs_are_kept_and_nothing_else_is_touched() {
    let out = TempDir::new().unwrap();
    let root = path(&out);
    let old = |name: &str, marker: bool| {
        fs::create_dir(root.join(name)).unwrap();
        if marker {
            fs::write(root.join(name).join("harness-run"), "").unwrap();
        }
    };
    old("20200101T000000.000Z-0001", true);
    old("20200102T000000.000Z-0001", true);
    old("20200103T000000.000Z-0001", true);
    old("0-not-ours", false);
    symlink("20200101T000000.000Z-0001", root.join(".key-old")).unwrap();
    symlink("20200103T000000.000Z-0001", root.join(".key-kept")).unwrap();

    let run = Run::create(root, None, 2).unwrap();
    let mut names: Vec<_> = root
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            ".key-kept",
            "0-not-ours",
            "20200103T000000.000Z-0001",
            &*run.id,
            "latest"
        ]
    );
    assert_eq!(
        fs::read_link(root.join("latest")).unwrap(),
        Utf8Path::new(&run.id)
    );
    assert!(*run.id > *"20200103T000000.000Z-0001", "ids sort by age");
}

#[test]
fn processes_of_one_nextest_run_share_a_folder() {
    let out = TempDir::new().unwrap();
    let run = |key| Run::create(path(&out), key, store::KEPT).unwrap().id;
    let first = symlink("20260102T030405.000Z-beef", path(&out).join(".key-c0ffee_1"));
    first.unwrap();
    assert_eq!(run(Some("c0ffee/1")), "20260102T030405.000Z-beef");
    assert_ne!(run(None), "20260102T030405.000Z-beef");
}

#[test]
fn a_scenario_that_runs_twice_gets_two_folders() {
    let out = TempDir::new().unwrap();
    let dir = trial(&out);
    let about = store::read_about(&dir).unwrap();
    let run = Run {
        id: "run".to_owned(),
        dir: path(&out).join("latest"),
        prefix: String::new(),
    };
    assert_eq!(run.trial(&about).unwrap().file_name(), Some("judge.loses.2"));
    assert_eq!(run.trial(&about).unwrap().file_name(), Some("judge.loses.3"));

    let part = run.part("as-is").unwrap();
    let dir = part.trial(&about).unwrap();
    assert!(dir.ends_with("as-is/judge.loses"), "{dir}");
    let names: Vec<_> = store::trials(&path(&out).join("latest"))
        .unwrap()
        .into_iter()
        .map(|dir| dir.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        ["judge.loses", "judge.loses", "judge.loses.2", "judge.loses.3"]
    );
}

#[test]
fn a_store_that_cannot_be_written_is_refused_before_anything_starts() {
    let out = TempDir::new().unwrap();
    let file = path(&out).join("file");
    fs::write(&file, "").unwrap();
    let said = harness(&out, &format!("run --out {file}/store judge::passes"));
    assert_eq!((said.exit, &*said.out), (Exit::Refused, ""));
    assert_eq!(
        said.err,
        format!(
            "error: cannot write {file}/store: Not a directory (os error 20)\n\
             hint: name another folder with --out or HARNESS_OUT\n"
        )
    );
}
