//! The parts of the backup scripts that need neither a database nor an engine: the object store that stands in for the
//! real one, the check of freshness, the drill's look at metadata, and its meter. On this machine's Python and bash, in
//! seconds. What needs a database is shown by the scenarios of the family `backup`.

use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What a program left: exit code, standard output, standard error.
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

fn ops(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/ops")
        .join(path)
}

fn run(command: &mut Command, input: &[u8]) -> Said {
    // From a file: who writes into a pipe to its end before reading waits for a program that waits for its reader.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    file.rewind().unwrap();
    let output = command
        .stdin(Stdio::from(file))
        .output()
        .expect("the scripts need bash and python3");
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// An object store of its own.
struct Store(TempDir);

impl Store {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Said {
        let mut command = Command::new(ops("bin/gsutil"));
        run(command.args(args).env("OBJECT_STORE", self.0.path()), input)
    }

    /// What it prints; it must not fail.
    #[track_caller]
    fn ok(&self, args: &[&str], input: &[u8]) -> String {
        let said = self.run(args, input);
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.error);
        said.out
    }

    /// What it says; it must fail in this way.
    #[track_caller]
    fn refused(&self, args: &[&str], input: &[u8], code: i32) -> String {
        let said = self.run(args, input);
        assert_eq!(said.code, Some(code), "{args:?}: {} {}", said.out, said.error);
        said.error
    }
}

#[test]
fn objects_are_stored_whole_and_in_generations() {
    let store = Store::new();
    store.ok(&["-q", "cp", "-", "gs://b/current/dump"], b"first");
    store.ok(&["-q", "cp", "-", "gs://b/current/dump"], b"second one");
    assert_eq!(store.ok(&["cat", "gs://b/current/dump"], b""), "second one");
    assert_eq!(store.ok(&["cat", "gs://b/current/dump#1"], b""), "first");
    let stat = store.ok(&["stat", "gs://b/current/dump"], b"");
    assert!(
        stat.contains("Content-Length:         10\n") && stat.contains("Generation:             2\n"),
        "{stat}"
    );
    assert_eq!(
        store.ok(&["ls", "-a", "gs://b/current/"], b""),
        "gs://b/current/dump#1\ngs://b/current/dump#2\n"
    );

    store.ok(&["mv", "gs://b/current/dump", "gs://b/weekly/2026-W53/dump"], b"");
    assert_eq!(store.ok(&["ls", "gs://b"], b""), "gs://b/weekly/\n");
    assert_eq!(
        store.ok(&["ls", "gs://b/*/dump"], b""),
        "gs://b/weekly/2026-W53/dump\n"
    );
    let said = store.refused(&["cat", "gs://b/current/dump"], b"", 1);
    assert_eq!(said, "CommandException: No URLs matched: gs://b/current/dump\n");
    store.refused(&["stat", "gs://b/current/dump"], b"", 1);
    store.refused(&["mv", "gs://b/current/dump", "gs://b/x"], b"", 1);
    store.refused(&["ls", "gs://other"], b"", 1);

    let file = store.0.path().join(".file");
    store.ok(
        &["cp", "gs://b/weekly/2026-W53/dump", file.to_str().unwrap()],
        b"",
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"second one");
    store.ok(
        &["cp", "-n", file.to_str().unwrap(), "gs://b/weekly/2026-W53/dump"],
        b"",
    );
    store.ok(&["rm", "gs://b/weekly/2026-W53/dump"], b"");
    store.refused(&["rm", "gs://b/weekly/2026-W53/dump"], b"", 1);
    store.ok(&["rm", "-f", "gs://b/weekly/2026-W53/dump"], b"");
    assert_eq!(store.ok(&["ls"], b""), "");
}

