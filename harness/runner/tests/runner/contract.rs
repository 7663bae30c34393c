//! Real processes: the libtest contract as nextest exercises it, signals, and exit codes.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A built example of this package; `cargo test` and nextest build them all.
pub(crate) fn example(name: &str, out: &TempDir, args: &str, vars: &[(&str, &str)]) -> Command {
    let test = std::env::current_exe().unwrap();
    let file: PathBuf = test
        .parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples")
        .join(name);
    assert!(
        file.is_file(),
        "{} is missing: cargo build -p harness-runner --examples",
        file.display()
    );
    let mut command = Command::new(file);
    command
        .env_clear()
        .env("HARNESS_OUT", out.path())
        .envs(vars.iter().copied());
    command.args(args.split_whitespace()).stdin(Stdio::null());
    command
}

fn tests(args: &str, vars: &[(&str, &str)]) -> (i32, String, String) {
    let out = TempDir::new().unwrap();
    finish(&example("memory_tests", &out, args, vars).output().unwrap())
}

fn finish(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut stdout = text(&output.stdout);
    if let Some(at) = stdout.find("; finished in ") {
        let rest = stdout.split_off(at);
        stdout.push_str(rest.trim_start_matches(|c| c != '\n'));
    }
    (output.status.code().unwrap_or(-1), stdout, text(&output.stderr))
}

const NAMES: &str = "body::fails: test\nbody::hangs: test\nbody::invalid: test\nbody::panics: test\n\
                     body::waits: test\njudge::loses: test\njudge::panics: test\njudge::passes: test\n";

#[test]
fn a_listing_is_names_and_nothing_else() {
    let out = TempDir::new().unwrap();
    let store = out.path().join("store");
    let vars = [("HARNESS_OUT", store.to_str().unwrap())];
    let plain = example("memory_tests", &out, "--list --format terse", &vars)
        .output()
        .unwrap();
    assert_eq!(finish(&plain), (0, NAMES.to_owned(), String::new()));
    assert!(!store.exists(), "listing writes nothing");
    assert_eq!(
        tests("--list --format terse --ignored", &[]),
        (0, String::new(), String::new())
    );
}

#[test]
fn one_test_runs_in_a_process_of_its_own() {
    let passed = "\nrunning 1 test\ntest judge::passes ... ok\n\n\
                  test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out\n\n";
    assert_eq!(
        tests("judge::passes --nocapture --exact", &[]),
        (0, passed.to_owned(), String::new())
    );
    let both = tests(
        "judge::passes judge::loses --no-capture --shuffle --test-threads 1",
        &[],
    );
    assert_eq!(both.0, 101);
    assert!(
        both.1.contains("test judge::passes ... ok\n") && both.1.contains("1 passed; 1 failed;"),
        "{}",
        both.1
    );
}

#[test]
fn a_failing_test_says_so_first_on_stderr() {
    let (code, stdout, stderr) = tests("judge::loses --nocapture --exact", &[("HARNESS_SEED", "1")]);
    assert_eq!(code, 101);
    let (first, rest) = stderr.split_once('\n').unwrap();
    let diagnosis = "fail: judge::loses: no-loss: 1 of the injected reports went nowhere (reports 2); seed ";
    assert!(first.starts_with(&format!("Error: {diagnosis}")), "{first}");
    assert!(rest.starts_with("  fail  no-loss: "), "the scene follows: {rest}");
    assert!(
        stdout
            .contains("\ntest judge::loses ... FAILED\n\nfailures:\n\n---- judge::loses ----\nfail: judge::")
    );
}

#[test]
fn without_an_engine_tests_are_ignored_when_listed_and_failures_where_one_is_required() {
    let none = ("DOCKER_HOST", "none");
    assert_eq!(
        tests("--list --format terse --ignored", &[none]),
        (0, NAMES.to_owned(), String::new())
    );
    for require in [("CI", "true"), ("HARNESS_REQUIRE", "engine")] {
        let vars = [none, require];
        assert_eq!(
            tests("--list --format terse --ignored", &vars),
            (0, String::new(), String::new())
        );
        let (code, _, stderr) = tests("judge::passes --exact", &vars);
        assert_eq!((code, &*stderr), (101, "Error: no engine at `none`\n"));
    }
}

#[test]
fn bad_variables_and_flags_fail_the_binary() {
    let (code, _, stderr) = tests("--list", &[("HARNESS_JOBS", "many")]);
    let expected = "Error: HARNESS_JOBS: `many` cannot be used; expected a whole number from 1 to 64\n";
    assert_eq!((code, &*stderr), (101, expected));
    assert_eq!(tests("--nonsense", &[]).0, 101);
}

/// No line of this can be taken for a command of a workflow.
fn is_harmless(text: &str) -> bool {
    let mut stopped: Option<String> = None;
    text.lines().all(|line| {
        if let Some(token) = &stopped {
            if line == format!("::{token}::") {
                stopped = None;
            }
            return true;
        }
        stopped = line.strip_prefix("::stop-commands::").map(str::to_owned);
        stopped.is_some() || !(line.starts_with("::") || line.contains("##["))
    })
}

