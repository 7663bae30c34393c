//! One step after the other: each bounded, each with a finding if it does not go well.

use std::pin::pin;
use std::time::Duration;

use harness_model::verdict::{Finding, Kind};
use tokio::time::{Instant, timeout_at};

use crate::cancel::Cancel;
use crate::environment::Failure;
use crate::panics::{caught, caught_in};

/// One step of the life.
pub(super) struct Leg {
    pub(super) name: &'static str,
    pub(super) limit: Duration,
    /// It is the harness' own work: whatever goes wrong is infra.
    pub(super) own: bool,
    /// An interruption drops it.
    pub(super) stops: bool,
}

pub(super) enum End<T> {
    Done(Result<T, Failure>),
    Overdue,
    Panicked(String),
    Interrupted,
}

/// What has gone wrong so far, and what bounds the rest.
pub(super) struct Course<'a> {
    pub(super) cancel: &'a Cancel,
    pub(super) interrupted: Duration,
    pub(super) findings: Vec<Finding>,
}

impl Course<'_> {
    /// Runs one step to its end, its deadline or the interruption. The future is gone when this returns.
    pub(super) async fn run<T>(&self, leg: &Leg, step: impl Future<Output = Result<T, Failure>>) -> End<T> {
        if leg.stops && self.cancel.is_cancelled() {
            return End::Interrupted;
        }
        let deadline = Instant::now() + leg.limit;
        let mut step = pin!(caught(step));
        let ended = tokio::select! {
            biased;
            ended = timeout_at(deadline, step.as_mut()) => ended,
            () = self.cancel.cancelled() => {
                if leg.stops {
                    return End::Interrupted;
                }
                timeout_at(deadline.min(Instant::now() + self.interrupted), step).await
            }
        };
        match ended {
            Ok(Ok(done)) => End::Done(done),
            Ok(Err(message)) => End::Panicked(message),
            Err(_) => End::Overdue,
        }
    }

    /// The value of a step that went well; else its finding is noted.
    pub(super) fn note<T>(
        &mut self,
        leg: &Leg,
        end: End<T>,
        last_seen: impl FnOnce() -> String,
    ) -> Option<T> {
        let name = leg.name;
        let seen =
            || caught_in(last_seen).unwrap_or_else(|message| format!("nothing, asking panicked: {message}"));
        let finding = match end {
            End::Done(Ok(value)) => return Some(value),
            End::Done(Err(failure)) => {
                let mut finding = Finding::from(failure);
                if leg.own {
                    finding.kind = Kind::Infra;
                }
                finding
            }
            End::Overdue => {
                let kind = if leg.own || name == "open" {
                    Kind::Infra
                } else {
                    Kind::Hang
                };
                let what = format!(
                    "{name} was not done within {:?}; last seen: {}",
                    leg.limit,
                    seen()
                );
                Finding::new(kind, "deadline", what)
            }
            End::Panicked(message) if name == "body" => {
                Finding::new(Kind::Fail, "body", format!("panicked: {message}"))
            }
            End::Panicked(message) => {
                Finding::new(Kind::Infra, "harness", format!("{name} panicked: {message}"))
            }
            End::Interrupted => Finding::new(
                Kind::Infra,
                "interrupted",
                format!("interrupted in {name}; last seen: {}", seen()),
            ),
        };
        tracing::warn!(
            step = name,
            kind = finding.kind.word(),
            what = finding.what,
            "did not go well"
        );
        self.findings.push(finding);
        None
    }

    pub(super) fn worst(&self) -> Kind {
        self.findings
            .iter()
            .map(|finding| finding.kind)
            .max()
            .unwrap_or(Kind::Pass)
    }

    pub(super) fn let_down(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind == Kind::Infra)
    }
}