#[test]
fn a_store_that_is_full_takes_nothing_and_keeps_what_it_has() {
    let store = Store::new();
    store.ok(&["cp", "-", "gs://b/dump"], b"12345678");
    std::fs::write(store.0.path().join(".limit"), "10").unwrap();
    let said = store.refused(&["cp", "-", "gs://b/dump"], b"123", 1);
    assert!(said.contains("The store is full: 10 bytes fit."), "{said}");
    assert_eq!(store.ok(&["cat", "gs://b/dump"], b""), "12345678");
    store.ok(&["cp", "-", "gs://b/other"], b"12");
    let partial = std::fs::read_dir(store.0.path()).unwrap();
    let mut names = partial.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.any(|name| name.starts_with(".partial")));
}

#[test]
fn a_call_that_the_store_does_not_know_is_refused_with_the_whole_command_line() {
    let store = Store::new();
    for args in [
        &["rsync", "-r", "a b", "gs://b"][..],
        &["cp", "-r", "x", "gs://b/x"],
        &["-o", "a=b", "ls"],
        &["cp", "gs://b/x"],
        &["cp", "a", "b"],
        &["mv", "a", "gs://b/x"],
        &["cp", "-", "gs://b/x#3"],
        &["cat", "file"],
        &[],
    ] {
        let said = store.refused(args, b"", 64);
        assert!(
            said.starts_with("gsutil: this stand-in does not know how to do: gsutil"),
            "{said}"
        );
    }
    let said = store.refused(&["rsync", "-r", "a b", "gs://b"], b"", 64);
    assert!(said.ends_with("gsutil rsync -r 'a b' gs://b\n"), "{said}");
}

#[test]
fn fresh_is_what_is_at_most_thirty_hours_old_and_can_be_read() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("backup.log");
    let check = |text: Option<&str>| {
        match text {
            Some(text) => std::fs::write(&log, text).unwrap(),
            None => std::fs::remove_file(&log).unwrap(),
        }
        let mut command = Command::new("bash");
        command
            .arg(ops("backup/freshness.sh"))
            .env("BACKUP_LOG", &log)
            .env("BACKUP_ENV", "prod")
            .env("BACKUP_NOW", "2026-11-24T12:00:00Z");
        run(&mut command, b"")
    };
    let done = |time: &str| format!("{time} INFO backup complete env=prod\n");
    for (text, word) in [
        (done("2026-11-23T06:01:00Z"), "29 h 59 min old"),
        (done("2026-11-23T06:00:00Z"), "30 h 0 min old"),
        (done("2026-11-24T12:00:00Z"), "0 h 0 min old"),
        // The last one counts, and what follows it does not.
        (
            format!(
                "{}{}x\n",
                done("2026-11-20T00:00:00Z"),
                done("2026-11-24T03:00:00Z")
            ),
            "9 h 0 min",
        ),
    ] {
        let said = check(Some(&text));
        assert_eq!(said.code, Some(0), "{text}: {}{}", said.out, said.error);
        assert!(said.out.contains(word), "{}", said.out);
    }
    for (text, word) in [
        (Some(done("2026-11-23T05:59:00Z")), "it is 30 h 1 min old"),
        (
            Some(done("2026-11-24T12:00:01Z")),
            "from the future: 2026-11-24T12:00:01Z",
        ),
        (Some(done("yesterday")), "its time cannot be read: yesterday"),
        (Some(done("2026-13-45T00:00:00Z")), "its time cannot be read"),
        (Some(done("2026-11-24T06:00:00+02:00")), "its time cannot be read"),
        (
            Some(" INFO backup complete env=prod\n".to_owned()),
            "tells of no complete backup",
        ),
        (Some(String::new()), "tells of no complete backup"),
        (
            Some(done("2026-11-24T06:00:00Z").replace("prod", "prod2")),
            "tells of no",
        ),
        (
            Some(done("2026-11-24T06:00:00Z").replace("INFO", "DEBUG")),
            "tells of no",
        ),
        (None, "there is no log"),
    ] {
        let said = check(text.as_deref());
        assert_eq!(said.code, Some(1), "{text:?}: {}{}", said.out, said.error);
        assert!(said.out.contains(word), "{text:?}: {}", said.out);
    }
}

