//! The environment of a trial with a planted bug, or of the naive check on it.

use std::sync::Arc;

use harness_model::verdict::Kind;

use crate::environment::{Collected, Environment, Failure};
use crate::scenario::Outcome;
use crate::trial::Trial;

/// An environment as it is or, if it is bare, one in which nobody waits for rest or sends a canary: what is left is what
/// the body says.
#[derive(Debug)]
pub(crate) struct Watched<E> {
    pub(crate) inner: Arc<E>,
    pub(crate) bare: bool,
}

impl<E: Environment> Environment for Watched<E> {
    type Cx = E::Cx;
    type Lease = E::Lease;

    async fn lease(&self, trial: &Trial) -> Result<Self::Lease, Failure> {
        self.inner.lease(trial).await
    }

    async fn open(&self, trial: &Trial, lease: Self::Lease) -> Result<Self::Cx, Failure> {
        self.inner.open(trial, lease).await
    }

    fn last_seen(&self, cx: &Self::Cx) -> String {
        self.inner.last_seen(cx)
    }

    async fn heal(&self, cx: &mut Self::Cx) -> Outcome {
        self.inner.heal(cx).await
    }

    async fn quiesce(&self, cx: &mut Self::Cx) -> Outcome {
        if self.bare {
            return Ok(());
        }
        self.inner.quiesce(cx).await
    }

    async fn canary(&self, cx: &mut Self::Cx) -> Outcome {
        if self.bare {
            return Ok(());
        }
        self.inner.canary(cx).await
    }

    async fn collect(&self, cx: &mut Self::Cx) -> Result<Collected, Failure> {
        self.inner.collect(cx).await
    }

    async fn close(&self, cx: Self::Cx, so_far: Kind) -> Outcome {
        self.inner.close(cx, so_far).await
    }
}
