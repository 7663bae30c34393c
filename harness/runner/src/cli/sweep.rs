//! `harness sweep`: many trials under conditions that are drawn, and what they add up to.

use std::io::Write;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::perturbation::Axis;
use harness_model::verdict::Kind;
use tokio::time::Instant;

use super::args::{Format, SweepArgs, SweepCommand};
use super::{entropy, session, unwritable, ward};
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::kit::{Commands, CxOf};
use crate::quarantine::Ward;
use crate::run;
use crate::scenario::Scenario;
use crate::store;
use crate::sweep::night::{Asked, Night, place};
use crate::sweep::plan::Class;
use crate::sweep::{Record, STORED, Shard, Sweep, history, merge, show};
use crate::trial::Shared;

/// Trials of each scenario, if nothing else bounds them.
const TRIALS: u64 = 100;
/// The same, if time does.
const MANY: u64 = 100_000;

pub(super) fn run<K: Commands>(
    kit: &K,
    mut settings: Settings,
    args: SweepArgs,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    let mut args = args;
    args.how.merge(&mut settings);
    let ward = ward(kit, &settings)?;
    if let Some(SweepCommand::Merge { dirs }) = args.command {
        return merged(&settings, &dirs, args.max_rate, &ward, out);
    }
    args.target.merge(&mut settings);
    let seed = args.seed.unwrap_or_else(|| settings.run_seed(&entropy()));
    let shard = args.shard.unwrap_or(Shard { part: 1, of: 1 });
    let scenarios: Vec<Scenario<CxOf<K>>> = {
        let planned = run::plan(kit.catalogue(), &args.filters, args.exact, seed, 1)?;
        // Dealt in the order that the seed gives, so that a family is spread over the shards.
        let mine = |(_, at): &(_, u32)| at % shard.of == shard.part - 1;
        let dealt = planned.into_iter().zip(0_u32..).filter(mine);
        dealt.map(|(planned, _)| *planned.scenario).collect()
    };
    let axes = axes(kit.axes(), &args.axes)?;
    let settings = &settings;
    session(kit, settings, |session| {
        let asked = Asked {
            seed,
            axes: axes.clone(),
            trials: args
                .trials
                .unwrap_or(if args.budget.is_some() { MANY } else { TRIALS }),
            budget: args.budget,
            jobs: settings.jobs,
        };
        let trials = asked.trials;
        let environment = session.wait(kit.environment(settings))?;
        let shared = Shared {
            ward: &ward,
            ..session.shared(kit, settings, &environment)
        };
        let (records, suspects) = {
            let mut reporter = args.how.reporter(settings, &mut *out);
            let mut night = Night {
                asked,
                scenarios: &scenarios,
                shared: &shared,
                runtime: session.runtime.handle(),
                reporter: &mut *reporter,
                begun: Instant::now(),
            };
            night.run()?
        };
        let mut sweep = Sweep {
            runs: vec![session.run.id.clone()],
            revision: revision(),
            seed,
            axes,
            trials,
            shards: [shard].into(),
            records,
            suspects,
        };
        sweep.sort();
        let json = matches!(args.how.format, Format::Json);
        finish(&sweep, &session.run, settings, json, out)?;
        if session.cancel.is_cancelled() {
            return Ok(Exit::Interrupted);
        }
        Ok(exit(&sweep, args.max_rate, &ward))
    })
}

/// What is asked for, in the order of all; everything that can be varied, if nothing is.
fn axes(can: &[Axis], asked: &[Axis]) -> Result<Vec<Axis>, Refusal> {
    if let Some(axis) = asked.iter().find(|axis| !can.contains(axis)) {
        let can: Vec<_> = can.iter().map(|axis| axis.word()).collect();
        return Err(Refusal::config(format!("{axis} cannot be varied here"))
            .hint(format!("what can be is {}", can.join(", "))));
    }
    let wanted = |axis: &Axis| can.contains(axis) && (asked.is_empty() || asked.contains(axis));
    Ok(Axis::ALL.into_iter().filter(wanted).collect())
}

/// Adds up shards, as a run of its own.
fn merged(
    settings: &Settings,
    dirs: &[Utf8PathBuf],
    max_rate: f64,
    ward: &Ward,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    let sweep = merge::merge(dirs)?;
    let run = store::Run::create(&settings.out_dir(), None, store::KEPT)?;
    finish(&sweep, &run, settings, false, out)?;
    // Beside the history, where a workflow finds it without knowing the run.
    for (file, name) in [("sweep.md", "report.md"), ("sweep.html", "report.html")] {
        let to = settings.out_dir().join(name);
        std::fs::copy(run.dir.join(file), &to)
            .map_err(|error| Refusal::config(format!("cannot write {to}: {error}")))?;
    }
    Ok(exit(&sweep, max_rate, ward))
}

/// Stores and shows a sweep. A shard is no night: only a whole sweep goes into the history.
fn finish(
    sweep: &Sweep,
    run: &store::Run,
    settings: &Settings,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let past = settings.out_dir().join(history::FILE);
    let (earlier, notes) = history::read(&past)?;
    let one = sweep.runs.len() == 1 && sweep.runs[0] == run.id;
    let of = |trial: &str| {
        if one {
            place(run, trial)
        } else {
            // The shards' folders may be anywhere by now.
            trial.replace("::", ".")
        }
    };
    let text = show::markdown(sweep, &earlier, &notes, &of);
    store::write_json(&run.dir, STORED, sweep)?;
    write(&run.dir.join("sweep.md"), &text)?;
    write(
        &run.dir.join("sweep.html"),
        &show::page(sweep, &earlier, &notes, &of),
    )?;
    if merge::missing(sweep).is_empty() {
        history::append(&past, sweep)?;
    }
    if json {
        let value = serde_json::json!({ "event": "sweep", "sweep": sweep });
        writeln!(out, "{value}").map_err(unwritable)
    } else {
        let page = run.dir.join("sweep.html");
        writeln!(out, "\n{text}\n{page}").map_err(unwritable)
    }
}

fn write(path: &Utf8Path, text: &str) -> Result<(), Refusal> {
    std::fs::write(path, text).map_err(|error| Refusal::config(format!("cannot write {path}: {error}")))
}

/// The exit code: what fails more often than is put up with comes first. Of a scenario in quarantine that is what its entry
/// says, as long as all of its failures are those that the entry is for.
fn exit(sweep: &Sweep, max_rate: f64, ward: &Ward) -> Exit {
    let mut exit = Exit::Passed;
    for (name, counts) in sweep.counts() {
        let rate = counts.failed as f64 / counts.telling().max(1) as f64;
        let failed = |record: &&Record| matches!(record.verdict, Kind::Fail | Kind::Hang);
        let mut failures = sweep
            .records
            .iter()
            .filter(failed)
            .filter(|record| record.scenario == name);
        let held = failures.all(|record| record.held);
        let entry = ward
            .list
            .of(name)
            .filter(|entry| held && !entry.is_expired(ward.today));
        if entry.is_some_and(|entry| !entry.is_exceeded(counts.failed, counts.telling())) {
            continue;
        }
        match counts.class() {
            Class::Regression => return Exit::Failed,
            Class::Flaky if rate > max_rate => return Exit::Failed,
            Class::Infra | Class::Invalid => exit = Exit::Unfit,
            _ => {}
        }
    }
    exit
}

/// The revision of the checkout that this is run in, as far as git knows one.
fn revision() -> String {
    let said = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"])
        .output();
    let said = said.ok().filter(|said| said.status.success());
    let text = said.and_then(|said| String::from_utf8(said.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}
