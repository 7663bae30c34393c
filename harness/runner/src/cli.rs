//! The command line: `harness`.
//!
//! Without a command it runs scenarios. Results go to stdout, complaints and moving lines to stderr. Every way to end
//! is an [`Exit`], returned and never taken by force, so that everything that was opened is closed. Whoever stops reading
//! early, as `head` does, changes neither what is done nor how it ends.

mod args;
mod check;
mod coverage;
mod examples;
mod export;
mod grid;
mod listener;
mod mutants;
mod quarantine;
mod report;
mod review;
mod session;
mod stack;
mod sweep;
mod trials;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use crate::busy::Busy;
use crate::config::{self, Settings};
use crate::exit::{Exit, Refusal};
use crate::kit::{Commands, Kit};
use crate::quarantine::Ward;
use crate::report::guard;
use crate::run;
use crate::scenario::Scenario;
use crate::{bound, store};
use args::{Cli, Command, Format, GridArgs, MutantsArgs, RunArgs, StackCommand, SweepArgs};
use listener::Listener;
use session::{Session, session, with_runtime};
use trials::scenarios;

/// The command line's `main`.
pub fn main<K: Commands>(kit: &K) -> ExitCode {
    let stderr = &mut io::stderr();
    match Settings::from_process() {
        Ok(settings) => dispatch(kit, std::env::args_os(), settings, &mut io::stdout(), stderr).into(),
        Err(refusal) => refuse(&refusal, config::workflow_reads(), stderr).into(),
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
    let out: &mut dyn Write = &mut Listener::new(out);
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
            done.unwrap_or_else(|refusal| refuse(&refusal, guarded, err))
        }
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let text = error.render().to_string();
            if asked {
                drop(out.write_all(text.as_bytes()));
                Exit::Passed
            } else {
                complain(&text, settings.github_actions, err);
                Exit::Refused
            }
        }
    }
}

fn refuse(refusal: &Refusal, guarded: bool, err: &mut dyn Write) -> Exit {
    let hint = refusal.hint.iter().map(|hint| format!("hint: {hint}\n"));
    let text = format!("error: {}\n{}", refusal.what, hint.collect::<String>());
    complain(&text, guarded, err);
    refusal.exit
}

/// Where stderr is gone, the exit code still says it.
fn complain(text: &str, guarded: bool, err: &mut dyn Write) {
    drop(if guarded {
        err.write_all(&guard::wrapped(text.as_bytes()))
    } else {
        err.write_all(text.as_bytes())
    });
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
                let summary = trials::run(kit, &mut settings, &planned, seed, &ward, args.how, out)?;
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
            Self::Recheck { dir } => trials::recheck(kit, &dir, out),
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
            Self::Reproduce { dir, times, how } => trials::reproduce(kit, settings, &dir, times, how, out),
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

/// The quarantine that holds for this catalogue today.
fn ward<K: Kit>(kit: &K, settings: &Settings) -> Result<Ward, Refusal> {
    let catalogue: Vec<_> = kit.catalogue().iter().map(|scenario| scenario.name).collect();
    Ward::read(
        kit.quarantine(settings).as_deref(),
        &catalogue,
        crate::quarantine::today(),
    )
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

impl From<store::StoreError> for Refusal {
    fn from(error: store::StoreError) -> Self {
        let refusal = Self::config(error.to_string());
        match error {
            store::StoreError::Write { .. } => refusal.hint("name another folder with --out or HARNESS_OUT"),
            _ => refusal,
        }
    }
}
