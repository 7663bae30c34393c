//! The thread that a trial's taps run on.
//!
//! All taps of a trial share one thread of their own. What a scenario does to its runtime, such as blocking it, never
//! stops the wire; and since both connections of a publisher and a consumer are served by the same thread, moving a
//! frame wakes nobody up. (Measured on two cores with 256 messages in flight: 0.93 of the direct throughput, against
//! 0.80 with a pool of two threads.)

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A running thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct TapThread {
    handle: Handle,
    /// Dropped with this, which ends the thread.
    _stop: oneshot::Sender<()>,
}

impl TapThread {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        // Nobody joins it: the last to let go of it may be one of its own tasks.
        thread::Builder::new()
            .name("taps".into())
            .spawn(move || drop(runtime.block_on(stopped)))?;
        Ok(Self { handle, _stop: stop })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}
