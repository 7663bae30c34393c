//! The ops box: a container that stands for the production machine, and what is around it.
//!
//! - [`machine`]: the box itself, on the network of the engine's machine
//! - [`registry`]: the registry of a trial, on loopback
//! - [`door`]: the engine as the box sees it: everything that is made carries the lease's labels, nothing else is seen
//! - [`trace`]: which processes a script started and which files it wrote
//! - [`versions`]: images of services that differ in what they say of their build, in the registry
//!
//! This module knows neither scripts nor checks.

pub mod door;
mod machine;
pub mod registry;
mod request;
pub mod trace;
pub mod versions;

pub use machine::{BoxError, BoxSpec, OpsBox, Ran, Script};

/// Label of everything that was made through the box; its value is the lease's name. The box and the registry themselves
/// do not carry it: a script that removes all it sees must not remove the machine it runs on.
pub const BOX_LABEL: &str = "harness.box";
