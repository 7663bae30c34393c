//! The command line: `harness`.
//!
//! Without a command it runs scenarios. Results go to stdout, complaints and moving lines to stderr. Every way to end
//! is an [`Exit`], returned and never taken by force, so that everything that was opened is closed.

mod args;
mod check;
mod coverage;
mod examples;
mod export;
mod grid;
mod mutants;
mod quarantine;
mod report;
mod review;
mod stack;
mod sweep;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use camino::Utf8PathBuf;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use harness_model::grid::{Course, Point};
use harness_model::seed::Seed;
use harness_model::verdict::{Kind, Verdict};
use tokio::runtime::Runtime;

use crate::busy::Busy;
use crate::cancel::Cancel;
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::kit::{Commands, CxOf, Kit};
use crate::quarantine::Ward;
use crate::report::forms::{Told, places};
use crate::report::json::Json;
use crate::report::pretty::Pretty;
use crate::report::scene::{self, Scene};
use crate::report::{Finished, Reporter, guard};
use crate::run::{self, Planned, Summary};
use crate::scenario::Scenario;
use crate::trial::{self, Limits, Shared};
use crate::{bound, logging, store};
use args::{Cli, Command, Format, GridArgs, HowArgs, MutantsArgs, RunArgs, StackCommand, SweepArgs};

/// The command line's `main`.
pub fn main<K: Commands>(kit: &K) -> ExitCode {
    let stderr = &mut io::stderr();
    match Settings::from_process() {
        Ok(settings) => dispatch(kit, std::env::args_os(), settings, &mut io::stdout(), stderr).into(),
        Err(refusal) => refuse(&refusal, stderr).into(),
    }
}

/// Does what `args` (the first is the program's name) ask for.
pub fn dispatch<K: Commands>(
    kit: &K,
    args: impl IntoIterator<Item = OsString>,
    settings: Settings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    match Cli::try_parse_from(args) {
        Ok(cli) => {
            let command = cli.command.unwrap_or(Command::Run(cli.run));
            let guarded = settings.github_actions;
            let done = match command.guard().filter(|_| guarded) {
                None => command.perform(kit, settings, out),
                Some(Guard::Json) => command.perform(kit, settings, &mut guard::Escaped(out)),
                Some(Guard::Text) => {
                    // All of it is between the two commands, so nothing in it needs them again.
                    let settings = Settings {
                        github_actions: false,
                        ..settings
                    };
                    command.perform(kit, settings, &mut guard::Stopped::new(out))
                }
            };
            done.unwrap_or_else(|refusal| {
                if guarded {
                    refuse(&refusal, &mut guard::Stopped::new(err))
                } else {
                    refuse(&refusal, err)
                }
            })
        }
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let text = error.render();
            drop(if asked {
                write!(out, "{text}")
            } else {
                write!(err, "{text}")
            });
            if asked { Exit::Passed } else { Exit::Refused }
        }
    }
}

fn refuse(refusal: &Refusal, err: &mut dyn Write) -> Exit {
    // Where stderr is gone, the exit code still says it.
    drop(writeln!(err, "error: {}", refusal.what));
    if let Some(hint) = &refusal.hint {
        drop(writeln!(err, "hint: {hint}"));
    }
    refusal.exit
}

/// How the output of a command is kept from being read as commands of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Commands are switched off while it is written.
    Text,
    /// It is JSON, which can be written so that it holds none.
    Json,
}

impl Command {
    /// What shows text that is not ours is guarded as a whole, but for what has commands of its own to say, or guards its
    /// foreign text piece by piece.
    fn guard(&self) -> Option<Guard> {
        let format = match self {
            Self::List { format, .. } => format,
            Self::Run(RunArgs { how, .. })
            | Self::Reproduce { how, .. }
            | Self::Mutants(MutantsArgs { how, .. })
            | Self::Grid(GridArgs { how, .. })
            | Self::Sweep(SweepArgs { how, .. }) => &how.format,
            Self::Coverage(args) => &args.format,
            Self::Check(args) => &args.format,
            _ => &Format::Pretty,
        };
        match (format, self) {
            (Format::Json, _) => Some(Guard::Json),
            (
                _,
                Self::Run(_)
                | Self::Reproduce { .. }
                | Self::Export(_)
                | Self::Completions { .. }
                | Self::PoolServer { .. },
            ) => None,
            _ => Some(Guard::Text),
        }
    }

