//! The parts of the backup and deploy scripts that need neither a database nor an engine: the object store and the commands
//! that stand in for the real ones, the check of freshness, the drill's look at metadata, and its meter; how a deploy is
//! put back, with Compose played. On this machine's Python and bash, in seconds. What needs more is shown by the scenarios
//! of the families `backup` and `deploy`.

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
fn a_store_that_is_full_takes_no_copy_either() {
    let store = Store::new();
    store.ok(&["cp", "-", "gs://b/dump"], b"12345678");
    std::fs::write(store.0.path().join(".limit"), "15").unwrap();
    for verb in ["cp", "mv"] {
        let said = store.refused(&[verb, "gs://b/dump", "gs://b/weekly/dump"], b"", 1);
        assert!(
            said.contains("The store is full: 15 bytes fit."),
            "{verb}: {said}"
        );
        assert_eq!(store.ok(&["ls", "-r", "gs://b"], b""), "gs://b/dump\n", "{verb}");
    }
    std::fs::write(store.0.path().join(".limit"), "16").unwrap();
    store.ok(&["cp", "gs://b/dump", "gs://b/weekly/dump"], b"");
    assert_eq!(store.ok(&["cat", "gs://b/weekly/dump"], b""), "12345678");
}

#[test]
fn stand_ins_say_the_whole_call_that_they_do_not_know() {
    for (program, args, call) in [
        (
            "ssh",
            &["-N", "-L", "1:b:2", "app 1"][..],
            r"ssh -N -L 1:b:2 app\ 1",
        ),
        ("ssh", &["-o", "BatchMode=yes"], "ssh -o BatchMode=yes"),
        ("ssh", &["-o"], "ssh -o"),
        ("ssh", &[], "ssh ''"),
        ("sudo", &["-i"], "sudo -i"),
        ("sudo", &["-u"], "sudo -u"),
        ("sudo", &["-n"], "sudo -n"),
        (
            "gcloud",
            &["compute", "instances", "list"],
            "gcloud compute instances list",
        ),
        (
            "gcloud",
            &["secrets", "versions", "access", "latest"],
            "gcloud secrets versions access latest",
        ),
        (
            "gcloud",
            &[
                "secrets",
                "versions",
                "access",
                "latest",
                "--secret=s",
                "--out-file=/tmp/x y",
            ],
            r"gcloud secrets versions access latest --secret=s --out-file=/tmp/x\ y",
        ),
        (
            "gcloud",
            &["secrets", "versions", "access", "1", "2", "--secret=s"],
            "gcloud secrets versions access 1 2 --secret=s",
        ),
        (
            "gcloud",
            &["secrets", "versions", "access", "1", "--secret=../s"],
            "gcloud secrets versions access 1 --secret=../s",
        ),
    ] {
        let said = run(Command::new(ops("bin").join(program)).args(args), b"");
        assert_eq!((said.code, &*said.out), (Some(64), ""), "{call}: {}", said.error);
        let expected = format!("{program} (stand-in): it does not know this call: {call}\n");
        assert_eq!(said.error, expected);
    }
}

#[test]
fn what_runs_over_ssh_has_the_environment_of_a_login() {
    let ssh = |args: &[&str], input: &[u8]| {
        let mut command = Command::new(ops("bin/ssh"));
        command
            .args(args)
            .env("DB_PASSWORD", "secret")
            .env("SSH_HOST", "app-7");
        run(&mut command, input)
    };
    let said = ssh(
        &["-o", "BatchMode=yes", "app-7", "env | cut -d= -f1 | sort | xargs"],
        b"",
    );
    assert_eq!(said.code, Some(0), "{}", said.error);
    // The last three are the shell's own.
    assert_eq!(
        said.out,
        "HOME LANG LOGNAME PATH PWD SHELL SHLVL SSH_CONNECTION USER _\n"
    );
    let said = ssh(
        &["me@app-7", "echo \"$PWD\"; cd / && echo \"${DB_PASSWORD-none}\""],
        b"",
    );
    let home = std::fs::canonicalize(env_of("HOME")).unwrap();
    assert_eq!(said.out, format!("{}\nnone\n", home.display()));
    assert_eq!(
        ssh(&["app-7"], b"echo a; echo \"${SSH_HOST-none}\"").out,
        "a\nnone\n"
    );
    assert_eq!(ssh(&["app-7", "cat"], b"the rest\n").out, "the rest\n");
    assert_eq!(ssh(&["-n", "app-7", "cat; echo end"], b"the rest\n").out, "end\n");
    assert_eq!(ssh(&["-T", "-n", "app-7"], b"echo a\n").out, "");
    assert_eq!(ssh(&["app-7", "exit", "7"], b"").code, Some(7));
}

