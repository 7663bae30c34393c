//! The command line, in this process.

use harness_runner::cli;
use harness_runner::config::Settings;
use harness_runner::exit::Exit;
use serde_json::Value;
use tempfile::TempDir;

use crate::memory::MemoryKit;
use crate::store::trial;
use crate::{golden, path, settings};

pub(crate) struct Said {
    pub(crate) exit: Exit,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What `harness ARGS` says, with its store in `dir`.
pub(crate) fn harness(dir: &TempDir, args: &str) -> Said {
    harness_with(settings(dir), args)
}

/// What it says with these settings.
pub(crate) fn harness_with(settings: Settings, args: &str) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("harness")
        .chain(args.split_whitespace())
        .map(Into::into);
    let exit = cli::dispatch(&MemoryKit, args, settings, &mut out, &mut err);
    Said {
        exit,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

/// The JSON lines of a report.
fn lines(said: &Said) -> Vec<Value> {
    said.out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn help_shows_commands_examples_and_exit_codes() {
    let out = TempDir::new().unwrap();
    let said = harness(&out, "--help");
    assert_eq!((said.exit, &*said.err), (Exit::Passed, ""));
    golden("help", &said.out);
    let of_command = |command: &str| {
        let said = harness(&out, &format!("{command} --help"));
        assert_eq!((said.exit, &*said.err), (Exit::Passed, ""));
        said.out
    };
    golden("help_mutants", &of_command("mutants"));
    golden("help_grid", &of_command("grid"));
    golden("help_sweep", &of_command("sweep"));
    golden("help_coverage", &of_command("coverage"));
    golden("help_check_deploy", &of_command("check deploy"));
    golden("help_check_backup", &of_command("check backup"));
    golden("help_check_ports", &of_command("check ports"));
    golden("help_export", &of_command("export"));
    golden("help_quarantine", &of_command("quarantine"));
    golden("help_report", &of_command("report"));
    golden("help_stack_up", &of_command("stack up"));
    golden("help_run", &of_command("run"));
    golden("help_list", &of_command("list"));
    golden("help_images", &of_command("images"));
    golden("help_doctor", &of_command("doctor"));
    golden("help_gc", &of_command("gc"));
    golden("help_recheck", &of_command("recheck"));
    golden("help_reproduce", &of_command("reproduce"));
    golden("help_bench", &of_command("bench"));
    golden("help_completions", &of_command("completions"));
}

#[test]
fn without_a_command_scenarios_are_run() {
    let out = TempDir::new().unwrap();
    for args in [
        "--seed 3 --format json passes",
        "run passes --format json --seed 3",
    ] {
        let said = harness(&out, args);
        let seen = lines(&said);
        let words: Vec<_> = seen
            .iter()
            .filter(|line| line["event"] != "phase")
            .map(|line| &line["event"])
            .collect();
        assert_eq!(
            words,
            ["run_started", "trial_started", "trial_finished", "run_finished"],
            "{args}"
        );
        assert_eq!(seen[0]["seed"], 3);
        assert_eq!(seen.last().unwrap()["exit"], 0);
    }
}

#[test]
fn all_trials_run_and_the_worst_decides() {
    let out = TempDir::new().unwrap();
    let said = harness(
        &out,
        "--format json --jobs 3 judge:: body::fails body::hangs body::panics body::invalid",
    );
    assert_eq!(said.exit, Exit::Failed);
    let totals = &lines(&said).pop().unwrap();
    let counts =
        ["pass", "fail", "hang", "invalid", "infra", "not_run"].map(|word| totals[word].as_u64().unwrap());
    assert_eq!(
        counts,
        [1, 4, 1, 0, 1, 0],
        "an invalid trial that loses a report has failed"
    );
}

#[test]
fn what_selects_nothing_names_what_is_closest() {
    let out = TempDir::new().unwrap();
    let said = harness(&out, "judge::pass_es");
    assert_eq!((said.exit, &*said.out), (Exit::NothingSelected, ""));
    let expected = "error: no scenario is selected by judge::pass_es\n\
                    hint: closest are judge::passes, judge::loses, judge::panics\n";
    assert_eq!(said.err, expected);
}

#[test]
fn bad_arguments_are_refused() {
    let out = TempDir::new().unwrap();
    for args in [
        "--seed x",
        "--jobs 0",
        "run --image tags",
        "list --nonsense",
        "reproduce",
        "reproduce x --times 0",
        "mutants --runs 0",
        "grid --state A9",
        "grid --fault disk",
        "coverage --format xml",
        "check deploy",
        "check backup",
        "check backup --log l --now yesterday",
        "check ports --rules r",
        "report a b",
        "completions",
    ] {
        let said = harness(&out, args);
        assert_eq!((said.exit, &*said.out), (Exit::Refused, ""), "{args}");
        assert!(said.err.starts_with("error: "), "{args}: {}", said.err);
    }
}

#[test]
fn a_pipeline_stands_and_says_where() {
    let out = TempDir::new().unwrap();
    let said = harness(&out, "stack up");
    assert_eq!(
        (said.exit, &*said.out, &*said.err),
        (Exit::Passed, "broker  nowhere\nCtrl-C removes it\nremoved\n", "")
    );
    let not = harness(&out, "stack up --topology lazy");
    assert_eq!(not.exit, Exit::Unfit, "{}", not.out);
    assert!(
        not.out.contains("nothing stands") && !not.out.contains("removed"),
        "{}",
        not.out
    );
    let left = harness(&out, "stack up --topology close=fails");
    assert_eq!(left.exit, Exit::Unfit, "{}", left.out);
    assert!(
        left.out.contains("close says no") && !left.out.contains("removed"),
        "{}",
        left.out
    );
}

#[test]
fn shells_get_their_completions() {
    let out = TempDir::new().unwrap();
    for (shell, part) in [
        ("bash", "complete -F _harness"),
        ("zsh", "#compdef harness"),
        ("fish", "complete -c harness"),
    ] {
        let said = harness(&out, &format!("completions {shell}"));
        assert_eq!((said.exit, &*said.err), (Exit::Passed, ""));
        assert!(
            said.out.contains(part) && said.out.contains("coverage"),
            "{shell}"
        );
        assert!(
            !said.out.contains("_harness__pool"),
            "{shell} offers what is hidden"
        );
    }
    assert_eq!(harness(&out, "completions cobol").exit, Exit::Refused);
}

#[test]
fn scenarios_are_listed() {
    let out = TempDir::new().unwrap();
    golden("list", &harness(&out, "list").out);
    let json = lines(&harness(&out, "list judge::* --format json"));
    assert_eq!(json.len(), 3);
    assert_eq!(
        (&json[0]["name"], &json[0]["budget_s"]),
        (&"judge::loses".into(), &0.05.into())
    );
}

#[test]
fn a_stored_trial_is_judged_again_with_what_its_course_had_shown() {
    let out = TempDir::new().unwrap();
    let dir = trial(&out);
    let said = harness(&out, &format!("recheck {dir}"));
    assert_eq!(said.exit, Exit::Failed);
    golden("recheck", &said.out.replace(path(&out).as_str(), "OUT"));

    assert_eq!(harness(&out, "body::hangs").exit, Exit::Failed);
    let hung = harness(&out, &format!("recheck {}/latest/body.hangs", path(&out)));
    assert_eq!(hung.exit, Exit::Failed);
    assert!(
        hung.out
            .starts_with("hang: body::hangs: deadline: body was not done within 50ms"),
        "{}",
        hung.out
    );

    let infra = harness(&out, "judge::passes --topology open=infra");
    assert_eq!(infra.exit, Exit::Unfit);
    let none = harness(&out, &format!("recheck {}/latest/judge.passes", path(&out)));
    assert_eq!(none.exit, Exit::Refused);
    let hint = "hint: a trial that ended before its evidence was collected cannot be judged again\n";
    assert!(none.err.ends_with(hint), "{}", none.err);
}

#[test]
fn a_stored_trial_is_run_again_with_its_seed_and_topology() {
    let out = TempDir::new().unwrap();
    assert_eq!(
        harness(&out, "--seed 5 judge::loses --topology canary=fails --jobs 1").exit,
        Exit::Failed
    );
    let dir = path(&out)
        .join("latest")
        .canonicalize_utf8()
        .unwrap()
        .join("judge.loses");
    let said = harness(&out, &format!("reproduce {dir} --times 2"));
    assert_eq!(said.exit, Exit::Failed);
    assert!(
        said.out.contains("fail  body: canary says no"),
        "the topology is the stored one: {}",
        said.out
    );
    assert_eq!(
        said.out.lines().last(),
        Some("reproduced 2 of 2; the same schedule 2 of 2")
    );
}

#[test]
fn what_a_check_finds_is_a_table_and_an_exit_code() {
    let out = TempDir::new().unwrap();
    let said = harness(&out, "check deploy --compose a.yml");
    assert_eq!((said.exit, &*said.err), (Exit::Failed, ""));
    golden("check", &said.out);
    let json = harness(&out, "check deploy --compose a.yml --format json");
    let results: Vec<_> = lines(&json).iter().map(|line| line["result"].clone()).collect();
    assert_eq!(results, ["FAIL", "ok", "-"]);

    let fresh = harness(&out, "check backup --log b.log --now 2026-11-24T09:00:00Z");
    assert_eq!(fresh.exit, Exit::Passed);
    assert!(
        fresh.out.ends_with("b.log at 2026-11-24T09:00:00Z\n"),
        "{}",
        fresh.out
    );
    let noted = harness(&out, "check ports --compose a.yml b.yml");
    assert_eq!(noted.exit, Exit::Passed, "a note is no finding");
    assert!(noted.out.contains("\nnote: nobody uses"), "{}", noted.out);
    let missed = harness(&out, "check ports --compose unasked.yml");
    assert_eq!(missed.exit, Exit::NoEngine, "what was not seen is not well");
    assert_eq!(missed.out.matches(" unknown ").count(), 2, "{}", missed.out);
    let said = "\nnote: port-policy is not checked in full: permission denied\n";
    assert!(missed.out.contains(said), "{}", missed.out);
    let absent = harness(&out, "check deploy --compose absent.yml");
    assert_eq!(
        (absent.exit, &*absent.err),
        (Exit::Refused, "error: read absent.yml: no such file\n")
    );
}

#[test]
fn commands_of_the_kit_get_their_arguments() {
    let out = TempDir::new().unwrap();
    assert_eq!(
        harness(&out, "images --image tags=t:1").out,
        "{\"tags\": \"t:1\"}\n"
    );
    assert_eq!(harness(&out, "doctor").out, "healthy\n");
    assert_eq!(harness(&out, "gc").out, "nothing to remove\n");
    assert_eq!(harness(&out, "bench boot --runs 3").out, "[\"boot\"] 3 times\n");
    assert_eq!(
        harness(&out, "pool-server --key k").err,
        "error: no pool for [\"--key\", \"k\"]\n"
    );
}
