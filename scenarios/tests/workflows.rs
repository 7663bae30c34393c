//! The workflows are made of scripts that run anywhere, and the scripts that no gate runs here do what they say.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("read {path}: {error}"))
}

/// The commands of a workflow's steps.
fn steps(workflow: &str) -> Vec<&str> {
    let lines = workflow.lines().map(|line| line.trim().trim_start_matches("- "));
    lines
        .filter_map(|line| line.strip_prefix("run:").map(str::trim))
        .collect()
}

/// The script that a command is, if it is nothing else: its name, and arguments without an expression of the workflow.
fn script(command: &str) -> Option<&str> {
    let name = command.split(' ').next()?;
    let plain = !command.contains("${{") && !command.contains(['|', ';', '&', '`']);
    name.starts_with(".ci/").then_some(name).filter(|_| plain)
}

/// Scripts that another script calls.
fn called(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter_map(script).collect()
}

#[test]
fn each_step_is_a_script_of_this_repository() {
    for workflow in ["gate", "nightly"] {
        let text = read(&format!(".github/workflows/{workflow}.yml"));
        let steps = steps(&text);
        assert!(steps.len() > 4, "{workflow}: {steps:?}");
        for step in steps {
            let name =
                script(step).unwrap_or_else(|| panic!("{workflow}: `{step}` is more than a script of ours"));
            let mode = fs::metadata(root().join(name)).unwrap().permissions().mode();
            assert_ne!(mode & 0o111, 0, "{name} cannot be run");
        }
    }
    for bad in [
        "|",
        "cargo test",
        ".ci/run ${{ github.head_ref }}",
        ".ci/run; true",
    ] {
        assert_eq!(script(bad), None, "{bad}");
    }
    assert_eq!(steps("- run: a\n    run: b c\n  runs-on: x"), ["a", "b c"]);
}

#[test]
fn the_gate_of_one_machine_runs_what_the_jobs_run() {
    // It runs all tests at once, where the jobs run them in parts; and licences need the network.
    let instead = [
        ".ci/test",
        ".ci/scenarios",
        ".ci/command",
        ".ci/deny",
        ".ci/all-passed",
    ];
    let gate = read(".github/workflows/gate.yml");
    let run = read(".ci/run");
    let here = called(&run);
    for step in steps(&gate) {
        let name = script(step).unwrap();
        assert!(
            here.contains(name) || instead.contains(&name),
            "{name} is not run by .ci/run"
        );
    }
    assert!(run.contains("\ncargo test "), "all tests are run");
}

fn ci(name: &str, args: &[&str], vars: &[(&str, &str)]) -> Output {
    let mut command = Command::new(root().join(".ci").join(name));
    command
        .env_remove("GITHUB_TOKEN")
        .env_remove("GITHUB_STEP_SUMMARY");
    command.args(args).envs(vars.iter().copied()).output().unwrap()
}

fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr];
    texts
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}

#[test]
fn jobs_that_were_skipped_are_not_green() {
    assert!(ci("all-passed", &["success success"], &[]).status.success());
    for bad in ["success skipped", "cancelled", "failure success"] {
        assert!(!ci("all-passed", &[bad], &[]).status.success(), "{bad}");
    }
}

