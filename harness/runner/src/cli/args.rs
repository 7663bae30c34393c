//! What can be said on the command line.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use harness_model::fault::MessageState;
use harness_model::grid::Crash;
use harness_model::perturbation::Axis;
use harness_model::seed::Seed;
use jiff::Timestamp;

use super::examples;
use crate::check::Check;
use crate::config::{self, Settings, Source};
use crate::exit::Exit;
use crate::report::forms::Form;
use crate::sweep::Shard;

#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    about = "Runs a message pipeline for real, breaks it at an exact step, and says what became of every report",
    args_conflicts_with_subcommands = true,
    term_width = 100,
    after_long_help = after_help()
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenarios (what happens without a command, too)
    #[command(after_long_help = examples::RUN)]
    Run(RunArgs),
    /// List scenarios
    #[command(after_long_help = examples::LIST)]
    List {
        /// Only scenarios with this in their name, or `family::*`
        filters: Vec<String>,
        /// How to show them
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show how images are resolved, and make them available
    #[command(after_long_help = examples::IMAGES)]
    Images(TargetArgs),
    /// Check engine, images and host
    #[command(after_long_help = examples::DOCTOR)]
    Doctor(TargetArgs),
    /// Remove what earlier runs left behind
    #[command(after_long_help = examples::GC)]
    Gc,
    /// Judge a stored trial again, without containers
    #[command(after_long_help = examples::RECHECK)]
    Recheck {
        /// Folder of the trial
        #[arg(value_name = "TRIAL_DIR")]
        dir: Utf8PathBuf,
    },
    /// Run a stored trial's scenario again, with its seed, topology and images
    #[command(after_long_help = examples::REPRODUCE)]
    Reproduce {
        /// Folder of the trial
        #[arg(value_name = "TRIAL_DIR")]
        dir: Utf8PathBuf,
        /// How often
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        times: u32,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Switch planted bugs on, one by one, and see whether the scenarios notice them
    Mutants(MutantsArgs),
    /// Crash something at each state of one report's message, on each queue
    Grid(GridArgs),
    /// Run many trials under conditions that are drawn, and say what fails how often
    Sweep(SweepArgs),
    /// Say what stored runs have left idle: kinds of fault, message states, invariants
    Coverage(CoverageArgs),
    /// Show a stored run as one HTML page
    Report(ReportArgs),
    /// Check a platform as it is, without changing it: a deploy, a backup, ports
    Check(CheckArgs),
    /// Decide on goldens that came out otherwise
    Review(ReviewArgs),
    /// Write stored runs in forms for machines: JUnit, CTRF, step summary, annotations
    Export(ExportArgs),
    /// Scenarios whose known failures are waited for
    #[command(after_long_help = examples::QUARANTINE)]
    Quarantine {
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// Measure the harness
    #[command(after_long_help = examples::BENCH)]
    Bench {
        /// Which measurements; all, if none is named
        names: Vec<String>,
        /// How often each is taken
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// A pipeline to look at and to play with
    #[command(subcommand)]
    Stack(StackCommand),
    /// Print what a shell needs to complete commands
    #[command(after_long_help = examples::COMPLETIONS)]
    Completions {
        /// Which shell
        shell: Shell,
    },
    #[command(hide = true)]
    PoolServer {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum StackCommand {
    /// Bring a pipeline up, say where everything is, and remove it at Ctrl-C
    Up(UpArgs),
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    harness stack up                             the pipeline that scenarios are run with\n  \
    harness stack up --topology my.toml          another one\n  \
    harness stack up --image tags=tags:dev       with another image for one role\n\n\
    What goes to broker and database is recorded in the ledger, yours as that of the service `harness`.\n\
    The password is in a file that only you can read. Exit codes: 0 after Ctrl-C; see harness --help.")]
pub(super) struct UpArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Folder of the run store [default: target/harness]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<Utf8PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Only scenarios with this in their name, or `family::*`
    #[arg(value_name = "FILTER")]
    pub(super) filters: Vec<String>,
    /// Filters are whole names
    #[arg(long)]
    pub(super) exact: bool,
    /// Seed of the run; decides order, workload and schedule
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<Seed>,
    /// How often everything is run, each time with other seeds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rounds: u32,
    /// Keep so many cores busy meanwhile, to see what a loaded machine changes
    #[arg(long, value_name = "CORES", default_value_t = 0)]
    pub(super) busy: usize,
    /// Also write the run as junit=FILE, ctrf=FILE, summary=FILE, annotations=FILE, or for github; can be given several
    /// times
    #[arg(long, value_name = "KIND=FILE")]
    pub(super) report: Vec<Form>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) how: HowArgs,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    harness export --report junit=junit.xml                        the latest run\n  \
    harness export shards --expect '*' --report github             all runs below a folder, none of the catalogue missing\n\n\
    The exit code is that of a run with these trials; 102 if an expected scenario was not run, 4 if no trial is stored.")]
pub(super) struct ExportArgs {
    /// Folders of runs, or folders with runs in them; told as one run [default: the latest]
    #[arg(value_name = "RUN")]
    pub(super) runs: Vec<Utf8PathBuf>,
    /// What to write: junit=FILE, ctrf=FILE, summary=FILE, annotations=FILE, or github; can be given several times
    #[arg(long, value_name = "KIND=FILE")]
    pub(super) report: Vec<Form>,
    /// Scenarios that have to be there, as in `harness run FILTER`; `*` for the whole catalogue
    #[arg(long, value_name = "FILTER")]
    pub(super) expect: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    harness review                             one after the other: accept, reject, skip\n  \
    harness review --accept golden_path        all new values of one scenario\n  \
    harness review < /dev/null                 only show what has come out otherwise\n\n\
    A golden that differs leaves its new value beside it, as NAME.snap.new, unless CI is set or INSTA_UPDATE says no.\n\
    Exit codes: 0 if nothing waits any more, 100 if something does; see harness --help.")]
pub(super) struct ReviewArgs {
    /// Only goldens with this in their path
    #[arg(value_name = "FILTER")]
    pub(super) filters: Vec<String>,
    /// Take all new values
    #[arg(long, conflicts_with = "reject")]
    pub(super) accept: bool,
    /// Keep all old values
    #[arg(long)]
    pub(super) reject: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// Show what is in quarantine, until when, and how many clean trials are stored of it
    List,
    /// Refuse a quarantine that cannot be read (exit code 96) or has an entry that has expired (100)
    Check,
    /// Print an entry for what a stored trial shows
    Propose {
        /// Folder of the trial
        #[arg(value_name = "TRIAL_DIR")]
        dir: Utf8PathBuf,
        /// Who mends it
        #[arg(long)]
        owner: String,
        /// Where that is followed
        #[arg(long)]
        issue: String,
    },
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    harness mutants                            every bug of the catalogue, and the naive check beside them\n  \
    harness mutants NAME --runs 3              one bug, three trials of each of its scenarios\n  \
    harness mutants --no-baseline --seed 7     without the naive check\n\n\
    Exit codes: 0 if every bug is detected, 100 if one survives or is caught by something else only, 102 if nothing is\n\
    known of one or the naive check fails without any bug, 4 for an unknown name, 96 for a bad catalogue; see harness --help.")]
pub(super) struct MutantsArgs {
    /// Only the bugs of these ids
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Trials of each scenario that looks for a bug
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) runs: u32,
    /// Catalogue of bugs [default: all of fixtures/bugs]
    #[arg(long, value_name = "FILE")]
    pub(super) bugs: Option<Utf8PathBuf>,
    /// Leave the naive check out
    #[arg(long)]
    pub(super) no_baseline: bool,
    /// Seed of the run; decides the seeds of its trials
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<Seed>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) how: HowArgs,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    harness grid                               every state of every queue, every crash\n  \
    harness grid --queue tags --fault broker   one queue, kills of the broker only\n  \
    harness grid --state A0 --state C1         two states\n  \
    harness grid --one-per-state --seed 7      one point for each state, drawn by the seed\n\n\
    The states are those of a message on a queue: P0 and P1 published and confirmed, D delivered, W in work, C0 to C2\n\
    around the commit, A0 and A1 around the ack, R0 and R1 around a retry, N0 and X0 around a rejection. Exit codes are\n\
    those of a run, and 4 if no point is selected; see harness --help.")]
pub(super) struct GridArgs {
    /// Only this queue, by its role; can be given several times
    #[arg(long = "queue", value_name = "QUEUE")]
    pub(super) queues: Vec<String>,
    /// Only this crash: link, service, database, broker; can be given several times
    #[arg(long = "fault", value_name = "FAULT", value_parser = crash)]
    pub(super) faults: Vec<Crash>,
    /// Only this state; can be given several times
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    pub(super) states: Vec<MessageState>,
    /// One point for each state only, drawn by the seed
    #[arg(long)]
    pub(super) one_per_state: bool,
    /// Seed of the run; decides the seeds of its trials
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<Seed>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) how: HowArgs,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    harness coverage                                              the latest run\n  \
    harness coverage target/harness/A target/harness/B            two runs together, such as shards\n  \
    harness coverage RUN --mutants target/harness/C/mutants.json  and what planted bugs break\n\n\
    Exit codes: 0 if nothing is idle, 100 if something is, 4 if no trial is stored; see harness --help.")]
pub(super) struct CoverageArgs {
    /// Folders of runs [default: the latest]
    #[arg(value_name = "RUN")]
    pub(super) runs: Vec<Utf8PathBuf>,
    /// What `harness mutants` has stored: by then each invariant must have failed on some planted bug
    #[arg(long, value_name = "FILE")]
    pub(super) mutants: Option<Utf8PathBuf>,
    /// Folder of the run store [default: target/harness]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<Utf8PathBuf>,
    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    harness report                                    the latest run, as report.html in its folder\n  \
    harness report target/harness/latest/broker.kill  one trial\n  \
    harness report RUN --out run.html                 another place\n\n\
    The page needs no network and no script. It shows all verdicts, worst first, and for each trial\n\
    what is wrong, where each report was last seen, a timeline, plots, the topology before and after,\n\
    and the logs around the failure.\n\n\
    Exit codes: 0 if it was written, 4 if no trial is stored, 96 if it cannot be read or written; see\n\
    harness --help.")]
pub(super) struct ReportArgs {
    /// Folder of a run or of a trial [default: the latest run]
    #[arg(value_name = "RUN_DIR")]
    pub(super) run: Option<Utf8PathBuf>,
    /// Where to write it [default: RUN_DIR/report.html]
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<Utf8PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(subcommand)]
    pub(super) what: Check,
    /// The time that it is, for a look back; RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", global = true)]
    pub(super) now: Option<Timestamp>,
    /// How to show it
    #[arg(long, value_enum, default_value_t, global = true)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "Examples:\n  \
    harness sweep --budget 2h                        all scenarios, for two hours\n  \
    harness sweep broker:: --trials 60               60 trials of each; thrice that of what has failed\n  \
    harness sweep --axes seed,latency --shard 1/3    two axes, and every third scenario\n  \
    harness sweep merge A B C                        what three shards add up to\n\n\
    The first trial of a scenario is undisturbed; in each other one every axis is on or off, as the\n\
    seed draws. A scenario is left after 59 clean trials: one that fails with 5 % would have shown\n\
    (95 %). A failure costs 78 clean ones. Of what has failed, but not always, the first failure is\n\
    run again, as it was and without each axis; a quarter of a budget is kept for that. The report\n\
    is sweep.md and sweep.html in the run's folder; history.jsonl beside it gets a line for each\n\
    whole sweep.\n\n\
    Exit codes: 100 if a scenario always fails, or more often than --max-rate; 102 if nothing is\n\
    known of one, or a shard is missing; 96 for shards that do not belong together; see harness\n\
    --help."
)]
pub(super) struct SweepArgs {
    #[command(subcommand)]
    pub(super) command: Option<SweepCommand>,
    /// Only scenarios with this in their name, or `family::*`
    #[arg(value_name = "FILTER")]
    pub(super) filters: Vec<String>,
    /// Filters are whole names
    #[arg(long)]
    pub(super) exact: bool,
    /// Trials of each scenario [default: 100, or as many as the budget allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) trials: Option<u64>,
    /// For so long, as in 90s, 30m or 2h
    #[arg(long, value_name = "TIME", value_parser = length, conflicts_with = "trials")]
    pub(super) budget: Option<Duration>,
    /// What is varied [default: everything]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = axis)]
    pub(super) axes: Vec<Axis>,
    /// The Mth of N parts, each with scenarios of its own
    #[arg(long, value_name = "M/N")]
    pub(super) shard: Option<Shard>,
    /// Rate of failure that is put up with, from 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    pub(super) max_rate: f64,
    /// Seed of the sweep; decides order, seeds and conditions of its trials
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<Seed>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) how: HowArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum SweepCommand {
    /// Add up the shards of a sweep
    Merge {
        /// Folders of their runs
        #[arg(value_name = "DIR", required = true)]
        dirs: Vec<Utf8PathBuf>,
    },
}

/// Reads an axis.
fn axis(text: &str) -> Result<Axis, String> {
    let found = Axis::ALL.into_iter().find(|axis| axis.word() == text);
    found.ok_or_else(|| format!("one of {}", Axis::ALL.map(Axis::word).join(", ")))
}

/// Reads a length of time.
fn length(text: &str) -> Result<Duration, String> {
    let units = [("h", 3600), ("m", 60), ("s", 1)];
    let found = units.into_iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        (number > 0).then(|| Duration::from_secs(number.saturating_mul(seconds)))
    });
    found.ok_or_else(|| "a length of time, for example 90s, 30m or 2h".to_owned())
}

/// Reads a share.
fn rate(text: &str) -> Result<f64, String> {
    let found = text.parse().ok().filter(|rate| (0.0..=1.0).contains(rate));
    found.ok_or_else(|| "a number from 0 to 1".to_owned())
}

/// Reads a crash.
fn crash(text: &str) -> Result<Crash, String> {
    let found = Crash::ALL.into_iter().find(|crash| crash.word() == text);
    found.ok_or_else(|| format!("one of {}", Crash::ALL.map(Crash::word).join(", ")))
}

/// Reads a message state.
fn state(text: &str) -> Result<MessageState, String> {
    let found = MessageState::ALL
        .into_iter()
        .find(|state| state.to_string() == text);
    found.ok_or_else(|| {
        format!(
            "one of {}",
            MessageState::ALL.map(|state| state.to_string()).join(", ")
        )
    })
}

#[derive(Debug, Args)]
pub(super) struct TargetArgs {
    /// Topology file
    #[arg(long, value_name = "FILE")]
    pub(super) topology: Option<Utf8PathBuf>,
    /// Use this image for a role; can be given several times
    #[arg(long = "image", value_name = "ROLE=REF", value_parser = config::image)]
    pub(super) image: Vec<(String, String)>,
    /// Where images come from
    #[arg(long, value_enum, value_name = "SOURCE")]
    pub(super) images: Option<Source>,
}

#[derive(Debug, Args)]
pub(super) struct HowArgs {
    /// Trials at the same time [default: 3]
    #[arg(long, value_name = "N", value_parser = config::jobs)]
    pub(super) jobs: Option<usize>,
    /// Folder of the run store [default: target/harness]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<Utf8PathBuf>,
    /// How to show what happens
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Show where each trial's time went
    #[arg(long)]
    pub(super) timings: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Pretty,
    /// One JSON object a line
    Json,
}

impl TargetArgs {
    pub(super) fn merge(self, settings: &mut Settings) {
        let under_test = &mut settings.under_test;
        under_test.topology = self.topology.or(under_test.topology.take());
        under_test.source = self.images.unwrap_or(under_test.source);
        under_test.images.extend(self.image);
    }
}

fn after_help() -> String {
    use std::fmt::Write;
    let mut text = "Examples:\n  \
        harness                               every scenario\n  \
        harness --seed 3 broker::             scenarios with `broker::` in their name, as seed 3 has them\n  \
        harness run --image tags=tags:dev     with another image for one role\n  \
        harness run --rounds 4 --busy 1       everything four times, with one core busy\n  \
        harness reproduce target/harness/latest/broker.kill --times 10\n  \
        harness mutants --runs 3              whether planted bugs are noticed; see harness mutants --help\n\nExit codes:\n"
        .to_owned();
    for exit in Exit::ALL {
        _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
    }
    text.push_str("\nHARNESS_TOPOLOGY, HARNESS_IMAGES, HARNESS_SEED, HARNESS_JOBS, HARNESS_OUT and HARNESS_LOG set the same things.");
    text
}
