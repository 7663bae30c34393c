//! The same seed asks for the same things: faults, and every injected byte.

use crate::support::{Site, said};

#[test]
fn the_same_seed_gives_the_same_schedule_and_the_same_bytes() {
    let site = Site::new();
    let schedule = |seed: &str| {
        let output = site.run(&["run", "--seed", seed, "link::cut"]);
        assert!(output.status.success(), "{}", said(&output));
        let path = site.path().join("runs/latest/link.cut/schedule.json");
        std::fs::read_to_string(path).unwrap()
    };
    let first = schedule("7");
    assert!(
        first.contains("\"cut-link\"") && first.contains("\"sha256\""),
        "{first}"
    );
    assert_eq!(first, schedule("7"));
    assert_ne!(first, schedule("8"));
    site.assert_clean();
}
