//! One flag that says: stop, but tidy up.
//!
//! The first SIGINT or SIGTERM sets it, and it is never taken back. Further signals change nothing: what still runs
//! is bounded by [`crate::trial::Limits::interrupted`], so that a process ends within the 10 s that nextest grants.

use std::io;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A cancellation flag; clones share it.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Default for Cancel {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Cancel {
    /// Sets the flag.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the flag is set.
    pub async fn cancelled(&self) {
        // The sender lives as long as `self`, so the channel cannot be closed here.
        drop(self.0.subscribe().wait_for(|cancelled| *cancelled).await);
    }

    /// Sets the flag at the first SIGINT or SIGTERM.
    ///
    /// # Errors
    /// The operating system refuses a handler.
    pub fn on_signals(&self, runtime: &Handle) -> io::Result<()> {
        let _context = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let cancel = self.clone();
        runtime.spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            cancel.cancel();
        });
        Ok(())
    }
}
