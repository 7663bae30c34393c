//! How badly a link carries bytes at the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use harness_model::fault::Shape;
use harness_model::seed::Seed;
use tokio::sync::watch;

/// A link that carries bytes badly.
#[derive(Debug)]
#[must_use = "dropping it ends the shaping, and delivers at once what is under way"]
pub struct Shaping {
    active: Arc<Active>,
    shapes: Shapes,
}

/// The shapes of one tap, the latest last. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Shapes(watch::Sender<Vec<Arc<Active>>>);

/// A shape in force.
#[derive(Debug)]
pub(super) struct Active {
    shape: Shape,
    seed: Seed,
    shaped: AtomicU64,
}

impl Shapes {
    pub(super) fn add(&self, shape: Shape, seed: Seed) -> Shaping {
        let shaped = AtomicU64::new(0);
        let active = Arc::new(Active { shape, seed, shaped });
        self.0.send_modify(|shapes| shapes.push(Arc::clone(&active)));
        Shaping {
            active,
            shapes: self.clone(),
        }
    }
}

impl Shaping {
    /// Number of pieces that it has kept waiting or cut out of larger ones, and that were delivered.
    pub fn count(&self) -> u64 {
        self.active.shaped.load(Ordering::Relaxed)
    }
}

impl Drop for Shaping {
    fn drop(&mut self) {
        self.shapes
            .0
            .send_modify(|shapes| shapes.retain(|active| !Arc::ptr_eq(active, &self.active)));
    }
}
