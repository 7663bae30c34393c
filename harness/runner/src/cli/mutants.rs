//! `harness mutants`: planted bugs, one by one.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::bugs::{Bug, Catalogue, CatalogueError, UNMODIFIED};
use harness_model::name::Name;
use harness_model::seed::Seed;

use super::args::{Format, MutantsArgs};
use super::{Session, entropy, session, unwritable};
use crate::config::{Settings, UnderTest};
use crate::exit::{Exit, Refusal};
use crate::kit::{Commands, CxOf};
use crate::mutants::{Attempt, Matrix, Seen, Watched};
use crate::report::json::Json;
use crate::report::pretty::Pretty;
use crate::report::{Event, Finished, Reporter};
use crate::run::{self, Planned, Whole};
use crate::scenario::Scenario;
use crate::store;
use crate::trial::{Limits, Shared};

/// The file in the run's folder that the matrix is stored in.
const STORED: &str = "mutants.json";

pub(super) fn run<K: Commands>(
    kit: &K,
    mut settings: Settings,
    mut args: MutantsArgs,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    args.target.merge(&mut settings);
    args.how.merge(&mut settings);
    let seed = args.seed.unwrap_or_else(|| settings.run_seed(&entropy()));
    let bugs = select(kit, &settings, args.bugs, &args.names)?;
    let json = matches!(args.how.format, Format::Json);
    session(kit, &settings, |session| {
        let baseline = (!args.no_baseline).then(|| kit.baseline());
        let worlds = session.wait(worlds(kit, session, &settings, &bugs))?;
        let plan = plan(kit, &worlds, &bugs, baseline.as_ref(), args.runs, seed);
        let mut reporter: Box<dyn Reporter + '_> = if json {
            Box::new(Json(&mut *out))
        } else {
            Box::new(Progress {
                pretty: Pretty::new(&mut *out, io::stderr().is_terminal(), false)
                    .guarded(settings.github_actions),
                bugs: &bugs,
            })
        };
        let summary = execute(kit, session, &worlds, &plan, seed, settings.jobs, &mut *reporter);
        drop(reporter);
        let named = baseline.map_or("", |baseline| baseline.name);
        let matrix = Matrix::of(&session.run.id, seed, &bugs, named, &summary.finished);
        store::write_json(&session.run.dir, STORED, &matrix)?;
        let written = if json {
            let value = serde_json::json!({ "event": "mutants", "matrix": matrix });
            writeln!(out, "{value}")
        } else {
            writeln!(out).and_then(|()| matrix.write(out))
        };
        written.map_err(unwritable)?;
        Ok(match summary.exit {
            Exit::Bug | Exit::Interrupted => summary.exit,
            _ => matrix.exit(),
        })
    })
}

/// The bugs that are asked for, of all catalogues.
fn select<K: Commands>(
    kit: &K,
    settings: &Settings,
    file: Option<Utf8PathBuf>,
    names: &[String],
) -> Result<Vec<Bug>, Refusal> {
    let topology = kit.topology(settings)?;
    let services: Vec<_> = topology.services.keys().map(Name::as_str).collect();
    let scenarios: Vec<_> = kit.catalogue().iter().map(|scenario| scenario.name).collect();
    let asked = |bug: &Bug| names.is_empty() || names.contains(&bug.id);
    let files = file.map_or_else(|| kit.bug_catalogues(), |file| Ok(vec![file]))?;
    let mut all: Vec<Bug> = Vec::new();
    for file in files {
        let refused =
            |error: &CatalogueError| Refusal::config(format!("{file}:\n{}", error.render(100, false)));
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Refusal::config(format!("{file}: {error}")).hint("name a file with --bugs"))?;
        let catalogue = Catalogue::parse(file.as_str(), &text)
            .and_then(|catalogue| catalogue.check(asked, &scenarios, &services))
            .map_err(|error| refused(&error))?;
        if let Some(twice) = catalogue
            .bugs()
            .iter()
            .find(|bug| all.iter().any(|known| known.id == bug.id))
        {
            return Err(Refusal::config(format!(
                "{file}: another catalogue has a bug {}, too",
                twice.id
            )));
        }
        let folder = file.parent().unwrap_or(Utf8Path::new(""));
        all.extend(catalogue.bugs().iter().map(|bug| Bug {
            scripts: scripts(folder, bug),
            ..bug.clone()
        }));
    }
    let unknown: Vec<_> = names
        .iter()
        .filter(|name| !all.iter().any(|bug| bug.id == **name))
        .cloned()
        .collect();
    if all.is_empty() || !unknown.is_empty() {
        let what = if unknown.is_empty() {
            "the catalogue names no bug".to_owned()
        } else {
            format!("no bug is called {}", unknown.join(" or "))
        };
        return Err(run::nothing_like(
            what,
            &unknown,
            all.iter().map(|bug| bug.id.as_str()),
        ));
    }
    all.retain(asked);
    Ok(all)
}

/// A bug's scripts, wherever this process is: a stored trial names them, too.
fn scripts(folder: &Utf8Path, bug: &Bug) -> BTreeMap<String, String> {
    let absolute = |path: &String| {
        let path = folder.join(path);
        path.canonicalize_utf8().unwrap_or(path).into_string()
    };
    let scripts = bug.scripts.iter();
    scripts
        .map(|(what, path)| (what.clone(), absolute(path)))
        .collect()
}

