//! Every scenario as a test, for `cargo test` and nextest.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::gate(scenarios::CATALOGUE)
}