#[test]
fn what_keeps_tests_from_running_cannot_drive_a_workflow() {
    let forged = "none\n::error::forged\r##[group]x";
    let (ci, engine) = (("CI", "true"), ("DOCKER_HOST", forged));
    for (vars, name) in [
        (&[ci, engine][..], "memory_tests"),
        (&[("HARNESS_JOBS", forged)], "memory_tests"),
        (&[engine], "memory_harness"),
        (&[("HARNESS_JOBS", forged)], "memory_harness"),
    ] {
        let said = |vars: &[(&str, &str)]| {
            let out = TempDir::new().unwrap();
            let output = example(name, &out, "judge::passes --exact", vars)
                .output()
                .unwrap();
            let (code, stdout, stderr) = finish(&output);
            assert!(
                code != 0 && stderr.contains("::error::forged"),
                "{vars:?}: {stderr}"
            );
            (stdout, stderr)
        };
        let (stdout, stderr) = said(&[vars, &[("GITHUB_ACTIONS", "true")]].concat());
        assert!(is_harmless(&stdout), "{vars:?}: {stdout}");
        assert!(is_harmless(&stderr), "{vars:?}: {stderr}");
        let (_, elsewhere) = said(vars);
        assert!(!is_harmless(&elsewhere), "the eyes that look see it: {elsewhere}");
    }
}

#[test]
fn a_reader_that_goes_away_changes_neither_what_is_done_nor_how_it_ends() {
    for (args, code) in [
        ("list", 0),
        ("list --format json", 0),
        ("--help", 0),
        ("completions bash", 0),
        ("doctor", 0),
        ("judge::passes", 0),
        ("judge::loses --format json", 100),
        ("sweep judge::passes --trials 2", 0),
        ("report absent", 96),
    ] {
        let out = TempDir::new().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = example("memory_harness", &out, args, &[])
            .stdout(writer)
            .output()
            .unwrap();
        let (found, _, stderr) = finish(&output);
        assert_eq!(found, code, "{args}: {stderr}");
        assert!(code == 96 || stderr.is_empty(), "{args}: {stderr}");
    }
    let out = TempDir::new().unwrap();
    let full = std::fs::File::create("/dev/full").unwrap();
    let output = example("memory_harness", &out, "list", &[])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(
        finish(&output).0,
        96,
        "what could not be written for another reason is said"
    );
}

/// Starts a process, signals it once `ready` has seen what it waits for, and returns its exit code and the rest of the
/// stream that was watched.
fn signalled(
    mut child: Child,
    stream: impl Read,
    signal: Signal,
    ready: impl Fn(&str) -> bool,
) -> (i32, String) {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(
        lines.any(|line| ready(&line)),
        "the process ended before it was ready"
    );
    kill_process(Pid::from_child(&child), signal).unwrap();
    let rest = lines.collect::<Vec<_>>().join("\n");
    (child.wait().unwrap().code().unwrap_or(-1), rest)
}

#[test]
fn a_timeout_of_nextest_ends_the_trial_in_order() {
    let out = TempDir::new().unwrap();
    let mut command = example(
        "memory_tests",
        &out,
        "body::waits --exact",
        &[("NEXTEST_RUN_ID", "c0ffee")],
    );
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stream = child.stderr.take().unwrap();
    let (code, rest) = signalled(child, stream, Signal::TERM, |line| line == "waiting");
    assert_eq!(code, 101);
    let diagnosis =
        "Error: infra: body::waits: interrupted: interrupted in body; last seen: nothing yet; seed ";
    assert!(rest.starts_with(diagnosis), "{rest}");
}

#[test]
fn ctrl_c_ends_the_run_with_130() {
    let out = TempDir::new().unwrap();
    let mut command = example(
        "memory_harness",
        &out,
        "--format json --jobs 1 --seed 2 body::waits judge::passes",
        &[],
    );
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let stream = child.stdout.take().unwrap();
    let (code, rest) = signalled(child, stream, Signal::INT, |line| {
        line == r#"{"event":"phase","trial":"body.waits","phase":"body"}"#
    });
    assert_eq!(code, 130);
    let last = rest.lines().last().unwrap();
    assert!(
        last.contains("\"infra\":1,\"not_run\":1") && last.contains("\"exit\":130"),
        "{last}"
    );
}

#[test]
fn exit_codes() {
    type Vars = &'static [(&'static str, &'static str)];
    const NONE: Vars = &[("DOCKER_HOST", "none")];
    let table: [(&str, Vars, i32); 11] = [
        ("judge::passes", &[], 0),
        ("--help", &[], 0),
        ("no::such", &[], 4),
        ("--jobs 0", &[], 96),
        ("judge::passes", &[("HARNESS_SEED", "x")], 96),
        ("judge::passes", &[("HARNESS_LOG", "a=b=c")], 96),
        ("judge::passes --topology absent.toml", &[], 96),
        ("judge::passes", NONE, 97),
        ("judge::", &[], 100),
        ("body::hangs", &[], 100),
        ("judge::passes --topology heal=infra", &[], 102),
    ];
    for (args, vars, code) in table {
        let out = TempDir::new().unwrap();
        let output = example("memory_harness", &out, args, vars).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args} {vars:?}: {output:?}");
    }
}
