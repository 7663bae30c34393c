//! What real clients and a real server say, and the steps it has to become.

use std::fmt::Write as _;

use harness_wire::codec::{Direction, Unit};

use crate::support::{capture, capture_names, captures_folder, decode};

/// One line a step, with its direction.
fn render(units: &[(Direction, Unit)]) -> String {
    let mut text = String::new();
    for (direction, unit) in units {
        if let Some(step) = &unit.step {
            let mark = match direction {
                Direction::ToServer => '>',
                Direction::ToClient => '<',
            };
            writeln!(text, "{mark} {}", serde_json::to_string(step).unwrap()).unwrap();
        }
    }
    text
}

#[test]
fn captures_become_the_steps_written_beside_them() {
    for name in capture_names() {
        let expected =
            std::fs::read_to_string(captures_folder().join(format!("{name}.steps"))).unwrap_or_default();
        let actual = render(&decode(&capture(&name)).unwrap());
        assert!(
            actual == expected,
            "{name}.steps should be:\n{actual}\nbut is:\n{expected}"
        );
    }
}
