//! The one crate that a scenario imports.
//!
//! ```no_run
//! //! A confirmed report is analysed exactly once, even if the broker is killed at the 30th ack.
//! use harness::prelude::*;
//!
//! const SCENARIO: harness::Scenario = scenario!(
//!     "broker::killed_mid_flight",
//!     "every confirmed report survives a SIGKILL of the broker at exactly the ack we name",
//!     run
//! )
//! .exclusive()
//! .must_see(&[StepKind::Held, StepKind::Recovered])
//! .done();
//!
//! async fn run(cx: &mut Cx) -> Outcome {
//!     let pipeline = cx.pipeline();
//!     let outage = cx.fault(kill(Broker).when(nth(30, ack().by("analyzer"))))?;
//!     let reports = pipeline.inject(reports(100)).await?;
//!     outage.bitten().await?.heal().await?;
//!     pipeline.settled(&reports, secs(60)).await
//! }
//! ```
//!
//! The invariants of [`harness_model::invariant`] judge every trial without being named.
//!
//! The modules: [`scenario`] (the macro above), [`cx`] and [`pipeline`] (what a body works with), [`fault`] and
//! [`workload`] (what it asks for), [`ops`] (scripts), [`golden`]; behind them `world` (the running thing), `tracker`
//! (what the ledger says right now), `collect` (what is left), `bars` (last attempts that wait), [`environment`] (all of
//! it as the runner drives it), [`commands`], `mutants`, `grid` and [`bench`] (what the command line needs of the world).

mod bars;
pub mod bench;
mod came_back;
mod canonical;
mod collect;
pub mod commands;
pub mod cx;
pub mod environment;
pub mod fault;
pub mod files;
mod golden;
mod grid;
mod health;
mod mutants;
pub mod ops;
mod perturb;
pub mod pipeline;
pub mod remains;
pub mod scenario;
mod stand;
pub mod strangers;
mod tracker;
pub mod workload;
mod world;

use std::ffi::OsStr;
use std::process::ExitCode;

pub use commands::Harness;

/// What a scenario needs.
pub mod prelude {
    pub use harness_model::event::{Backend, Side, StepKind, Verb};
    pub use harness_model::fault::MessageState::{self, A0, A1, C0, C1, C2, D, N0, P0, P1, R0, R1, W, X0};
    pub use harness_model::fault::{Cut, Misbehaviour, Phase, Resource, Shape};
    pub use harness_model::topology::Setup;
    pub use harness_runner::environment::Failure;
    pub use harness_runner::scenario::{Needs, Outcome};

    pub use crate::cx::Cx;
    pub use crate::fault::ask::*;
    pub use crate::fault::{Bitten, Outage};
    pub use crate::ops::Ops;
    pub use crate::ops::backup::Damage;
    pub use crate::ops::deploy::{Look, Release};
    pub use crate::pipeline::{Pipeline, Reports};
    pub use crate::scenario::{Builder, secs};
    pub use crate::workload::{corpus, named, odd, poison, reports};
    pub use crate::{Scenario, scenario};
}

/// A scenario of this kit.
pub type Scenario = harness_runner::scenario::Scenario<cx::Cx>;

/// The `main` of the `harness` command.
pub fn main(catalogue: &'static [Scenario]) -> ExitCode {
    harness_runner::cli::main(&Harness::new(catalogue))
}

/// The `main` of a test target with `harness = false`: every scenario is a test.
pub fn gate(catalogue: &'static [Scenario]) -> ExitCode {
    // The pool is started by running this same program again, and libtest has no subcommands.
    if std::env::args_os().nth(1).as_deref() == Some(OsStr::new(commands::POOL_SERVER)) {
        return main(catalogue);
    }
    harness_runner::libtest::main(Harness::new(catalogue))
}
