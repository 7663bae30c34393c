//! The crash grid: one report, and one crash at each state that its message comes into on each queue.
//!
//! Which states a pipeline's messages come into is not assumed. It is asked of the ledgers of trials in which nothing is
//! disturbed, one for each [`Course`] that a message can take: [`reached`] shows them to the same [`Matcher`] that fires
//! the faults. What no such trial reaches is no point of the grid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;
use crate::fault::{Matcher, MessageState, On, Trigger};
use crate::name::Name;
use crate::topology::Topology;

/// The family of all scenarios of the grid.
const FAMILY: &str = "grid";
/// The name of the harness' own link.
const HARNESS: &str = "harness";

/// What a point does, once the message is where it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crash {
    /// The link of the queue's consumer to the broker is reset.
    Link,
    /// The queue's consumer is killed.
    Service,
    /// The database is killed.
    Database,
    /// The broker is killed.
    Broker,
}

impl Crash {
    /// All of them, the mildest first.
    pub const ALL: [Self; 4] = [Self::Link, Self::Service, Self::Database, Self::Broker];

    /// The word for it in names and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Service => "service",
            Self::Database => "database",
            Self::Broker => "broker",
        }
    }
}

/// The way that a message takes through its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Course {
    /// It is worked off at once.
    Straight,
    /// Its report has no row at first, so that it has to be tried again.
    Retried,
    /// Its report never gets a row, so that it is rejected in the end.
    Rejected,
}

impl Course {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Straight, Self::Retried, Self::Rejected];

    /// The course on which a message comes into this state.
    pub fn of(state: MessageState) -> Self {
        match state {
            MessageState::R0 | MessageState::R1 => Self::Retried,
            MessageState::N0 | MessageState::X0 => Self::Rejected,
            _ => Self::Straight,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Straight => "straight",
            Self::Retried => "retried",
            Self::Rejected => "rejected",
        }
    }

    /// The name of the scenario that shows which states it leads through.
    pub fn name(self) -> String {
        format!("{FAMILY}::{}", self.word())
    }

    /// The course whose scenario has this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|course| course.name() == name)
    }
}

/// One point of the grid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Point {
    /// Role of the queue.
    pub queue: Name,
    /// Where the message is.
    pub state: MessageState,
    /// What happens then.
    pub crash: Crash,
}

impl fmt::Display for Point {
    /// The name of its scenario, as in `grid::tags::A0::broker`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue, state, crash } = self;
        write!(f, "{FAMILY}::{queue}::{state}::{}", crash.word())
    }
}

impl Point {
    /// The point whose scenario has this name.
    pub fn parse(name: &str) -> Option<Self> {
        let parts: Vec<_> = name.split("::").collect();
        let [FAMILY, queue, state, crash] = parts[..] else {
            return None;
        };
        Some(Self {
            queue: Name::new(queue),
            state: MessageState::ALL
                .into_iter()
                .find(|known| known.to_string() == state)?,
            crash: Crash::ALL.into_iter().find(|known| known.word() == crash)?,
        })
    }
}

/// On whose links it is seen that a message of this queue comes into this state: those of the queue's consumer or, as
/// long as it is being published, of who publishes to the queue. None for a queue that nobody consumes.
pub fn seen_by(topology: &Topology, queue: &str, state: MessageState) -> Option<Name> {
    let (consumer, _) = topology.consumer_of(queue)?;
    if !matches!(state, MessageState::P0 | MessageState::P1) {
        return Some(consumer.clone());
    }
    let routes = &topology.queue(queue)?.bind;
    let publisher = topology
        .services
        .iter()
        .find(|(_, service)| service.produces.iter().any(|route| routes.contains(route)));
    Some(publisher.map_or_else(|| Name::new(HARNESS), |(role, _)| role.clone()))
}

