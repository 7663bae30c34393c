//! The topology before and after: what the file asked for, and what was left of it.

use harness_model::evidence::{EndState, Evidence};
use harness_model::topology::Topology;

/// Something that is there at the end, and whether it is as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What is said of it.
    pub text: String,
    /// It is not what was asked for.
    pub odd: bool,
}

/// A queue, or one that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    /// Its role, and what it is for that role: `work`, `retry` or `dead letters`.
    pub role: (String, &'static str),
    /// Its name on the broker.
    pub name: String,
    /// What leads to it, and who takes from it.
    pub before: String,
    /// Ready messages at the end.
    pub ready: Cell,
    /// Consumers at the end.
    pub consumers: Cell,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRow {
    /// Its role.
    pub role: String,
    /// What it takes and gives, and how much at a time.
    pub before: String,
    /// What its container does at the end.
    pub state: Cell,
    /// What its health endpoint says at the end.
    pub health: Cell,
}

/// The queues of a trial. What was left is asked of `dead` for dead letters, which are taken out to be looked at.
pub fn queues(evidence: &Evidence) -> Vec<QueueRow> {
    let Evidence { plan, end, .. } = evidence;
    let topology = &plan.topology;
    let mut rows = Vec::new();
    for (role, queue) in &topology.queues {
        let consumer = topology.consumer_of(role).map(|(service, _)| service.as_str());
        let from: Vec<_> = queue.bind.iter().map(|route| named(topology, route)).collect();
        let to = consumer.unwrap_or("nobody");
        let wanted = topology
            .consumer_of(role)
            .map_or(0, |(_, service)| u64::from(service.instances));
        let mut row = |what, name: &str, before, wanted: Option<u64>, may_hold: bool| {
            rows.push(queue_row(
                end,
                (role.to_string(), what),
                name,
                before,
                wanted,
                may_hold,
            ));
        };
        row(
            "work",
            &queue.name,
            format!("{} → {to}", from.join(", ")),
            Some(wanted),
            queue.sink,
        );
        if let Some(retry) = &queue.retry {
            row(
                "retry",
                &retry.queue,
                format!("waits {} ms, then back to {role}", retry.ttl_ms),
                Some(0),
                false,
            );
        }
        if let Some(dead) = &queue.dead_letter {
            let letters = end.dead.get(role).map_or(0, Vec::len);
            row(
                "dead letters",
                &dead.queue,
                format!("by policy {}; {letters} found", dead.policy),
                Some(0),
                true,
            );
        }
    }
    rows
}

/// Exchange and key of a route.
fn named(topology: &Topology, route: &str) -> String {
    topology.routes.get(route).map_or_else(
        || route.to_owned(),
        |found| {
            let exchange = topology.exchanges.get(&found.exchange);
            format!(
                "{}/{}",
                exchange.map_or("?", |exchange| exchange.name.as_str()),
                found.key
            )
        },
    )
}

fn queue_row(
    end: &EndState,
    role: (String, &'static str),
    name: &str,
    before: String,
    wanted: Option<u64>,
    may_hold: bool,
) -> QueueRow {
    let missing = || Cell {
        text: "not seen".to_owned(),
        odd: true,
    };
    let state = end.queues.get(name);
    QueueRow {
        role,
        name: name.to_owned(),
        before,
        ready: state.map_or_else(missing, |state| Cell {
            text: format!(
                "{}{}",
                state.ready,
                if state.stable { "" } else { ", still moving" }
            ),
            odd: (state.ready > 0 && !may_hold) || !state.stable,
        }),
        consumers: state.map_or_else(missing, |state| Cell {
            text: state.consumers.to_string(),
            odd: wanted.is_some_and(|wanted| {
                if wanted == 0 {
                    state.consumers > 0
                } else {
                    state.consumers == 0
                }
            }),
        }),
    }
}

/// The services of a trial.
pub fn services(evidence: &Evidence) -> Vec<ServiceRow> {
    let Evidence { plan, end, .. } = evidence;
    let rows = plan.topology.services.iter().map(|(role, service)| {
        let gives: Vec<_> = service
            .produces
            .iter()
            .map(|route| named(&plan.topology, route))
            .collect();
        let before = format!(
            "{} → {}; prefetch {}, {} at a time, {} instance{}",
            service.consumes.as_deref().unwrap_or("nothing"),
            if gives.is_empty() {
                "nothing".to_owned()
            } else {
                gives.join(", ")
            },
            service.prefetch,
            service.concurrency,
            service.instances,
            if service.instances == 1 { "" } else { "s" },
        );
        let state = end.services.get(role);
        let missing = || Cell {
            text: "not seen".to_owned(),
            odd: true,
        };
        ServiceRow {
            role: role.to_string(),
            before,
            state: state.map_or_else(missing, |state| Cell {
                text: match (state.running, state.exit) {
                    (true, _) => "runs".to_owned(),
                    (false, Some(exit)) => format!("ended with {exit}"),
                    (false, None) => "does not run".to_owned(),
                },
                odd: !state.running,
            }),
            health: state.map_or_else(missing, |state| Cell {
                text: if state.health == 0 {
                    "no answer".to_owned()
                } else {
                    state.health.to_string()
                },
                odd: state.health != service.health.status,
            }),
        }
    });
    rows.collect()
}
