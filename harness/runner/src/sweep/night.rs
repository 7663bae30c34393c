//! Runs a sweep: rounds of what is due of each scenario, then experiments about what has failed, but not always.
//!
//! Each trial has a folder of its own number, `N/family.name`, so that where it is does not depend on which trial begins
//! first. The folders of trials that passed are removed but for the first few, which are compared with what failed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::time::Duration;

use camino::Utf8Path;
use harness_model::divergence::{self, Course};
use harness_model::ledger::Reader;
use harness_model::perturbation::{Axis, Perturbation};
use harness_model::quarantine::Standing;
use harness_model::seed::Seed;
use harness_model::verdict::Kind;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::experiment::{Experiment, Repetitions};
use super::plan::{Counts, rounds_are_over};
use super::{Record, Suspect};
use crate::config::UnderTest;
use crate::environment::Environment;
use crate::exit::Refusal;
use crate::quarantine::Ward;
use crate::report::scene::plain;
use crate::report::{Event, Finished, Reporter};
use crate::run::{self, Planned, Whole};
use crate::scenario::Scenario;
use crate::trial::Shared;

/// So many trials that passed are kept of each scenario.
const KEPT: u64 = 8;

/// What is asked for.
#[derive(Debug)]
pub struct Asked {
    /// The sweep's seed.
    pub seed: Seed,
    /// What is varied.
    pub axes: Vec<Axis>,
    /// Trials of each scenario.
    pub trials: u64,
    /// How long trials may be begun.
    pub budget: Option<Duration>,
    /// Trials at the same time.
    pub jobs: usize,
}

/// Runs a sweep of these scenarios, and gives its trials and what was found out about those scenarios that have failed, but
/// not always.
///
/// # Errors
/// The store cannot be used.
pub fn run<E: Environment>(
    asked: Asked,
    scenarios: &[Scenario<E::Cx>],
    shared: &Shared<'_, E>,
    runtime: &Handle,
    reporter: &mut dyn Reporter,
) -> Result<(Vec<Record>, BTreeMap<String, Suspect>), Refusal> {
    let mut night = Night {
        asked,
        scenarios,
        shared,
        runtime,
        reporter,
        begun: Instant::now(),
    };
    night.run()
}

/// One trial that is to be run.
#[derive(Debug, Clone)]
struct Due {
    scenario: usize,
    n: u64,
    part: String,
    seed: Seed,
    perturbation: Perturbation,
}

/// A sweep that is being run.
struct Night<'a, 'r, E: Environment> {
    asked: Asked,
    scenarios: &'a [Scenario<E::Cx>],
    shared: &'a Shared<'a, E>,
    runtime: &'a Handle,
    reporter: &'r mut dyn Reporter,
    begun: Instant,
}

impl<E: Environment> Night<'_, '_, E> {
    /// Runs rounds until nothing is due, then the experiments.
    ///
    /// # Errors
    /// The store cannot be used.
    fn run(&mut self) -> Result<(Vec<Record>, BTreeMap<String, Suspect>), Refusal> {
        let mut records: Vec<Record> = Vec::new();
        let mut counts = vec![Counts::default(); self.scenarios.len()];
        for round in 1_u64.. {
            let due = self.due(round, &counts);
            if due.is_empty() || self.rounds_are_over(&counts) {
                break;
            }
            // In slices, so that a budget of time is not overrun by a whole round.
            for slice in due.chunks(self.asked.jobs * 8) {
                if self.rounds_are_over(&counts) {
                    break;
                }
                for (due, ended) in self.execute(slice)? {
                    counts[due.scenario].count(ended.verdict.kind);
                    if ended.verdict.kind == Kind::Pass && due.n > KEPT {
                        drop(fs::remove_dir_all(&ended.dir));
                    }
                    records.push(record(&due, &ended));
                }
            }
        }
        let mut suspects = BTreeMap::new();
        for (at, counts) in counts.iter().enumerate() {
            let name = self.scenarios[at].name;
            let of: Vec<_> = records.iter().filter(|record| record.scenario == name).collect();
            let failed = |record: &&&Record| matches!(record.verdict, Kind::Fail | Kind::Hang);
            let first = of.iter().filter(failed).min_by_key(|record| record.n);
            if let Some(first) = first.filter(|_| counts.is_suspect()) {
                let suspect = self.suspect(at, first, &of)?;
                suspects.insert(name.to_owned(), suspect);
            }
        }
        Ok((records, suspects))
    }

