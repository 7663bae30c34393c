//! The scenarios of the crash grid, made from their points when they are asked for.
//!
//! All of them inject one report and the same: it is public and has tags, so that it goes through every queue and has
//! every effect. A point is known to its body by the name of its scenario.

use std::time::Duration;

use harness_model::event::Backend;
use harness_model::fault::{Cut, Target};
use harness_model::grid::{self, Course, Crash, Point};
use harness_model::topology::Topology;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;

use crate::Scenario;
use crate::cx::Cx;
use crate::fault::ask::{Fault, cut, in_state, kill, nth, publish};
use crate::scenario::{Builder, secs};
use crate::workload::{Workload, named};

/// The report.
const REPORT: &str = "english-bin";
/// Longest time for everything to come to rest after the crash.
const REST: Duration = secs(60);
/// A minute for the crash to happen, one to come to rest, and the restart of a backend in between.
const BUDGET: Duration = secs(150);

/// A scenario in which nothing is disturbed, and the report takes this course.
pub(crate) fn survey(course: Course) -> Scenario {
    let name = course.name().leak();
    let doc = "which states a report comes into that nobody disturbs";
    match course {
        Course::Straight | Course::Rejected => Builder::new(name, doc, |cx| Box::pin(undisturbed(cx))),
        Course::Retried => Builder::new(name, doc, |cx| Box::pin(tried_again(cx))),
    }
    .done()
}

/// The scenario of a point.
pub(crate) fn point(point: &Point) -> Scenario {
    let name = point.to_string().leak();
    let doc = "a crash at this state of a report costs nothing";
    let builder = Builder::new(name, doc, |cx| Box::pin(crash(cx))).budget(BUDGET);
    match point.crash {
        Crash::Link | Crash::Service => builder.done(),
        Crash::Database | Crash::Broker => builder.exclusive().done(),
    }
}

/// The report of this course.
fn report(course: Course) -> Workload {
    match course {
        Course::Straight => named(REPORT),
        Course::Retried => named(REPORT).rows_later(),
        Course::Rejected => named(REPORT).without_rows(),
    }
}

async fn undisturbed(cx: &mut Cx) -> Outcome {
    let course = Course::parse(cx.trial.scenario).unwrap_or(Course::Straight);
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(report(course)).await?;
    pipeline.settled(&reports, REST).await
}

/// The rows come when every consumer has had its first try.
async fn tried_again(cx: &mut Cx) -> Outcome {
    let pipeline = cx.pipeline();
    let reports = pipeline.inject(report(Course::Retried)).await?;
    let (consumers, pause) = retrying(&cx.world.topology);
    // A consumer that does not retry is none of this survey's business.
    drop(pipeline.until(nth(consumers, publish().retried(1)), pause).await);
    pipeline.add_rows(&reports).await?;
    pipeline.settled(&reports, REST).await
}

/// How many consumers get what the harness publishes and may have to try again, and how long they wait before they do.
fn retrying(topology: &Topology) -> (u64, Duration) {
    let queues = topology.queues.iter().filter(|(role, queue)| {
        topology.consumer_of(role).is_some() && queue.bind.iter().any(|route| *route == "raw")
    });
    let pauses: Vec<_> = queues
        .filter_map(|(_, queue)| Some(queue.retry.as_ref()?.ttl_ms))
        .collect();
    let pause = pauses.iter().copied().min().unwrap_or_default();
    (pauses.len().max(1) as u64, Duration::from_millis(pause))
}

async fn crash(cx: &mut Cx) -> Outcome {
    let name = cx.trial.scenario;
    let absent = || Failure::invalid(format!("{name} is no point of this pipeline's grid"));
    let point = Point::parse(name).ok_or_else(absent)?;
    let topology = &cx.world.topology;
    let (consumer, _) = topology.consumer_of(&point.queue).ok_or_else(absent)?;
    let by = grid::seen_by(topology, &point.queue, point.state).ok_or_else(absent)?;
    let what: Fault = match point.crash {
        Crash::Link => cut(consumer, Backend::Broker, Cut::Rst),
        Crash::Service => kill(Target::Service(consumer.clone())),
        Crash::Database => kill(Target::Database),
        Crash::Broker => kill(Target::Broker),
    };
    let outage = cx.fault(what.when(in_state(point.state, &by).of_report(1)))?;
    let pipeline = cx.pipeline();
    let course = Course::of(point.state);
    let reports = pipeline.inject(report(course)).await?;
    let outage = outage.bitten().await?;
    let rows = async {
        if course == Course::Retried {
            pipeline.add_rows(&reports).await?;
        }
        Ok(())
    };
    if point.crash == Crash::Database {
        outage.heal().await?;
        rows.await?;
    } else {
        rows.await?;
        outage.heal().await?;
    }
    pipeline.settled(&reports, REST).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use harness_model::grid::{Course, Crash, Point};
    use harness_model::topology::Topology;
    use harness_runner::scenario::Needs;

    use super::{point, retrying, survey};

    #[test]
    fn scenarios_are_told_by_their_names_and_spare_what_they_share() {
        for course in Course::ALL {
            assert_eq!(Course::parse(survey(course).name), Some(course));
            assert_eq!(survey(course).needs, Needs::Shared);
        }
        for crash in Crash::ALL {
            let wanted = Point {
                queue: "tags".into(),
                state: harness_model::fault::MessageState::A0,
                crash,
            };
            let scenario = point(&wanted);
            assert_eq!(Point::parse(scenario.name), Some(wanted));
            let exclusive = matches!(crash, Crash::Database | Crash::Broker);
            assert_eq!(scenario.needs == Needs::Exclusive, exclusive, "{}", scenario.name);
        }
    }

    #[test]
    fn consumers_of_what_is_published_may_have_to_try_again() {
        let text = include_str!("../../../fixtures/topologies/production.toml");
        let production = Topology::parse("production.toml", text).unwrap();
        assert_eq!(retrying(&production), (2, Duration::from_secs(1)));
    }
}
