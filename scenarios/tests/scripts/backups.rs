//! The check of freshness, and what the drill says of metadata and of a dump.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{ops, run};

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