/// A variable of this process, as a program sees it.
fn env_of(name: &str) -> String {
    let said = run(Command::new("printenv").arg(name), b"");
    said.out.trim_end().to_owned()
}

/// Runs a few lines in the folder, with what deploy.sh is made of; Compose and the engine are played by functions.
fn deploying(folder: &Path, lines: &str) -> Said {
    let script = format!(
        "set -euo pipefail; shopt -s inherit_errexit; . '{}'; {lines}",
        ops("deploy/deploy.sh").display()
    );
    let mut command = Command::new("bash");
    command
        .args(["-c", &script])
        .current_dir(folder)
        .env("PLATFORM_PROJECT", "p")
        .env("PLATFORM_FILES", "base.yml")
        .env("PLATFORM_INTERNAL", "r/app/")
        .env("PLATFORM_TAG", "prod");
    run(&mut command, b"")
}

#[test]
fn a_deploy_that_fails_puts_back_what_it_can_and_removes_what_is_new() {
    let played = r#"
        compose() { echo "compose $*"; case " $STUCK " in *" $5 "*) return 1 ;; esac; }
        merged() { echo '{"a":{},"b":{},"c":{},"new":{}}'; }
        pins_of() { echo '{"a":"r/a@1","b":"r/b@1","c":"r/c@1"}'; }
        comes_up() { echo "up $2 $3"; case " $BROKEN " in *" $2 "*) return 1 ;; esac; }
        touch next before; point_to next
    "#;
    for (how, code, expected) in [
        (":", 1, "failed; the old version serves again: before"),
        ("BROKEN='a'", 3, "ERROR not put back: a\n"),
        ("BROKEN='b c'", 3, "ERROR not put back: b c\n"),
        ("STUCK='new'", 3, "ERROR not put back: new\n"),
    ] {
        let folder = TempDir::new().unwrap();
        let lines = format!("BROKEN= STUCK=; {how}; {played} put_back next before a new b c");
        let said = deploying(folder.path(), &lines);
        assert_eq!(said.code, Some(code), "{how}: {}{}", said.out, said.error);
        assert!(said.error.contains(expected), "{how}: {}", said.error);
        for service in ["a", "b", "c"] {
            assert!(
                said.out.contains(&format!("up {service} r/{service}@1")),
                "{how}: {}",
                said.out
            );
        }
        let current = "docker-compose.digests.current.yml";
        assert!(
            said.out
                .contains(&format!("compose {current} rm --stop --force new")),
            "{how}: {}",
            said.out
        );
        assert!(!said.out.contains("up new"), "{how}: {}", said.out);
        assert_eq!(
            std::fs::read_link(folder.path().join(current)).unwrap(),
            Path::new("before")
        );
        assert!(folder.path().join("next.failed").exists());
    }
}

#[test]
fn services_of_profiles_are_seen_and_not_started() {
    let folder = TempDir::new().unwrap();
    let played = r#"
        docker() { echo "$*" >&2; echo '{"services":{"a":{"image":"r/app/a:1"},"tool":{"image":"r/app/tool:1","profiles":["tools"]}}}'; }
        config=$(merged over.yml); internal "$config"; always "$config" tool a
    "#;
    let said = deploying(folder.path(), played);
    assert_eq!(said.out, "{\"a\":\"r/app/a\",\"tool\":\"r/app/tool\"}\na\n");
    let asked = "compose --project-name p --project-directory . --file base.yml --file over.yml --profile * config --format json\n";
    assert_eq!(said.error, asked);
}

#[test]
fn a_password_of_any_characters_is_an_option_as_it_is() {
    let folder = TempDir::new().unwrap();
    for (password, written) in [
        ("plain", r#"password="plain""#),
        (r#"a"b"#, r#"password="a\"b""#),
        (r"a\b\\", r#"password="a\\b\\\\""#),
        ("a&b#c'd $e", r#"password="a&b#c'd $e""#),
    ] {
        let lines =
            "mariadb() { cat \"${1#*=}\"; }; DB_HOST=h DB_USER=u DB_NAME=n DB_PASSWORD=$(cat password); sql";
        std::fs::write(folder.path().join("password"), password).unwrap();
        let said = deploying(folder.path(), lines);
        assert_eq!(
            said.out,
            format!("[client]\nhost=h\nport=3306\nuser=u\n{written}\n"),
            "{}",
            said.error
        );
    }
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
