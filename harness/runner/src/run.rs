//! A run: which scenarios, in which order, on how many threads.
//!
//! Each trial has a thread of its own, on which its body is polled; the runtime is shared. The thread that calls
//! [`execute`] starts trials and feeds the reporter. The two sides share a channel and nothing else.

use std::sync::mpsc;

use harness_model::seed::Seed;
use harness_model::verdict::{Finding, Kind};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::cancel::Cancel;
use crate::environment::Environment;
use crate::exit::{Exit, Refusal};
use crate::panics::caught;
use crate::quarantine::Ward;
use crate::report::{Event, Finished, Reporter, Totals};
use crate::scenario::Scenario;
use crate::store;
use crate::trial::{self, Shared};

/// A scenario and the seed to run it with.
#[derive(Debug)]
pub struct Planned<'a, C: 'static> {
    /// The scenario.
    pub scenario: &'a Scenario<C>,
    /// The trial's seed.
    pub seed: Seed,
}

/// What became of a run.
#[derive(Debug)]
pub struct Summary {
    /// Its trials, in the order in which they ended.
    pub finished: Vec<Finished>,
    /// How it ended.
    pub exit: Exit,
}

/// Whether one of `filters` selects `name`: by equality if `exact`, else by family (`family::*`) or as a part of it.
/// Without filters everything is selected.
pub fn selects(filters: &[String], exact: bool, name: &str) -> bool {
    let selected = |filter: &String| match filter.strip_suffix('*') {
        _ if exact => name == filter,
        Some(family) => name.starts_with(family),
        None => name.contains(filter.as_str()),
    };
    filters.is_empty() || filters.iter().any(selected)
}

/// The selected scenarios, `rounds` times, each with the seed that follows from the run's seed, its name and the round,
/// in an order that follows from the run's seed.
///
/// # Errors
/// Nothing is selected; the hint names what comes closest.
pub fn plan<'a, C>(
    catalogue: &'a [Scenario<C>],
    filters: &[String],
    exact: bool,
    seed: Seed,
    rounds: u32,
) -> Result<Vec<Planned<'a, C>>, Refusal> {
    let mut selected: Vec<_> = catalogue
        .iter()
        .filter(|scenario| selects(filters, exact, scenario.name))
        .collect();
    if selected.is_empty() {
        return Err(nothing(catalogue, filters));
    }
    let mut planned = Vec::new();
    for round in 1..=rounds {
        // The first round is the one that a run without rounds has.
        let seed = if round == 1 {
            seed
        } else {
            seed.derive(&format!("round-{round}"))
        };
        let order = seed.derive("order");
        selected.sort_by_key(|scenario| (order.derive(scenario.name), scenario.name));
        planned.extend(selected.iter().map(|scenario| Planned {
            scenario,
            seed: seed.derive(scenario.name),
        }));
    }
    Ok(planned)
}

fn nothing<C>(catalogue: &[Scenario<C>], filters: &[String]) -> Refusal {
    let what = format!("no scenario is selected by {}", filters.join(" "));
    nothing_like(what, filters, catalogue.iter().map(|scenario| scenario.name))
}