#[test]
fn the_history_is_only_ever_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let (bare, file) = (
        folder.path().join("remote.git"),
        folder.path().join("history.jsonl"),
    );
    let made = Command::new("git")
        .args(["init", "--quiet", "--bare"])
        .arg(&bare)
        .status();
    assert!(made.unwrap().success());
    let vars = [("HISTORY_REMOTE", bare.to_str().unwrap())];
    let history = |args: &[&str]| {
        let output = ci("history", args, &vars);
        (output.status.success(), said(&output))
    };
    let path = file.to_str().unwrap();
    assert!(history(&["--fetch", path]).0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "", "there is none yet");

    fs::write(&file, "{\"night\":1}\n").unwrap();
    let (ok, text) = history(&[path]);
    assert!(ok && text.contains("1 lines added"), "{text}");
    assert!(history(&[path]).1.contains("nothing to add"));
    fs::write(&file, "{\"night\":1}\n{\"night\":2}\n").unwrap();
    assert!(history(&[path]).0);
    fs::write(&file, "{\"night\":1}\n{\"night\":3}\n").unwrap();
    let (ok, text) = history(&[path]);
    assert!(!ok && text.contains("does not begin with the history"), "{text}");
    fs::write(&file, "").unwrap();
    assert!(!history(&[path]).0, "what is there may not be lost");

    assert!(history(&["--fetch", path]).0);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "{\"night\":1}\n{\"night\":2}\n"
    );
    // Who does not answer is not taken for one without a history.
    let nowhere = [("HISTORY_REMOTE", folder.path().join("nowhere.git"))];
    let nowhere = nowhere.map(|(name, path)| (name, path.to_str().unwrap().to_owned()));
    let nowhere = nowhere.each_ref().map(|(name, path)| (*name, path.as_str()));
    for args in [&["--fetch", path][..], &[path]] {
        let output = ci("history", args, &nowhere);
        assert!(
            !output.status.success() && said(&output).contains("cannot be asked for nightly-history"),
            "{args:?}: {}",
            said(&output)
        );
    }
    let count = Command::new("git")
        .args(["rev-list", "--count", "nightly-history"])
        .current_dir(&bare)
        .output();
    assert_eq!(
        said(&count.unwrap()).trim(),
        "2",
        "each night is a commit after the one before"
    );
}

#[test]
fn a_report_that_is_too_long_for_an_issue_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.md");
    let size = |text: &str| {
        fs::write(&file, text).unwrap();
        let output = ci("rolling-issue", &["--dry-run", file.to_str().unwrap()], &[]);
        assert!(output.status.success(), "{}", said(&output));
        let text = said(&output);
        let words: Vec<_> = text.split_whitespace().collect();
        words[words.len() - 2].parse::<usize>().unwrap()
    };
    assert!(size("# A night\n") < 200);
    let long = size(&"a line of the report\n".repeat(10_000));
    assert!((50_000..65_536).contains(&long), "{long}");
    assert!(
        !ci("rolling-issue", &["--dry-run", "absent.md"], &[])
            .status
            .success()
    );
}

#[test]
fn what_has_no_room_is_cut_between_sections_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.md");
    let shortened = |text: &str, bytes: usize| {
        fs::write(&file, text).unwrap();
        let output = Command::new("bash")
            .args(["-euc", ". .ci/lib.sh; shortened \"$0\" \"$1\""])
            .arg(&file)
            .arg(bytes.to_string())
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let section = |name: &str| format!("\n### flaky: {name}\n\n```text\n..F\nfirst\n```\n");
    let text = format!("# Sweep\n{}{}{}", section("a"), section("b"), section("c"));
    assert_eq!(shortened(&text, text.len()), text);
    let rest = "\nThe rest had no room here: see the artifact \"night\" of the run.\n";
    let two = format!("# Sweep\n{}{}\n", section("a"), section("b"));
    assert_eq!(shortened(&text, text.len() - 1), format!("{two}{rest}"));
    assert_eq!(shortened("a\nb\nc\n", 5), format!("a\nb\n{rest}"));
}

#[test]
fn the_last_night_is_told_in_one_issue_that_is_edited_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let (gh, report) = (folder.path().join("gh"), folder.path().join("report.md"));
    // Says what it was asked, and knows the issue whose number is in a variable.
    let fake = "#!/usr/bin/env bash\nif [ \"$2\" = list ]; then echo \"$NUMBER\"; exit; fi\necho \"gh $*\"; cat \"${@: -1}\"\n";
    fs::write(&gh, fake).unwrap();
    fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&report, "# A night\n").unwrap();
    let told = |number: &str| {
        let output = Command::new("bash")
            .args(["-euc", "PATH=\"$0:$PATH\" exec .ci/rolling-issue \"$1\""])
            .args([folder.path(), &report])
            .env("NUMBER", number)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let text = said(&output);
        assert!(text.contains("\n# A night\n") && text.contains("Run: "), "{text}");
        assert_eq!(text.matches("gh issue ").count(), 1, "{text}");
        text
    };
    assert!(told("7").starts_with("gh issue edit 7 --body-file "));
    let created = told("");
    assert!(
        created.starts_with("gh issue create --title Flakiness of the scenarios, by night --body-file "),
        "{created}"
    );
}