/// A part of the run: the pipeline with one bug, or with none.
struct World<E> {
    part: store::Run,
    under_test: UnderTest,
    watched: Watched<E>,
    bare: Watched<E>,
}

/// One for each bug, and one more without any.
async fn worlds<K: Commands>(
    kit: &K,
    session: &Session<'_>,
    settings: &Settings,
    bugs: &[Bug],
) -> Result<Vec<World<K::Environment>>, Refusal> {
    let mut variants: Vec<_> = bugs
        .iter()
        .map(|bug| UnderTest {
            env: bug.switch(),
            scripts: bug.scripts.clone(),
            ..settings.under_test.clone()
        })
        .collect();
    variants.push(settings.under_test.clone());
    let environments = kit.environments(settings, &variants).await?;
    let names = bugs.iter().map(|bug| bug.id.as_str()).chain([UNMODIFIED]);
    let mut worlds = Vec::new();
    for ((name, under_test), environment) in names.zip(variants).zip(environments) {
        let inner = Arc::new(environment);
        worlds.push(World {
            part: session.run.part(name)?,
            under_test,
            watched: Watched {
                inner: Arc::clone(&inner),
                bare: false,
            },
            bare: Watched { inner, bare: true },
        });
    }
    Ok(worlds)
}

/// A trial in a world, with rules that judge or without.
struct Trial<C: 'static> {
    world: usize,
    bare: bool,
    scenario: Scenario<C>,
    seed: Seed,
}

/// Bug by bug, in the order of the catalogue; the naive check on the unmodified pipeline first.
fn plan<K: Commands>(
    kit: &K,
    worlds: &[World<K::Environment>],
    bugs: &[Bug],
    baseline: Option<&Scenario<CxOf<K>>>,
    runs: u32,
    seed: Seed,
) -> Vec<Trial<CxOf<K>>> {
    let naive = |world: usize, name: &str| {
        baseline.map(|baseline| Trial {
            world,
            bare: true,
            scenario: *baseline,
            seed: seed.derive(name).derive(baseline.name),
        })
    };
    let mut plan: Vec<_> = naive(worlds.len() - 1, UNMODIFIED).into_iter().collect();
    for (world, bug) in bugs.iter().enumerate() {
        for name in &bug.scenarios {
            let found = kit.catalogue().iter().find(|scenario| scenario.name == name);
            plan.extend(found.into_iter().flat_map(|scenario| {
                (1..=runs).map(move |k| Trial {
                    world,
                    bare: false,
                    scenario: *scenario,
                    seed: seed.derive(&bug.id).derive(name).derive(&k.to_string()),
                })
            }));
        }
        plan.extend(naive(world, &bug.id));
    }
    plan
}

fn execute<K: Commands>(
    kit: &K,
    session: &Session<'_>,
    worlds: &[World<K::Environment>],
    plan: &[Trial<CxOf<K>>],
    seed: Seed,
    jobs: usize,
    reporter: &mut dyn Reporter,
) -> run::Summary {
    let shared: Vec<_> = plan
        .iter()
        .map(|trial| {
            let world = &worlds[trial.world];
            Shared {
                environment: if trial.bare { &world.bare } else { &world.watched },
                judge: if trial.bare { |_| Vec::new() } else { kit.judge() },
                limits: Limits::default(),
                run: &world.part,
                under_test: &world.under_test,
                ward: &session.ward,
                cancel: &session.cancel,
            }
        })
        .collect();
    let planned: Vec<_> = plan
        .iter()
        .map(|trial| Planned {
            scenario: &trial.scenario,
            seed: trial.seed,
        })
        .collect();
    let trials: Vec<_> = shared.iter().zip(&planned).collect();
    let runtime = session.runtime.handle();
    run::execute_each(
        &trials,
        &Whole {
            run: &session.run,
            cancel: &session.cancel,
            ward: &session.ward,
        },
        seed,
        jobs,
        runtime,
        reporter,
    )
}

/// One line for each trial that has ended, and no scene: a trial with a bug is there to fail.
struct Progress<'a, W> {
    pretty: Pretty<W>,
    bugs: &'a [Bug],
}

impl<W: Write> Reporter for Progress<'_, W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::TrialStarted { trial, scenario, .. } => {
                let part = trial.split_once('/').map_or("", |(part, _)| part);
                self.pretty.begin(trial, &format!("{part}  {scenario}"));
                Ok(())
            }
            Event::TrialFinished(finished) => {
                let line = format!("{}\n", self.line(finished));
                self.pretty.end(&finished.trial, line.as_bytes())
            }
            // What the trials come to is in the matrix.
            Event::RunFinished(_) => Ok(()),
            Event::RunStarted { .. } | Event::Phase { .. } => self.pretty.show(event),
        }
    }
}

impl<W> Progress<'_, W> {
    fn line(&self, finished: &Finished) -> String {
        let part = finished.part().unwrap_or_default();
        let what = format!("{part}  {}", finished.scenario);
        let bug = self
            .bugs
            .iter()
            .find(|bug| bug.id == part && bug.scenarios.contains(&finished.scenario));
        match bug {
            Some(bug) => Attempt::of(bug, finished).line(&what),
            None => Seen::of(finished).line(&what, finished),
        }
    }
}