/// Nothing is selected; the hint names what comes closest to what was `asked` for.
pub(crate) fn nothing_like<'a>(
    what: String,
    asked: &[String],
    known: impl IntoIterator<Item = &'a str>,
) -> Refusal {
    let near = known.into_iter().map(|name| {
        let distance = asked.iter().map(|asked| distance(asked, name)).min();
        (distance.unwrap_or(usize::MAX), name)
    });
    let mut near: Vec<_> = near.collect();
    near.sort_unstable();
    let names: Vec<_> = near.iter().take(3).map(|(_, name)| *name).collect();
    let refusal = Refusal {
        exit: Exit::NothingSelected,
        what,
        hint: None,
    };
    if names.is_empty() {
        refusal
    } else {
        refusal.hint(format!("closest are {}", names.join(", ")))
    }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Runs what is planned, `jobs` trials at a time. After an interruption no trial is begun.
pub fn execute<E: Environment>(
    shared: &Shared<'_, E>,
    planned: &[Planned<'_, E::Cx>],
    seed: Seed,
    jobs: usize,
    runtime: &Handle,
    reporter: &mut dyn Reporter,
) -> Summary {
    let trials: Vec<_> = planned.iter().map(|planned| (shared, planned)).collect();
    let whole = Whole {
        run: shared.run,
        cancel: shared.cancel,
        ward: shared.ward,
    };
    execute_each(&trials, &whole, seed, jobs, runtime, reporter)
}

/// What a run is as a whole, whatever each of its trials has.
#[derive(Debug)]
pub struct Whole<'a> {
    /// Its folder.
    pub run: &'a store::Run,
    /// Its interruption.
    pub cancel: &'a Cancel,
    /// The quarantine whose rates its trials together have to keep.
    pub ward: &'a Ward,
}

/// The same for trials each of which has an environment, a judge and a part of the run of its own. They are begun in
/// their order.
pub fn execute_each<E: Environment>(
    trials: &[(&Shared<'_, E>, &Planned<'_, E::Cx>)],
    whole: &Whole<'_>,
    seed: Seed,
    jobs: usize,
    runtime: &Handle,
    reporter: &mut dyn Reporter,
) -> Summary {
    let started = Instant::now();
    let mut reader_is_there = true;
    let mut show = |event: &Event| {
        if reader_is_there && let Err(error) = reporter.show(event) {
            reader_is_there = false;
            tracing::warn!(%error, "the report cannot be written any more");
        }
    };
    show(&Event::RunStarted {
        run: whole.run.id.clone(),
        seed,
        trials: trials.len(),
        dir: whole.run.dir.clone(),
    });

    let mut finished: Vec<Finished> = Vec::new();
    let mut bug = false;
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let mut waiting = trials.iter();
        let mut running = 0;
        loop {
            while running < jobs
                && !whole.cancel.is_cancelled()
                && let Some(&(shared, next)) = waiting.next()
            {
                let sender = sender.clone();
                scope.spawn(move || {
                    let ended =
                        runtime.block_on(caught(trial::run(shared, next.scenario, next.seed, &sender)));
                    let ended = ended.unwrap_or_else(|message| {
                        let what = format!("the runner panicked: {message}");
                        let finding = Finding::new(Kind::Infra, "bug", what);
                        trial::without_trial(next.scenario.name, next.seed, shared.run, finding)
                    });
                    // The receiver outlives every trial.
                    drop(sender.send(Event::TrialFinished(Box::new(ended))));
                });
                running += 1;
            }
            if running == 0 {
                break;
            }
            // Cannot fail: this thread holds a sender, and every trial that runs sends its end.
            let Ok(event) = receiver.recv() else { break };
            show(&event);
            if let Event::TrialFinished(ended) = event {
                running -= 1;
                bug |= ended.verdict.findings.iter().any(|finding| finding.rule == "bug");
                finished.push(*ended);
            }
        }
    });

    // Only now is it known how often each scenario has failed.
    whole.ward.limit(&mut finished);
    let mut totals = Totals::default();
    for ended in &finished {
        totals.add(ended);
    }
    let exit = if bug {
        Exit::Bug
    } else if whole.cancel.is_cancelled() {
        Exit::Interrupted
    } else {
        Exit::of(finished.iter().map(Finished::counts_as))
    };
    totals.not_run = trials.len() - finished.len();
    totals.took = started.elapsed();
    show(&Event::RunFinished(totals.ending(exit)));
    Summary { finished, exit }
}

#[cfg(test)]
mod tests {
    use super::{distance, selects};

    #[test]
    fn filters_select_by_part_by_family_and_exactly() {
        let on = |filter: &str, exact, name| selects(&[filter.to_owned()], exact, name);
        assert!(selects(&[], false, "broker::kill"));
        assert!(on("kill", false, "broker::kill"));
        assert!(on("broker::*", false, "broker::kill"));
        assert!(!on("broker::*", false, "link::broker::kill"));
        assert!(on("broker::kill", true, "broker::kill"));
        assert!(!on("broker::kill", true, "broker::kill_twice"));
        assert!(!on("broker::*", true, "broker::kill"));
    }

    #[test]
    fn distances_count_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("broker::kil", "broker::kill"), 1);
    }
}