fn good_metadata() -> Value {
    json!({
        "env": "prod", "object": "gs://b/current/cleanapp_all.sql.gz",
        "started_utc": "2026-12-31T23:59:58Z", "finished_utc": "2027-01-01T00:00:03Z", "duration_seconds": 5,
        "size_bytes": 1000, "row_counts": {"reports": 10, "tags": 0},
    })
}

#[test]
fn metadata_that_does_not_fit_its_object_is_refused_with_the_reason() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("metadata");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("python3");
        command
            .arg(ops("backup/drill.py"))
            .args([
                "check",
                "--env",
                "prod",
                "--object",
                "gs://b/current/cleanapp_all.sql.gz",
            ])
            .args(["--size", "1000", "--metadata"])
            .arg(&file);
        run(&mut command, b"")
    };
    let said = check(&good_metadata().to_string());
    assert_eq!((said.code, &*said.out), (Some(0), ""), "{}", said.error);
    let with = |key: &str, value: Value| {
        let mut metadata = good_metadata();
        metadata[key] = value;
        metadata.to_string()
    };
    // What the harness takes for true, the drill does, too.
    for text in [
        with("duration_seconds", json!(4)),
        with("duration_seconds", json!(6)),
        with("finished_utc", json!("2027-01-01T00:00:04.9Z")),
        with("object", json!("current/cleanapp_all.sql.gz")),
        with("object", json!("gs://mirror/prod/current/cleanapp_all.sql.gz")),
    ] {
        let said = check(&text);
        assert_eq!((said.code, &*said.out), (Some(0), ""), "{text}: {}", said.error);
    }
    for (text, word) in [
        ("{".to_owned(), "the metadata is not JSON"),
        ("[]".to_owned(), "the metadata is not an object"),
        (with("env", json!("test")), "another environment: test, not prod"),
        (with("env", Value::Null), "the metadata has no env"),
        (with("object", json!("gs://b/x")), "another object: gs://b/x, not"),
        (
            with("size_bytes", json!(999)),
            "it says 999 bytes, the object has 1000",
        ),
        (
            with("size_bytes", json!("1000")),
            "the metadata has no size_bytes",
        ),
        (with("object", json!("cleanapp_all.sql.gz")), "another object"),
        (
            with("object", json!("gs://b/old-current/cleanapp_all.sql.gz")),
            "another object",
        ),
        (with("duration_seconds", json!(3)), "the metadata's duration"),
        (with("duration_seconds", json!(7)), "the metadata's duration"),
        (
            with("finished_utc", json!("2026-12-31T23:59:57Z")),
            "the metadata's finish is before its start",
        ),
        (
            with("finished_utc", json!("2027-01-01T00:00:03")),
            "an unreadable time",
        ),
        (with("finished_utc", json!("soon")), "an unreadable time"),
        (with("row_counts", json!({})), "the metadata has no row counts"),
        (
            with("row_counts", json!({"reports": 0})),
            "the metadata counts no row in any table",
        ),
        (
            with("row_counts", json!({"reports": null})),
            "the row count of reports is no number",
        ),
    ] {
        let said = check(&text);
        assert_eq!(said.code, Some(1), "{text}: {}{}", said.out, said.error);
        assert!(said.out.contains(word), "{text}: {}", said.out);
        assert_eq!(said.error, "", "{text}");
    }
}

#[test]
fn the_meter_passes_everything_on_and_knows_the_end_of_a_dump() {
    let mut dump = vec![b'x'; 3_000_000];
    let meter = |input: &[u8]| {
        let mut command = Command::new("python3");
        run(command.arg(ops("backup/meter.py")).args(["--every", "0"]), input)
    };
    let said = meter(&dump);
    assert_eq!((said.code, said.out.len()), (Some(3), dump.len()));
    dump.extend_from_slice(b"\n-- Dump completed on 2026-11-24 12:00:00\n");
    let said = meter(&dump);
    assert_eq!((said.code, said.out.len()), (Some(0), dump.len()));
    assert!(
        said.error.starts_with("restoring: 0 MiB in 0 s\n"),
        "{}",
        said.error
    );
}
