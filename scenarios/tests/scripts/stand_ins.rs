//! Commands that stand in for those that leave the machine.

use std::process::Command;

use crate::{ops, run};

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
