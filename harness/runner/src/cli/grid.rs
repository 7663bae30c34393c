//! `harness grid`: one report, and one crash at each state of its message on each queue.
//!
//! First a trial for each course that a message can take, in which nothing is disturbed; what these do not reach is no
//! point of the grid. Then the points, as trials like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use harness_model::fault::MessageState;
use harness_model::grid::{self, Course, Crash, Point};
use harness_model::name::Name;
use harness_model::seed::Seed;
use harness_model::topology::Topology;
use harness_model::verdict::Kind;
use serde::Serialize;

use super::args::{Format, GridArgs};
use super::{entropy, session, unwritable};
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::kit::Commands;
use crate::report::Finished;
use crate::report::table::{Column, Table};
use crate::run::{self, Planned};
use crate::scenario::Scenario;
use crate::store;

/// The file in the run's folder that the grid is stored in.
const STORED: &str = "grid.json";

/// The states that messages come into, by queue.
type Reached = BTreeMap<Name, BTreeSet<MessageState>>;

/// What is asked for.
struct Asked {
    queues: Vec<Name>,
    states: Vec<MessageState>,
    crashes: Vec<Crash>,
    one_per_state: bool,
    seed: Seed,
}

/// The grid, as far as it was asked for and run.
#[derive(Debug, Serialize)]
struct Grid {
    run: String,
    seed: Seed,
    queues: Vec<Name>,
    states: Vec<MessageState>,
    crashes: Vec<Crash>,
    reached: Reached,
    points: Vec<Ended>,
}

/// A point that was run.
#[derive(Debug, Serialize)]
struct Ended {
    #[serde(flatten)]
    point: Point,
    verdict: Kind,
    trial: String,
}

pub(super) fn run<K: Commands>(
    kit: &K,
    mut settings: Settings,
    mut args: GridArgs,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    args.target.merge(&mut settings);
    args.how.merge(&mut settings);
    let seed = args.seed.unwrap_or_else(|| settings.run_seed(&entropy()));
    let asked = Asked {
        queues: queues(&kit.topology(&settings)?, &args.queues)?,
        states: only(MessageState::ALL, &args.states),
        crashes: only(Crash::ALL, &args.faults),
        one_per_state: args.one_per_state,
        seed,
    };
    let settings = &settings;
    session(kit, settings, |session| {
        let environment = session.wait(kit.environment(settings))?;
        let shared = session.shared(kit, settings, &environment);
        let runtime = session.runtime.handle();
        let execute = |scenarios: &[Scenario<_>], out: &mut dyn Write| {
            let planned: Vec<_> = scenarios
                .iter()
                .map(|scenario| Planned {
                    scenario,
                    seed: seed.derive(scenario.name),
                })
                .collect();
            let mut reporter = args.how.reporter(settings, out);
            run::execute(&shared, &planned, seed, settings.jobs, runtime, &mut *reporter)
        };

        let courses: BTreeSet<_> = asked.states.iter().map(|state| Course::of(*state)).collect();
        let surveys: Vec<_> = courses.into_iter().map(|course| kit.survey(course)).collect();
        let clean = execute(&surveys, &mut *out);
        if clean.exit != Exit::Passed {
            // A pipeline that fails undisturbed has no grid: whatever a point shows, the crash need not have done it.
            return Ok(clean.exit);
        }
        let reached = reached(&clean.finished)?;
        let points = asked.points(&reached);
        if points.is_empty() {
            return Err(Refusal {
                exit: Exit::NothingSelected,
                what: "no point that is asked for is reached by an undisturbed report".to_owned(),
                hint: None,
            });
        }
        let scenarios: Vec<_> = points.iter().map(|point| kit.point(point)).collect();
        let summary = execute(&scenarios, &mut *out);
        let grid = asked.grid(&session.run.id, reached, &summary.finished);
        store::write_json(&session.run.dir, STORED, &grid)?;
        let written = match args.how.format {
            Format::Json => {
                let value = serde_json::json!({ "event": "grid", "grid": grid });
                writeln!(out, "{value}")
            }
            Format::Pretty => grid.write(out),
        };
        written.map_err(unwritable)?;
        Ok(summary.exit)
    })
}

/// The named ones, in the order of all.
fn only<T: PartialEq + Copy, const N: usize>(all: [T; N], named: &[T]) -> Vec<T> {
    let wanted = |one: &T| named.is_empty() || named.contains(one);
    all.into_iter().filter(wanted).collect()
}

/// The named queues that a service consumes, or all of these.
fn queues(topology: &Topology, named: &[String]) -> Result<Vec<Name>, Refusal> {
    let consumed: Vec<_> = topology
        .queues
        .keys()
        .filter(|queue| topology.consumer_of(queue).is_some())
        .cloned()
        .collect();
    let unknown: Vec<_> = named
        .iter()
        .filter(|name| !consumed.iter().any(|queue| *queue == name.as_str()))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        let what = format!("no service consumes a queue {}", unknown.join(" or "));
        return Err(run::nothing_like(
            what,
            &unknown,
            consumed.iter().map(Name::as_str),
        ));
    }
    let wanted = |queue: &Name| named.is_empty() || named.iter().any(|name| *queue == name.as_str());
    Ok(consumed.into_iter().filter(wanted).collect())
}