    fn rounds_are_over(&self, counts: &[Counts]) -> bool {
        let suspects = counts.iter().any(|counts| counts.is_suspect());
        self.shared.cancel.is_cancelled()
            || rounds_are_over(self.begun.elapsed(), self.asked.budget, suspects)
    }

    fn is_over(&self) -> bool {
        let spent = self.begun.elapsed();
        self.shared.cancel.is_cancelled() || self.asked.budget.is_some_and(|budget| spent >= budget)
    }

    /// What is due in a round, in an order that the seed draws.
    fn due(&self, round: u64, counts: &[Counts]) -> Vec<Due> {
        let order = self.asked.seed.derive(&format!("round-{round}"));
        let mut due = Vec::new();
        for (at, (scenario, counts)) in self.scenarios.iter().zip(counts).enumerate() {
            let from = counts.all() + 1;
            due.extend((from..from + counts.due(self.asked.trials)).map(|n| self.nth(at, scenario, n)));
        }
        due.sort_by_key(|due| {
            let scenario = order.derive(self.scenarios[due.scenario].name);
            (scenario.derive(&due.part), due.scenario, due.n)
        });
        due
    }

    /// The nth trial of a scenario. The first is undisturbed: it is what a run would do.
    fn nth(&self, at: usize, scenario: &Scenario<E::Cx>, n: u64) -> Due {
        let own = self.asked.seed.derive(scenario.name);
        let drawn = own.derive(&n.to_string());
        let varied = self.asked.axes.contains(&Axis::Seed);
        Due {
            scenario: at,
            n,
            part: n.to_string(),
            seed: if varied { drawn } else { own },
            perturbation: if n == 1 {
                Perturbation::default()
            } else {
                Perturbation::draw(&self.asked.axes, drawn.derive("perturbation"))
            },
        }
    }

    /// Runs trials, and gives them back in the order in which they were given. One that was interrupted says nothing and
    /// is left out.
    fn execute(&mut self, due: &[Due]) -> Result<Vec<(Due, Finished)>, Refusal> {
        let parts: Vec<_> = due
            .iter()
            .map(|due| self.shared.run.part(&due.part))
            .collect::<Result<_, _>>()?;
        let under_test: Vec<_> = due
            .iter()
            .map(|due| UnderTest {
                perturbation: due.perturbation.clone(),
                ..self.shared.under_test.clone()
            })
            .collect();
        let shared: Vec<_> = parts
            .iter()
            .zip(&under_test)
            .map(|(run, under_test)| Shared {
                environment: self.shared.environment,
                judge: self.shared.judge,
                limits: self.shared.limits,
                run,
                under_test,
                ward: self.shared.ward,
                cancel: self.shared.cancel,
            })
            .collect();
        let planned: Vec<_> = due
            .iter()
            .map(|due| Planned {
                scenario: &self.scenarios[due.scenario],
                seed: due.seed,
            })
            .collect();
        let trials: Vec<_> = shared.iter().zip(&planned).collect();
        let summary = run::execute_each(
            &trials,
            &Whole {
                run: self.shared.run,
                cancel: self.shared.cancel,
                // Rates are for all rounds together; see the command.
                ward: &Ward::default(),
            },
            self.asked.seed,
            self.asked.jobs,
            self.runtime,
            &mut Within(self.reporter),
        );
        let mut by_place: BTreeMap<(String, String), Finished> = BTreeMap::new();
        for ended in summary.finished {
            if !ended.was_interrupted() {
                let part = ended.part().unwrap_or_default().to_owned();
                by_place.insert((part, ended.scenario.clone()), ended);
            }
        }
        let of = |due: &Due| {
            let name = self.scenarios[due.scenario].name.to_owned();
            by_place.remove(&(due.part.clone(), name))
        };
        let ended: Vec<_> = due.iter().map(of).collect();
        let pairs = due.iter().cloned().zip(ended);
        Ok(pairs.filter_map(|(due, ended)| Some((due, ended?))).collect())
    }

