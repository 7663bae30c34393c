//! How far a fault has come, and who may take it further.
//!
//! Two tasks meet here: the one that injects when the trigger fires, and whoever heals, at any time and perhaps because
//! the body has ended long before. Exactly one of them takes a waiting fault on: it is either begun or disarmed, and a
//! fault that was begun is healed only after its injection has come to an end, so that nothing breaks after the healing.

use harness_runner::environment::Failure;
use tokio::sync::watch;

/// Where a fault is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    /// For its trigger.
    Waiting,
    /// Its trigger has fired, its effect is not proved yet.
    Injecting,
    /// It has taken effect.
    Bitten,
    /// It was injected, at least in part, and its effect could not be proved.
    Failed(Failure),
    /// It has been undone.
    Healed,
    /// It was called off before its trigger fired.
    Disarmed,
}

/// The state of one fault.
#[derive(Debug)]
pub(super) struct Life(watch::Sender<State>);

impl Life {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(State::Waiting))
    }

    /// Its trigger has not matched yet.
    pub(super) fn is_waiting(&self) -> bool {
        *self.0.borrow() == State::Waiting
    }

    /// Takes a waiting fault on to be injected; false if it was disarmed.
    pub(super) fn begin(&self) -> bool {
        self.leave_waiting(State::Injecting)
    }

    /// Calls a waiting fault off; false if it was begun.
    pub(super) fn disarm(&self) -> bool {
        self.leave_waiting(State::Disarmed)
    }

    fn leave_waiting(&self, to: State) -> bool {
        self.0.send_if_modified(|state| {
            let waiting = *state == State::Waiting;
            if waiting {
                *state = to;
            }
            waiting
        })
    }

    /// The injection has come to its end.
    pub(super) fn injected(&self, outcome: Result<(), Failure>) {
        self.0
            .send_replace(outcome.map_or_else(State::Failed, |()| State::Bitten));
    }

    /// The fault has been undone.
    pub(super) fn healed(&self) {
        self.0.send_replace(State::Healed);
    }

    /// Resolves when the fault is called off; never, if that does not happen.
    pub(super) async fn disarmed(&self) {
        self.reach(|state| *state == State::Disarmed).await;
    }

    /// The state once the fault neither waits nor is being injected.
    pub(super) async fn settled(&self) -> State {
        self.reach(|state| !matches!(state, State::Waiting | State::Injecting))
            .await
    }

    async fn reach(&self, is: impl FnMut(&State) -> bool) -> State {
        let mut watched = self.0.subscribe();
        let reached = watched.wait_for(is).await.map(|state| state.clone());
        match reached {
            Ok(state) => state,
            // The sender lives in `self`.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Life, State};
    use futures::FutureExt as _;
    use harness_runner::environment::Failure;

    #[test]
    fn a_waiting_fault_is_taken_on_by_one_only() {
        let begun = Life::new();
        assert!(begun.begin());
        assert!(!begun.disarm());
        let called_off = Life::new();
        assert!(called_off.disarm());
        assert!(!called_off.begin());
        assert_eq!(called_off.settled().now_or_never(), Some(State::Disarmed));
        assert!(called_off.disarmed().now_or_never().is_some());
    }

    #[test]
    fn who_heals_waits_for_the_injection_to_end() {
        let life = Life::new();
        assert!(life.begin());
        assert_eq!(life.settled().now_or_never(), None);
        life.injected(Ok(()));
        assert_eq!(life.settled().now_or_never(), Some(State::Bitten));
        life.healed();
        assert_eq!(life.settled().now_or_never(), Some(State::Healed));
    }

    #[test]
    fn an_injection_without_proof_has_still_been_injected() {
        let life = Life::new();
        assert!(life.begin());
        let failure = Failure::invalid("exit code 0");
        life.injected(Err(failure.clone()));
        assert_eq!(life.settled().now_or_never(), Some(State::Failed(failure)));
        assert_eq!(life.disarmed().now_or_never(), None);
    }
}