/// What the clean trials show, by their stored evidence.
fn reached(clean: &[Finished]) -> Result<Reached, Refusal> {
    let mut all = Reached::new();
    for ended in clean {
        let Some(course) = Course::parse(&ended.scenario) else {
            continue;
        };
        let stored = store::read(&ended.dir)?;
        for (queue, states) in grid::reached(course, &stored.evidence) {
            all.entry(queue).or_default().extend(states);
        }
    }
    Ok(all)
}

impl Asked {
    /// The points that are asked for and reached: state by state, so that a run that is cut short has seen some of each
    /// queue.
    fn points(&self, reached: &Reached) -> Vec<Point> {
        let mut points = Vec::new();
        for state in &self.states {
            let there = |queue: &&Name| reached.get(*queue).is_some_and(|states| states.contains(state));
            let of_state: Vec<_> = self
                .queues
                .iter()
                .filter(there)
                .flat_map(|queue| {
                    self.crashes.iter().map(|crash| Point {
                        queue: queue.clone(),
                        state: *state,
                        crash: *crash,
                    })
                })
                .collect();
            if self.one_per_state && !of_state.is_empty() {
                let drawn = self.seed.derive("grid").derive(&state.to_string()).0 % of_state.len() as u64;
                points.push(of_state[drawn as usize].clone());
            } else {
                points.extend(of_state);
            }
        }
        points
    }

    fn grid(self, run: &str, reached: Reached, finished: &[Finished]) -> Grid {
        let ended = |ended: &Finished| {
            Some(Ended {
                point: Point::parse(&ended.scenario)?,
                verdict: ended.verdict.kind,
                trial: ended.trial.clone(),
            })
        };
        let mut points: Vec<_> = finished.iter().filter_map(ended).collect();
        points.sort_by(|a, b| a.point.cmp(&b.point));
        Grid {
            run: run.to_owned(),
            seed: self.seed,
            queues: self.queues,
            states: self.states,
            crashes: self.crashes,
            reached,
            points,
        }
    }
}

impl Grid {
    /// What a point came to, in a word; what was reached but not run is left open.
    fn cell(&self, queue: &Name, state: MessageState, crash: Crash) -> &'static str {
        if !self
            .reached
            .get(queue)
            .is_some_and(|states| states.contains(&state))
        {
            return "·";
        }
        let wanted = Point {
            queue: queue.clone(),
            state,
            crash,
        };
        let ended = self.points.iter().find(|ended| ended.point == wanted);
        match ended.map(|ended| ended.verdict) {
            None => "",
            Some(Kind::Pass) => "ok",
            Some(Kind::Fail) => "FAIL",
            Some(Kind::Hang) => "HANG",
            Some(Kind::Invalid) => "inv",
            Some(Kind::Infra) => "infra",
        }
    }

    /// A table for each queue: states down, crashes across.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for queue in &self.queues {
            let columns = self.crashes.iter().map(|crash| Column::left(crash.word()));
            let mut table = Table::new([Column::left(queue)].into_iter().chain(columns));
            for state in &self.states {
                let cells = self
                    .crashes
                    .iter()
                    .map(|crash| self.cell(queue, *state, *crash).to_owned());
                table.row([state.to_string()].into_iter().chain(cells));
            }
            writeln!(out)?;
            table.write(out)?;
        }
        writeln!(
            out,
            "\n· is not reached by an undisturbed report; a point that is left open was not run"
        )
    }
}

#[cfg(test)]
mod tests {
    use harness_model::fault::MessageState::{A0, D, N0, P0, R0};
    use harness_model::grid::Crash::{Broker, Database, Link, Service};

    use super::{Asked, Reached, Seed, only};

    fn asked(one_per_state: bool, seed: u64) -> Asked {
        Asked {
            queues: vec!["analysis".into(), "tags".into()],
            states: vec![P0, D, A0, N0],
            crashes: vec![Link, Broker],
            one_per_state,
            seed: Seed(seed),
        }
    }

    fn reached() -> Reached {
        Reached::from([
            ("analysis".into(), [D, A0, R0].into()),
            ("tags".into(), [A0].into()),
            ("renderer".into(), [P0, D, A0].into()),
        ])
    }

    fn names(asked: &Asked) -> Vec<String> {
        asked.points(&reached()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn points_are_what_is_asked_for_and_reached() {
        let expected = [
            "grid::analysis::D::link",
            "grid::analysis::D::broker",
            "grid::analysis::A0::link",
            "grid::analysis::A0::broker",
            "grid::tags::A0::link",
            "grid::tags::A0::broker",
        ];
        assert_eq!(names(&asked(false, 1)), expected);
    }

    #[test]
    fn the_seed_draws_one_point_for_each_state() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let names = names(&asked(true, seed));
            assert_eq!(names.len(), 2, "{names:?}");
            assert!(
                names[0].contains("::D::") && names[1].contains("::A0::"),
                "{names:?}"
            );
            assert_eq!(names, self::names(&asked(true, seed)));
            seen.extend(names);
        }
        assert_eq!(seen.len(), 6, "each is drawn by some seed");
    }

    #[test]
    fn nothing_named_means_all() {
        let all = [Link, Service, Database, Broker];
        assert_eq!(only(all, &[]), all);
        assert_eq!(only(all, &[Broker, Link]), [Link, Broker]);
    }
}
