//! `health-truth`: a service says that it is not well soon after it has lost what it needs, that it is well soon after it
//! has that back, and nothing else in between.
//!
//! What a service says is known from the moment at which the harness has seen an answer change, for it asks all the time.
//! What is true is told by the links, with every doubt given to the service. It has lost
//!  - the broker, when none of its connections to it is open any more, or when they are but no byte passes: the broker
//!    stands still, or the link is half open;
//!  - the database, if it uses one, when the container has ended or stands still;
//!  - its publisher, when it keeps a connection for publishing only (opened before there was anything to do), and that is
//!    gone while others are open.
//!
//! The service has to say so within [`RED`], where nothing tells it of a dead link within about three heartbeats as they
//! were agreed, and as long as the loss lasts. A body that tells of the broker has to be right, too, whatever the status.
//!
//! It is well when nothing has happened to it for [`GREEN`]: no fault that touches it, no end of a connection or channel, no
//! error, no container started or stopped; when it consumes, its publisher has a connection, the broker takes its
//! messages and the database has answered since. Then it has to say so. A single short doubt is forgiven, for a probe
//! may time out on a busy machine.
//!
//! Not judged are services of which there is more than one instance, because connections do not tell whose they are, and
//! a service that a fault ends or pauses, as long as it does.

mod loss;
mod well;

use crate::event::Step;
use crate::name::Name;
use crate::topology::Service;
use crate::verdict::Finding;

use super::case::{BODY, Case, Moment};

use loss::losses;
use well::well;

/// The rule's name.
pub(super) const ID: &str = "health-truth";

/// The longest time from a loss to an answer that tells of it, in nanoseconds: a load balancer asks every few seconds.
const RED: u64 = 5_000_000_000;

/// The longest time from having all back to an answer that tells of it, in nanoseconds: longer than the longest wait between
/// two attempts to connect that is usual while an outage is short.
const GREEN: u64 = 10_000_000_000;

/// So much later, in nanoseconds, a change may be seen than it is made: the harness asks a few times a second, the answer
/// takes its time, and a busy machine takes more.
const SEEN: u64 = 2_000_000_000;

/// An answer, which holds until the next one.
#[derive(Debug, Clone, Copy)]
struct Answer {
    since: Moment,
    /// HTTP status; 0 when nothing came.
    status: u16,
    /// It is that of a healthy service.
    healthy: bool,
    /// What it says of the broker.
    broker: Option<bool>,
}

/// A service and what it says.
struct Said<'c, 'a> {
    case: &'c Case<'a>,
    service: &'a Name,
    described: &'a Service,
    answers: Vec<Answer>,
}

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (service, described) in &case.topology().services {
        let said = Said::of(case, service, described);
        if described.instances == 1 && !said.answers.is_empty() {
            findings.extend(losses(&said));
            findings.extend(well(&said));
        }
    }
    findings
}

impl<'c, 'a> Said<'c, 'a> {
    fn of(case: &'c Case<'a>, service: &'a Name, described: &'a Service) -> Self {
        // Before the scenario begins the harness asks only until a service is ready.
        let body = case
            .events()
            .find(|event| matches!(&event.step, Step::Phase { name } if *name == BODY))
            .map_or(0, |event| event.n);
        let asked = case
            .events()
            .filter(|event| event.n >= body && event.svc.as_ref() == Some(service));
        let answers = asked.filter_map(|event| match event.step {
            Step::Health { status, broker } => Some(Answer {
                since: Moment::of(event),
                status,
                healthy: status == described.health.status
                    && (described.health.broker.is_none() || broker == Some(true)),
                broker,
            }),
            _ => None,
        });
        Self {
            case,
            service,
            described,
            answers: answers.collect(),
        }
    }

    /// The last event of the trial.
    fn end(&self) -> Moment {
        self.case
            .events()
            .next_back()
            .map_or(Moment { n: 0, at: 0 }, Moment::of)
    }

    /// The answer that holds at a time.
    fn at(&self, at: u64) -> Option<&Answer> {
        self.answers.iter().rfind(|answer| answer.since.at <= at)
    }
}
