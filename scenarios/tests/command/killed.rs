//! SIGKILL of a run, of its whole process group, also in the middle of a deploy, and of the pool; Ctrl-C; SIGTERM of the group, as nextest sends it. After
//! each of them nothing of ours is left, and a container that is not ours still runs.

use std::time::{Duration, Instant};

use crate::support::{CLEAN, Site, signal};

/// An image that is there once anything has run.
fn image(site: &Site) -> String {
    let output = site.run(&["images"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let broker = text.lines().find(|line| line.starts_with("broker")).unwrap();
    broker.split_whitespace().nth(1).unwrap().to_owned()
}

#[test]
fn a_killed_run_gives_its_leases_back() {
    let site = Site::new();
    let stranger = site.observer.stranger("stranger-run", &image(&site)).unwrap();
    let mut child = site.in_bodies(&["run", "pipeline::batch"], 1);
    child.kill().unwrap();
    child.wait().unwrap();
    // The pool outlives the run and takes down what the trial has left, then, after its linger, itself.
    let of_trial = |found: &[String]| !found.iter().any(|one| one.starts_with("lease"));
    site.observer
        .wait("the lease to end", &site.state(), CLEAN, of_trial)
        .unwrap();
    site.assert_clean();
    assert!(site.observer.end(stranger).unwrap());
}

#[test]
fn a_killed_process_group_leaves_nothing() {
    let site = Site::new();
    let stranger = site.observer.stranger("stranger-group", &image(&site)).unwrap();
    let mut child = site.in_bodies(&["run", "--jobs", "2", "pipeline::batch", "pipeline::corpus"], 2);
    signal("KILL", &format!("-{}", child.id()));
    child.wait().unwrap();
    site.assert_clean();
    assert!(site.observer.end(stranger).unwrap());
}

#[test]
fn a_deploy_that_is_killed_leaves_no_container_image_or_volume() {
    let site = Site::new();
    let stranger = site.observer.stranger("stranger-deploy", &image(&site)).unwrap();
    let mut child = site.in_bodies(&["run", "deploy::pinned"], 1);
    // Box and registry are there from before the body; what is more was pushed, pulled or started in it.
    let deploys = |found: &[String]| {
        let count = |kind: &str| found.iter().filter(|one| one.starts_with(kind)).count();
        count("image") >= 1 && count("lease") >= 4
    };
    site.observer
        .wait("services to be deployed", &site.state(), DEPLOYED, deploys)
        .unwrap();
    signal("KILL", &format!("-{}", child.id()));
    child.wait().unwrap();
    site.assert_clean();
    assert!(site.observer.end(stranger).unwrap());
}

/// Longest time from the beginning of a deploy to its second service.
const DEPLOYED: Duration = Duration::from_mins(1);

#[test]
fn what_a_killed_pool_has_left_goes_with_the_next_command() {
    let site = Site::new();
    let stranger = site.observer.stranger("stranger-pool", &image(&site)).unwrap();
    let mut child = site.in_bodies(&["run", "pipeline::batch"], 1);
    let alive = std::fs::read_dir(site.state()).unwrap().find_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".alive").map(str::to_owned)
    });
    let alive = alive.expect("a pool lives");
    let pid = alive.rsplit('-').next().unwrap();
    signal("KILL", pid);
    // The run notices that its lease is gone when it gives it back, or earlier.
    let status = child.wait().unwrap();
    assert_eq!(
        status.code(),
        Some(102),
        "the pool's end is infra, not a failure of the pipeline"
    );
    assert!(
        !site.observer.remains(&site.state()).unwrap().is_empty(),
        "the killed pool has left something"
    );
    // Two at a time do not get in each other's way.
    let mut other = site.command(&["gc"]).spawn().unwrap();
    let output = site.run(&["gc"]);
    assert!(output.status.success(), "{output:?}");
    assert!(other.wait().unwrap().success());
    assert!(site.observer.remains(&site.state()).unwrap().is_empty());
    assert!(site.observer.end(stranger).unwrap());
}

#[test]
fn ctrl_c_in_the_middle_of_a_trial_tidies_up() {
    let site = Site::new();
    let mut child = site.in_bodies(&["run", "pipeline::batch"], 1);
    signal("INT", &child.id().to_string());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    site.assert_clean();
}

/// What nextest grants between SIGTERM and SIGKILL; see `.config/nextest.toml`.
const GRACE: Duration = Duration::from_secs(10);

#[test]
fn sigterm_of_the_group_leaves_evidence_and_no_lease_within_the_grace_period() {
    let site = Site::new();
    let mut child = site.in_bodies(&["run", "pipeline::batch"], 1);
    #[expect(clippy::disallowed_methods, reason = "it is a real process that is timed")]
    let begun = Instant::now();
    signal("TERM", &format!("-{}", child.id()));
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < GRACE, "it took {:?}", begun.elapsed());
    let trial = site.path().join("runs/latest/pipeline.batch");
    for file in [
        "verdict.json",
        "plan.json",
        "end_state.json",
        "ledger.jsonl",
        "logs/analyzer.log",
    ] {
        assert!(trial.join(file).is_file(), "no {file}");
    }
    // The pool is in a session of its own and lives on, so it is the run that has given its lease back.
    let remains = site.observer.remains(&site.state()).unwrap();
    assert!(!remains.iter().any(|one| one.starts_with("lease")), "{remains:?}");
    site.assert_clean();
}