    fn perform<K: Commands>(
        self,
        kit: &K,
        mut settings: Settings,
        out: &mut dyn Write,
    ) -> Result<Exit, Refusal> {
        match self {
            Self::Run(args) => {
                args.target.merge(&mut settings);
                let seed = args.seed.unwrap_or_else(|| settings.run_seed(&entropy()));
                let planned = run::plan(kit.catalogue(), &args.filters, args.exact, seed, args.rounds)?;
                let load = Busy::start(args.busy);
                let ward = ward(kit, &settings)?;
                settings.reports.extend(args.report);
                let summary = run(kit, &mut settings, &planned, seed, &ward, args.how, out)?;
                drop(load);
                if args.rounds > 1 {
                    writeln!(out, "{}", bound::sentence(&summary.finished)).map_err(unwritable)?;
                }
                for line in ward.exceeded(&summary.finished) {
                    writeln!(out, "{line}").map_err(unwritable)?;
                }
                Ok(summary.exit)
            }
            Self::List { filters, format } => list(kit.catalogue(), &filters, format, out),
            Self::Images(target) => {
                target.merge(&mut settings);
                with_runtime(|runtime| runtime.block_on(kit.images(&settings, out)))
            }
            Self::Doctor(target) => {
                target.merge(&mut settings);
                with_runtime(|runtime| runtime.block_on(kit.doctor(&settings, out)))
            }
            Self::Gc => with_runtime(|runtime| runtime.block_on(kit.gc(&settings, out))),
            Self::Recheck { dir } => recheck(kit, &dir, out),
            Self::Mutants(args) => mutants::run(kit, settings, args, out),
            Self::Grid(args) => grid::run(kit, settings, args, out),
            Self::Check(args) => check::run(kit, &settings, &args, out),
            Self::Coverage(args) => coverage::run(&settings, &args, out),
            Self::Export(args) => export::run(kit, &settings, args, out),
            Self::Quarantine { command } => quarantine::run(kit, &settings, command, out),
            Self::Sweep(args) => sweep::run(kit, settings, args, out),
            Self::Report(args) => report::run(kit, &settings, &args, out),
            Self::Review(args) => review::run(kit, &args, out),
            Self::Stack(StackCommand::Up(args)) => stack::up(kit, settings, args, out),
            Self::Completions { shell } => completions(shell, out),
            Self::Reproduce { dir, times, how } => reproduce(kit, settings, &dir, times, how, out),
            Self::Bench { names, runs, target } => {
                target.merge(&mut settings);
                with_runtime(|runtime| runtime.block_on(kit.bench(&settings, &names, runs, out)))
            }
            Self::PoolServer { args } => {
                crate::logging::init_stderr(&settings.log)?;
                with_runtime(|runtime| runtime.block_on(kit.pool_server(&settings, &args)))
            }
        }
    }
}

/// What a drawn seed is drawn from.
pub(crate) fn entropy() -> String {
    format!(
        "{} {}",
        jiff::Timestamp::now().as_nanosecond(),
        std::process::id()
    )
}

/// Writes what a shell needs to complete commands.
fn completions(shell: Shell, out: &mut dyn Write) -> Result<Exit, Refusal> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "harness", &mut script);
    out.write_all(&script).map_err(unwritable)?;
    Ok(Exit::Passed)
}

fn with_runtime<T>(work: impl FnOnce(&Runtime) -> Result<T, Refusal>) -> Result<T, Refusal> {
    let runtime = Runtime::new().map_err(|error| Refusal {
        exit: Exit::Bug,
        what: format!("cannot start the runtime: {error}"),
        hint: None,
    })?;
    let context = runtime.enter();
    let result = work(&runtime);
    drop(context);
    // Tasks that are still there belong to nobody any more.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// The quarantine that holds for this catalogue today.
fn ward<K: Kit>(kit: &K, settings: &Settings) -> Result<Ward, Refusal> {
    let catalogue: Vec<_> = kit.catalogue().iter().map(|scenario| scenario.name).collect();
    Ward::read(
        kit.quarantine(settings).as_deref(),
        &catalogue,
        crate::quarantine::today(),
    )
}

/// A run that has its folder, its runtime and its interruption, and no environment yet.
struct Session<'a> {
    run: store::Run,
    runtime: &'a Runtime,
    cancel: Cancel,
    /// Nothing; a run takes its own.
    ward: Ward,
}

