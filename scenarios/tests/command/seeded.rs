//! The same seed asks for the same things: faults, and every injected byte.

use crate::support::{Site, said};

#[test]
fn the_same_seed_gives_the_same_schedule_and_the_same_bytes() {
    let site = Site::new();
    // What is asked for: which faults, when, and the digest of all reports. The seed itself stands beside them.
    let asked = |seed: &str| {
        let output = site.run(&["run", "--seed", seed, "broker::killed_at_a_random_step"]);
        assert!(output.status.success(), "{}", said(&output));
        let path = site
            .path()
            .join("runs/latest/broker.killed_at_a_random_step/schedule.json");
        let text = std::fs::read_to_string(path).unwrap();
        let schedule: serde_json::Value = serde_json::from_str(&text).unwrap();
        (schedule["faults"].clone(), schedule["workload"].clone())
    };
    let (faults, workload) = asked("7");
    assert_eq!(faults[0]["kind"], "kill", "{faults}");
    assert!(workload["sha256"].is_string(), "{workload}");
    assert_eq!(asked("7"), (faults.clone(), workload.clone()));
    let (other_faults, other_workload) = asked("8");
    assert_ne!(faults, other_faults, "the step that is drawn");
    assert_ne!(workload, other_workload, "the reports that are drawn");
    site.assert_clean();
}
