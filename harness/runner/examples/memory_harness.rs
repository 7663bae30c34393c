//! The command line over an environment that lives in memory: the smallest kit there can be.

#[path = "../tests/runner/memory/mod.rs"]
mod memory;

fn main() -> std::process::ExitCode {
    harness_runner::cli::main(&memory::MemoryKit)
}