/// Does something with trials, in a session of its own.
fn session<K: Kit, T>(
    kit: &K,
    settings: &Settings,
    work: impl FnOnce(&Session<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    logging::init(&settings.log)?;
    let run = store::Run::create(&settings.out_dir(), None, store::KEPT)?;
    kit.available(settings).map_err(Refusal::engine)?;
    with_runtime(|runtime| {
        let cancel = Cancel::default();
        cancel
            .on_signals(runtime.handle())
            .map_err(|error| Refusal::config(format!("cannot wait for signals: {error}")))?;
        work(&Session {
            run,
            runtime,
            cancel,
            ward: Ward::default(),
        })
    })
}

impl Session<'_> {
    /// What comes of `work`, unless there is an interruption first.
    fn wait<T>(&self, work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => done,
                () = self.cancel.cancelled() => {
                    Err(Refusal { exit: Exit::Interrupted, what: "interrupted".to_owned(), hint: None })
                }
            }
        })
    }

    /// What trials of one environment share.
    fn shared<'a, K: Kit>(
        &'a self,
        kit: &K,
        settings: &'a Settings,
        environment: &'a K::Environment,
    ) -> Shared<'a, K::Environment> {
        Shared {
            environment,
            judge: kit.judge(),
            limits: Limits::default(),
            run: &self.run,
            under_test: &settings.under_test,
            ward: &self.ward,
            cancel: &self.cancel,
        }
    }
}

impl HowArgs {
    fn merge(&mut self, settings: &mut Settings) {
        settings.jobs = self.jobs.unwrap_or(settings.jobs);
        settings.out = self.out.take().or(settings.out.take());
    }

    fn reporter<'a>(&self, settings: &Settings, out: &'a mut dyn Write) -> Box<dyn Reporter + 'a> {
        match self.format {
            Format::Json => Box::new(Json(out)),
            Format::Pretty => Box::new(
                Pretty::new(out, io::stderr().is_terminal(), self.timings).guarded(settings.github_actions),
            ),
        }
    }
}

