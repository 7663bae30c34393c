//! The stand-in for an object store.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::{Said, ops, run};

/// An object store of its own.
pub(crate) struct Store(TempDir);

impl Store {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Said {
        let mut command = Command::new(ops("bin/gsutil"));
        run(command.args(args).env("OBJECT_STORE", self.0.path()), input)
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// What it prints; it must not fail.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str], input: &[u8]) -> String {
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
