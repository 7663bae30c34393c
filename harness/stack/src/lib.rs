//! Everything that runs outside the trial's own process: the container engine, images, backends, services.
//!
//! - [`engine`]: a thin layer over the engine's API: signals, addresses, logs, events, networks, removal by label
//! - [`images`]: which image stands for which role, and making it if nobody has it
//! - [`progress`]: what slow steps report, and to whom
//! - [`container`]: starting containers; [`backend`]: the broker and the database; [`service`]: what is under test
//! - [`pool`]: the process that owns the backends and lends them to trials
//! - [`admin`]: the control plane, which dials backends directly; [`client`]: the data plane, which goes through taps
//! - [`upstream`]: services outside the pipeline, played by the harness
//! - [`ops`]: the box that stands for the production machine, with its registry
//! - [`load`]: load for measurements
//! - [`wait`]: the one place that polls; [`lock`]: what one process at a time does; [`secret`]: passwords; [`host`]: the
//!   machine
//!
//! This crate knows containers and backends; it does not know what a scenario is, and it judges nothing.

pub mod admin;
pub mod backend;
pub mod client;
pub mod compose;
pub mod container;
pub mod engine;
pub mod host;
pub mod images;
pub mod load;
mod lock;
pub mod ops;
pub mod pool;
pub mod probe;
pub mod progress;
pub mod scratch;
pub mod secret;
pub mod service;
pub mod upstream;
pub mod wait;