    /// What can be found out about a suspect by its ledgers, and by running its first failure again, as it was and
    /// with one thing taken away.
    fn suspect(&mut self, at: usize, first: &Record, of: &[&Record]) -> Result<Suspect, Refusal> {
        let folder = |record: &Record| {
            let scenario = record.scenario.replace("::", ".");
            self.shared.run.dir.join(record.n.to_string()).join(scenario)
        };
        let passing = of
            .iter()
            .filter(|record| record.verdict == Kind::Pass && record.n <= KEPT)
            .filter_map(|record| course(&folder(record)))
            .collect::<Vec<_>>();
        let divergence = course(&folder(first)).and_then(|failing| divergence::first(&passing, &failing));

        let own = self.asked.seed.derive(&first.scenario);
        let varied = first.perturbation.axes().into_iter().collect::<BTreeSet<_>>();
        let mut axes: Vec<_> = varied.into_iter().filter(|axis| *axis != Axis::Seed).collect();
        if self.asked.axes.contains(&Axis::Seed) {
            axes.insert(0, Axis::Seed);
        }
        let repetition = |without: Option<Axis>, k: u64| Due {
            scenario: at,
            n: 0,
            part: format!("again-{}-{k}", without.map_or("all", Axis::word)),
            seed: match without {
                Some(Axis::Seed) => own.derive(&format!("other-{k}")),
                _ => first.seed,
            },
            perturbation: without.map_or_else(
                || first.perturbation.clone(),
                |axis| first.perturbation.without(axis),
            ),
        };
        let mut experiment = Experiment::new(&axes);
        while let due @ [_, ..] = &*experiment.due() {
            for Repetitions { without, from, to } in due.iter().copied() {
                let due: Vec<_> = (from..=to).map(|k| repetition(without, k)).collect();
                match self.tally(&due)? {
                    Some(tally) => experiment.count(without, tally),
                    None => experiment.stop(),
                }
                if experiment.is_over() {
                    break;
                }
            }
            experiment.look();
        }
        let (again, arms) = experiment.found();
        Ok(Suspect {
            run: self.shared.run.id.clone(),
            trial: first.trial.clone(),
            divergence,
            again,
            arms,
        })
    }

    /// How many of these failed, of how many that say something; nothing if the time is over.
    fn tally(&mut self, due: &[Due]) -> Result<Option<(u64, u64)>, Refusal> {
        if self.is_over() {
            return Ok(None);
        }
        let mut counts = Counts::default();
        for (_, ended) in self.execute(due)? {
            counts.count(ended.verdict.kind);
            drop(fs::remove_dir_all(&ended.dir));
        }
        Ok(Some((counts.failed, counts.telling())))
    }
}

fn record(due: &Due, ended: &Finished) -> Record {
    Record {
        scenario: ended.scenario.clone(),
        n: due.n,
        seed: due.seed,
        perturbation: due.perturbation.clone(),
        verdict: ended.verdict.kind,
        trial: ended.trial.clone(),
        held: ended.quarantine == Some(Standing::Held),
        what: ended.verdict.findings.first().map(|worst| {
            let first = worst.what.lines().next().unwrap_or_default();
            format!("{}: {}", plain(&worst.rule), plain(first))
        }),
    }
}

/// The course of a stored trial, as far as its ledger can be read.
fn course(dir: &Utf8Path) -> Option<Course> {
    let file = File::open(dir.join("ledger.jsonl")).ok()?;
    let mut course = Course::default();
    for event in Reader::new(BufReader::new(file)).map_while(Result::ok) {
        course.see(&event);
    }
    Some(course)
}

/// Passes on what happens to trials: a sweep has many runs, and is shown as one.
struct Within<'a>(&'a mut dyn Reporter);

impl Reporter for Within<'_> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::RunStarted { .. } | Event::RunFinished(_) => Ok(()),
            _ => self.0.show(event),
        }
    }
}

/// Where a trial's folder is in that of its run, for a command.
pub(crate) fn place(run: &Utf8Path, trial: &str) -> String {
    let (part, name) = trial.split_once('/').unwrap_or((".", trial));
    run.join(part).join(name.replace("::", ".")).into_string()
}
