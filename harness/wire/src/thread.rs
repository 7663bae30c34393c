//! The thread that a trial's taps run on.
//!
//! All taps of a trial share one thread of their own. What a scenario does to its runtime, such as blocking it, never
//! stops the wire; and since both connections of a publisher and a consumer are served by the same thread, moving a
//! frame wakes nobody up. (Measured on two cores with 256 messages in flight: 0.93 of the direct throughput, against
//! 0.80 with a pool of two threads.)
//!
//! The thread steps back behind those whom it serves. Where they leave the processor to it, it is as quick as before;
//! where they do not, it interrupts nobody for a single frame, and finds more of them to move at once. (On two cores, 256
//! in flight: 0.94 of the direct throughput on average of 16 readings with 2 to 10 steps, 0.80 of 6 without.
//! Eight sessions of a database that wait for each answer gain nothing by it, and may lose: 0.56 in one reading with 5
//! steps, 0.65 in one without.)

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How far it steps back, in steps of `nice`: a third of the share that a thread gets by default.
const NICE: i32 = 5;

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
        thread::Builder::new().name("taps".into()).spawn(move || {
            // On Linux this is about the calling thread alone.
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::debug!(%error, "the taps do not step back");
            }
            drop(runtime.block_on(stopped));
        })?;
        Ok(Self { handle, _stop: stop })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}
