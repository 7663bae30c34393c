//! The catalogue: one file a scenario, in folders by family.
//!
//! To add one: write its file, and name it in its family's list below.

mod broker {
    pub(crate) mod killed_mid_flight;
    pub(crate) mod restarted_gracefully;
    pub(crate) mod restarted_idle;
}
mod link {
    pub(crate) mod cut;
}
mod pipeline {
    pub(crate) mod batch;
    pub(crate) mod corpus;
    pub(crate) mod golden_path;
}
mod pool {
    pub(crate) mod foreign_containers_survive;
}

/// All scenarios.
pub const CATALOGUE: &[harness::Scenario] = &[
    broker::killed_mid_flight::SCENARIO,
    broker::restarted_gracefully::SCENARIO,
    broker::restarted_idle::SCENARIO,
    link::cut::SCENARIO,
    pipeline::batch::SCENARIO,
    pipeline::corpus::SCENARIO,
    pipeline::golden_path::SCENARIO,
    pool::foreign_containers_survive::SCENARIO,
];
