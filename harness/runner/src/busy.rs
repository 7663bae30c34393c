//! Load on purpose: some cores that have nothing left for anybody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Threads that compute nothing, until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the load"]
pub(crate) struct Busy(Arc<AtomicBool>);

impl Busy {
    /// Begins to keep `cores` cores busy.
    pub(crate) fn start(cores: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..cores {
            let stop = Arc::clone(&stop);
            // Nobody joins it: it ends at the next look.
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
