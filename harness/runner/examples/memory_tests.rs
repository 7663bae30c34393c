//! The libtest front end over an environment that lives in memory, as nextest would meet it.

#[path = "../tests/runner/memory/mod.rs"]
mod memory;

fn main() -> std::process::ExitCode {
    harness_runner::libtest::main(memory::MemoryKit)
}