/// The states of this course that the first report of an undisturbed trial has come into, for every queue that a service
/// consumes.
pub fn reached(course: Course, evidence: &Evidence) -> BTreeMap<Name, BTreeSet<MessageState>> {
    let topology = &evidence.plan.topology;
    let key = evidence
        .plan
        .injected
        .iter()
        .find(|injected| !injected.canary)
        .map(|injected| injected.key.clone());
    let comes_into = |queue: &Name, state: MessageState| {
        let Some(by) = seen_by(topology, queue, state) else {
            return false;
        };
        let on = On::State {
            state,
            by,
            key: key.clone(),
        };
        let mut matcher = Matcher::new(Trigger {
            nth: 1,
            on,
            after: None,
        });
        key.is_some()
            && evidence
                .ledger
                .events()
                .iter()
                .any(|event| matcher.see(event).fires)
    };
    let consumed = topology
        .queues
        .keys()
        .filter(|queue| topology.consumer_of(queue).is_some());
    consumed
        .map(|queue| {
            let states = MessageState::ALL.into_iter();
            let states = states.filter(|state| Course::of(*state) == course && comes_into(queue, *state));
            (queue.clone(), states.collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Course, Crash, Point, reached, seen_by};
    use crate::event::{Covered, Event, Message, Step};
    use crate::evidence::{EndState, Evidence, Expect, Injected, Plan};
    use crate::fault::MessageState::{self, A0, A1, C0, D, N0, P0, P1, R0, R1, W, X0};
    use crate::ledger::Ledger;
    use crate::name::{Key, Name};
    use crate::topology::Topology;

    fn topology() -> Topology {
        let text = include_str!("../../../fixtures/topologies/production.toml");
        Topology::parse("production.toml", text).unwrap()
    }

    #[test]
    fn every_point_is_told_by_its_name() {
        for state in MessageState::ALL {
            for crash in Crash::ALL {
                let point = Point {
                    queue: "report-tags".into(),
                    state,
                    crash,
                };
                assert_eq!(Point::parse(&point.to_string()), Some(point));
            }
        }
        assert_eq!(
            Point::parse("grid::tags::A0::broker").unwrap().to_string(),
            "grid::tags::A0::broker"
        );
        for name in [
            "grid::tags::A0",
            "grid::tags::A9::broker",
            "grid::tags::A0::disk",
            "broker::killed::A0::broker",
            "grid::straight",
        ] {
            assert_eq!(Point::parse(name), None, "{name}");
        }
        for course in Course::ALL {
            assert_eq!(Course::parse(&course.name()), Some(course));
        }
        assert_eq!(Course::parse("grid::tags::A0::broker"), None);
    }

    #[test]
    fn publishing_is_seen_on_the_publishers_link() {
        let topology = topology();
        let by = |queue, state| seen_by(&topology, queue, state).map(|name| name.to_string());
        assert_eq!(by("analysis", P0).as_deref(), Some("harness"));
        assert_eq!(by("renderer", P1).as_deref(), Some("analyzer"));
        assert_eq!(by("renderer", A0).as_deref(), Some("renderer"));
        assert_eq!(by("ownership", D), None, "nobody consumes it");
        assert_eq!(by("none", D), None);
    }

    /// A trial with the events of report 1 on these services' links.
    fn trial(steps: Vec<(&str, Step)>) -> Evidence {
        let injected = |seq: u64, canary| Injected {
            key: seq.into(),
            seq: Some(seq),
            name: "report".into(),
            times: 1,
            expect: Expect::Effect {
                tags: BTreeSet::new(),
                public: true,
                rendered: true,
            },
            canary,
        };
        let events = steps.into_iter().zip(1..).map(|((svc, step), n)| Event {
            n,
            at: n,
            svc: Some(svc.into()),
            conn: Some(1),
            chan: Some(1),
            step,
        });
        Evidence {
            plan: Plan {
                scenario: "grid::straight".into(),
                topology: topology(),
                must_see: BTreeSet::new(),
                faults: Vec::new(),
                injected: vec![injected(1, false), injected(2, true)],
                waived: BTreeMap::new(),
                recovery_budget_ms: 1000,
            },
            ledger: Ledger::from_events(events.collect()),
            end: EndState::default(),
        }
    }

    fn publish(key: u64, retry: Option<i64>) -> Step {
        let message = Message {
            key: Some(key.into()),
            retry,
            ..Message::default()
        };
        Step::Publish {
            tag: 1,
            mandatory: true,
            message,
        }
    }

    fn covers(key: u64) -> Vec<Covered> {
        vec![Covered {
            tag: 1,
            key: Some(Key::from(key)),
            queue: None,
        }]
    }

    fn deliver(key: u64) -> Step {
        let message = Message {
            key: Some(key.into()),
            ..Message::default()
        };
        Step::Deliver {
            tag: 1,
            consumer: "c".into(),
            queue: None,
            redelivered: false,
            message,
        }
    }

    fn of(reached: &BTreeMap<Name, BTreeSet<MessageState>>, queue: &str) -> Vec<MessageState> {
        reached[queue].iter().copied().collect()
    }

    #[test]
    fn only_what_a_clean_trial_shows_of_its_first_report_is_reached() {
        let evidence = trial(vec![
            ("harness", publish(1, None)),
            (
                "harness",
                Step::Confirm {
                    ok: true,
                    covers: covers(1),
                },
            ),
            ("tags", deliver(1)),
            ("tags", Step::Ack { covers: covers(1) }),
            // Nothing of a canary counts.
            ("analyzer", deliver(2)),
        ]);
        let states = reached(Course::Straight, &evidence);
        assert_eq!(of(&states, "tags"), [P0, P1, D, A0, A1]);
        assert_eq!(of(&states, "analysis"), [P0, P1]);
        assert_eq!(of(&states, "renderer"), []);
        assert!(!states.contains_key("ownership"));
        assert!([W, C0].iter().all(|state| !states["tags"].contains(state)));
    }

    #[test]
    fn a_course_is_asked_for_its_own_states_only() {
        let evidence = trial(vec![
            ("harness", publish(1, None)),
            ("tags", deliver(1)),
            ("tags", publish(1, Some(1))),
            (
                "tags",
                Step::Confirm {
                    ok: true,
                    covers: covers(1),
                },
            ),
            (
                "analyzer",
                Step::Nack {
                    requeue: false,
                    covers: covers(1),
                },
            ),
        ]);
        let retried = reached(Course::Retried, &evidence);
        assert_eq!(
            (of(&retried, "tags"), of(&retried, "analysis")),
            (vec![R0, R1], vec![])
        );
        let rejected = reached(Course::Rejected, &evidence);
        assert_eq!(
            (of(&rejected, "tags"), of(&rejected, "analysis")),
            (vec![], vec![N0, X0])
        );
        let mut nothing = evidence;
        nothing.plan.injected.clear();
        assert_eq!(of(&reached(Course::Retried, &nothing), "tags"), []);
    }
}
