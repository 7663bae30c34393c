//! Runs scenarios and says what became of them: trial life cycle, run store, reporters, command line, libtest.
//!
//! This crate knows no container, broker or database. It drives an [`environment::Environment`], so its own tests run
//! on one that lives in memory, in milliseconds. What is under test, and how it is brought up, is the business of
//! whoever implements that trait; what is right or wrong is the business of the [`trial::Judge`] handed in.
//!
//! The modules in the order in which they build on each other:
//! - [`exit`]: documented exit codes, and expected failures as data;
//! - [`config`]: the one place that reads the process environment;
//! - [`cancel`]: Ctrl-C and SIGTERM; `panics`: panics as values; [`logging`]: one log file for each trial;
//! - [`scenario`], [`environment`], [`kit`]: what a caller brings;
//! - [`store`]: the folder of a run; [`trial`]: the life of one trial; [`run`]: selection, order and threads;
//! - [`quarantine`]: failures that are known and waited for;
//! - [`report`]: what people and programs see of it; [`html`]: a stored run as a page; [`mutants`]: whether planted bugs are noticed;
//!   [`sweep`]: how often trials fail, and under which conditions;
//! - [`cli`] and [`libtest`]: the two front ends.
//!
//! Deliberately not done: a trial is never retried, a verdict is never softened, and nothing of a scenario runs
//! outside [`trial`].

mod bound;
mod busy;
pub mod cancel;
pub mod check;
pub mod cli;
pub mod config;
pub mod environment;
pub mod exit;
pub mod html;
pub mod kit;
pub mod libtest;
pub mod logging;
pub mod mutants;
mod panics;
pub mod quarantine;
pub mod report;
pub mod run;
pub mod scenario;
pub mod store;
mod stored;
pub mod sweep;
pub mod trial;
