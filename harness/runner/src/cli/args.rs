//! What can be said on the command line.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};
use harness_model::seed::Seed;

use crate::config::{self, Settings, Source};
use crate::exit::Exit;

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
    Run(RunArgs),
    /// List scenarios
    List {
        /// Only scenarios with this in their name, or `family::*`
        filters: Vec<String>,
        /// How to show them
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Show how images are resolved, and make them available
    Images(TargetArgs),
    /// Check engine, images and host
    Doctor(TargetArgs),
    /// Remove what earlier runs left behind
    Gc,
    /// Judge a stored trial again, without containers
    Recheck {
        /// Folder of the trial
        #[arg(value_name = "TRIAL_DIR")]
        dir: Utf8PathBuf,
    },
    /// Run a stored trial's scenario again, with its seed, topology and images
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
    /// Measure the harness
    Bench {
        /// Which measurements; all, if none is named
        names: Vec<String>,
        /// How often each is taken
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
        #[command(flatten)]
        target: TargetArgs,
    },
    #[command(hide = true)]
    PoolServer {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
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
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) how: HowArgs,
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
    /// Trials at the same time [default: 2]
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
        harness reproduce target/harness/latest/broker.kill --times 10\n\nExit codes:\n"
        .to_owned();
    for exit in Exit::ALL {
        _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
    }
    text.push_str("\nHARNESS_TOPOLOGY, HARNESS_IMAGES, HARNESS_SEED, HARNESS_JOBS, HARNESS_OUT and HARNESS_LOG set the same things.");
    text
}
