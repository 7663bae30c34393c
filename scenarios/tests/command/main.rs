//! The `harness` command from outside: what it refuses, and what it leaves behind when it is killed.
//!
//! Every test has a state folder, and so a pool, of its own; they run one after the other, since each of them boots
//! backends and the machine is small.

mod checks;
mod killed;
mod platform;
mod refused;
mod seeded;
mod stack;
mod support;
