//! The trial's clock: nanoseconds since it was started, never going back.
//!
//! It is the one place of this crate that asks the machine what time it is, so that every event of a ledger is dated by
//! the same clock, and tests can date theirs as they like.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Reads nanoseconds since some start. Clones read the same clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// A monotonic clock that starts now.
    pub fn monotonic() -> Self {
        let start = now();
        // 584 years fit into 64 bits.
        Self::from_fn(move || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// A clock that answers with `read`.
    pub fn from_fn(read: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Nanoseconds since the start.
    pub fn nanos(&self) -> u64 {
        (self.0)()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else reads"
)]
fn now() -> Instant {
    Instant::now()
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.nanos()).finish()
    }
}