fn run<K: Kit>(
    kit: &K,
    settings: &mut Settings,
    planned: &[Planned<'_, CxOf<K>>],
    seed: Seed,
    ward: &Ward,
    mut how: HowArgs,
    out: &mut dyn Write,
) -> Result<Summary, Refusal> {
    how.merge(settings);
    session(kit, settings, |session| {
        let environment = session.wait(kit.environment(settings))?;
        let shared = Shared {
            ward,
            ..session.shared(kit, settings, &environment)
        };
        let runtime = session.runtime.handle();
        let (start, began) = (jiff::Timestamp::now(), tokio::time::Instant::now());
        let mut reporter = how.reporter(settings, &mut *out);
        let summary = run::execute(&shared, planned, seed, settings.jobs, runtime, &mut *reporter);
        drop(reporter);
        let ended = |name: &str| summary.finished.iter().any(|trial| trial.scenario == name);
        let missing = planned.iter().map(|planned| planned.scenario.name);
        let missing: std::collections::BTreeSet<_> = missing.filter(|name| !ended(name)).collect();
        let told = Told {
            run: session.run.id.clone(),
            start,
            took: began.elapsed(),
            finished: summary.finished.clone(),
            missing: missing.into_iter().map(str::to_owned).collect(),
            places: places(kit.catalogue()),
        };
        // Commands are read from either stream, and the output may be for a program.
        told.write(
            &settings.reports,
            settings.step_summary.as_deref(),
            &mut io::stderr(),
        )?;
        Ok(summary)
    })
}

fn list<C>(
    catalogue: &[Scenario<C>],
    filters: &[String],
    format: Format,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    let selected: Vec<_> = catalogue
        .iter()
        .filter(|scenario| run::selects(filters, false, scenario.name))
        .collect();
    let width = selected
        .iter()
        .map(|scenario| scenario.name.len())
        .max()
        .unwrap_or(0);
    for Scenario {
        name,
        doc,
        needs,
        budget,
        must_see,
        waive,
        ..
    } in selected
    {
        let written = match format {
            Format::Pretty => writeln!(out, "{name:width$}  {doc}"),
            Format::Json => {
                let waive: serde_json::Map<_, _> = waive
                    .iter()
                    .map(|(id, reason)| ((*id).to_owned(), (*reason).into()))
                    .collect();
                let line = serde_json::json!({
                    "name": name, "doc": doc, "needs": needs, "budget_s": budget.as_secs_f64(),
                    "must_see": must_see, "waive": waive,
                });
                writeln!(out, "{line}")
            }
        };
        written.map_err(unwritable)?;
    }
    Ok(Exit::Passed)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
fn unwritable(error: io::Error) -> Refusal {
    Refusal::config(format!("cannot write the output: {error}"))
}

/// Judges stored evidence; what the trial's own course had shown is taken over from the store.
fn recheck<K: Kit>(kit: &K, dir: &Utf8PathBuf, out: &mut dyn Write) -> Result<Exit, Refusal> {
    let stored = store::read(dir).map_err(|error| match error {
        store::StoreError::Read { .. } => Refusal::from(error)
            .hint("a trial that ended before its evidence was collected cannot be judged again"),
        _ => error.into(),
    })?;
    let mut findings = stored.about.course.clone();
    if !findings.iter().any(|finding| finding.kind == Kind::Infra) {
        findings.extend(trial::judge(kit.judge(), &stored.evidence));
    }
    let verdict = Verdict {
        timings: stored.verdict.timings,
        ..Verdict::of(findings)
    };
    let finished = Finished {
        trial: dir.file_name().unwrap_or_default().to_owned(),
        scenario: stored.about.scenario,
        seed: stored.about.seed,
        dir: dir.clone(),
        quarantine: None,
        scene: Scene::cut(&verdict.findings, &stored.evidence, &store::read_logs(dir)),
        verdict,
    };
    let write = |out: &mut dyn Write| {
        writeln!(out, "{}", scene::headline(&finished))?;
        scene::write(&finished, out)?;
        if stored.verdict.findings != finished.verdict.findings {
            writeln!(
                out,
                "  the stored verdict is {}, with other findings",
                stored.verdict.kind.word()
            )?;
        }
        Ok(())
    };
    write(out).map_err(unwritable)?;
    Ok(Exit::of([finished.verdict.kind]))
}

/// The scenarios among which that of a stored trial is: the catalogue, or the one point of the grid.
fn scenarios<K: Commands>(kit: &K, name: &str) -> Vec<Scenario<CxOf<K>>> {
    if let Some(point) = Point::parse(name) {
        return vec![kit.point(&point)];
    }
    if let Some(course) = Course::parse(name) {
        return vec![kit.survey(course)];
    }
    kit.catalogue().to_vec()
}

/// Runs a stored trial again. The last line says how often the verdict came out the same, by kind and rules, and how
/// often the schedule did; the exit code is that of the run.
fn reproduce<K: Commands>(
    kit: &K,
    mut settings: Settings,
    dir: &Utf8PathBuf,
    times: u32,
    how: HowArgs,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    let (about, verdict) = (store::read_about(dir)?, store::read_verdict(dir)?);
    let scenarios = scenarios(kit, &about.scenario);
    let named = std::slice::from_ref(&about.scenario);
    let mut planned = run::plan(&scenarios, named, true, about.seed, 1)?;
    planned[0].seed = about.seed;
    let scenario = planned[0].scenario;
    planned.extend((1..times).map(|_| Planned {
        scenario,
        seed: about.seed,
    }));
    settings.under_test = about.under_test;
    let json = matches!(how.format, Format::Json);
    // What is wanted is what the trial does, not whether that is known.
    let ward = Ward::default();
    settings.reports.clear();
    let summary = run(kit, &mut settings, &planned, about.seed, &ward, how, out)?;

    let signature = |verdict: &Verdict| {
        let rules = verdict
            .findings
            .iter()
            .filter(|finding| finding.kind == verdict.kind);
        (
            verdict.kind,
            rules
                .map(|finding| finding.rule.clone())
                .collect::<std::collections::BTreeSet<_>>(),
        )
    };
    let same = summary
        .finished
        .iter()
        .filter(|ended| signature(&ended.verdict) == signature(&verdict))
        .count();
    let schedule = store::read_schedule(dir).ok();
    let schedules = summary
        .finished
        .iter()
        .filter(|ended| store::read_schedule(&ended.dir).ok() == schedule)
        .count();
    if !json {
        writeln!(
            out,
            "reproduced {same} of {times}; the same schedule {schedules} of {times}"
        )
        .map_err(unwritable)?;
    }
    Ok(summary.exit)
}

impl From<store::StoreError> for Refusal {
    fn from(error: store::StoreError) -> Self {
        let refusal = Self::config(error.to_string());
        match error {
            store::StoreError::Write { .. } => refusal.hint("name another folder with --out or HARNESS_OUT"),
            _ => refusal,
        }
    }
}
