//! The `harness` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::main(scenarios::CATALOGUE)
}
