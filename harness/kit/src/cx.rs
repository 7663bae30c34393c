//! What a scenario's body works with.

use std::sync::Arc;

use harness_model::seed::Seed;
use harness_runner::environment::Failure;
use harness_runner::trial::Trial;

use crate::fault::ask::Fault;
use crate::fault::{self, Outage};
use crate::golden;
use crate::pipeline::Pipeline;
use crate::world::World;

/// The context of one trial: a running pipeline of its own, with every link tapped.
pub struct Cx {
    pub(crate) world: Arc<World>,
    pub(crate) trial: Trial,
}

impl Cx {
    /// The pipeline.
    pub fn pipeline(&self) -> Pipeline {
        Pipeline {
            world: Arc::clone(&self.world),
            seed: self.trial.seed,
        }
    }

    /// Arms a fault. One without a trigger is injected at once, in the background; see [`Outage::bitten`].
    ///
    /// # Errors
    /// Invalid when it is aimed at something that the topology does not have.
    pub fn fault(&self, fault: Fault) -> Result<Outage, Failure> {
        fault::arm(&self.world, fault, self.trial.seed)
    }

    /// Compares a value with the golden of this name.
    ///
    /// # Errors
    /// Fail, rule `golden`, on any difference.
    pub fn golden(&self, name: &str, value: &serde_json::Value) -> Result<(), Failure> {
        golden::check(self.trial.scenario, name, value)
    }

    /// The trial's seed: the only source of randomness.
    pub fn seed(&self) -> Seed {
        self.trial.seed
    }
}
