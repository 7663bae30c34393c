//! `harness sweep`: many trials under conditions that are drawn, and what they add up to.

use std::io::Write;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::perturbation::Axis;
use harness_model::verdict::Kind;

use super::args::{Format, SweepArgs, SweepCommand};
use super::{entropy, session, unwritable, ward};
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::kit::{Commands, CxOf};
use crate::quarantine::Ward;
use crate::run;
use crate::scenario::Scenario;
use crate::store;
use crate::sweep::merge::Folders;
use crate::sweep::night::{self, Asked, place};
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
    let planned = run::plan(kit.catalogue(), &args.filters, args.exact, seed, 1)?;
    let asked_for = planned.iter().map(|planned| planned.scenario.name.to_owned());
    let asked_for = asked_for.collect();
    // Dealt in the order that the seed gives, so that a family is spread over the shards.
    let mine = |(_, at): &(_, u32)| at % shard.of == shard.part - 1;
    let dealt = planned.into_iter().zip(0_u32..).filter(mine);
    let scenarios: Vec<Scenario<CxOf<K>>> = dealt.map(|(planned, _)| *planned.scenario).collect();
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
            night::run(
                asked,
                &scenarios,
                &shared,
                session.runtime.handle(),
                &mut *reporter,
            )?
        };
        let mut sweep = Sweep {
            runs: vec![session.run.id.clone()],
            revision: revision(),
            seed,
            axes,
            trials,
            shards: [shard].into(),
            asked: asked_for,
            dealt: scenarios
                .iter()
                .map(|scenario| scenario.name.to_owned())
                .collect(),
            records,
            suspects,
        };
        sweep.sort();
        let json = matches!(args.how.format, Format::Json);
        let folders = [(session.run.id.clone(), session.run.dir.clone())].into();
        finish(&sweep, &session.run, &folders, settings, json, out)?;
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
    let (sweep, folders) = merge::merge(dirs)?;
    let run = store::Run::create(&settings.out_dir(), None, store::KEPT)?;
    finish(&sweep, &run, &folders, settings, false, out)?;
    // Beside the history, where a workflow finds it without knowing the run.
    for (file, name) in [("sweep.md", "report.md"), ("sweep.html", "report.html")] {
        let to = settings.out_dir().join(name);
        std::fs::copy(run.dir.join(file), &to)
            .map_err(|error| Refusal::config(format!("cannot write {to}: {error}")))?;
    }
    Ok(match exit(&sweep, max_rate, ward) {
        Exit::Passed if !merge::missing(&sweep).is_empty() => Exit::Unfit,
        exit => exit,
    })
}

/// Stores and shows a sweep. A shard is no night: only a whole sweep goes into the history.
fn finish(
    sweep: &Sweep,
    run: &store::Run,
    folders: &Folders,
    settings: &Settings,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let past = settings.out_dir().join(history::FILE);
    let (earlier, notes) = history::read(&past)?;
    let of = |run: Option<&str>, trial: &str| {
        if let Some(run) = run {
            let folder = folders.get(run).map_or(Utf8Path::new(run), |folder| folder);
            return Some(place(folder, trial));
        }
        // It is in one of them, if it is here at all.
        let mut places = folders.values().map(|folder| place(folder, trial));
        places.find(|place| Utf8Path::new(place).is_dir())
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

/// The exit code: what fails more often than is put up with comes first, and then what is not known. Of a scenario in
/// quarantine its entry says how often that may be, as long as all of its failures are those that the entry is for. An entry
/// never covers what says nothing of the pipeline, and one whose last day is over is an error by itself.
fn exit(sweep: &Sweep, max_rate: f64, ward: &Ward) -> Exit {
    let mut exit = if sweep.untried().is_empty() {
        Exit::Passed
    } else {
        Exit::Unfit
    };
    for (name, counts) in sweep.counts() {
        let entry = ward.list.of(name);
        if entry.is_some_and(|entry| entry.is_expired(ward.today)) {
            return Exit::Failed;
        }
        let failed = |record: &&Record| matches!(record.verdict, Kind::Fail | Kind::Hang);
        let of = sweep.records.iter().filter(|record| record.scenario == name);
        let held = of.filter(failed).all(|record| record.held);
        let waited_for =
            entry.is_some_and(|entry| held && !entry.is_exceeded(counts.failed, counts.telling()));
        let rate = counts.failed as f64 / counts.telling().max(1) as f64;
        let class = counts.class();
        if (class == Class::Regression || rate > max_rate) && !waited_for {
            return Exit::Failed;
        }
        if matches!(class, Class::Infra | Class::Invalid) || counts.tells_nothing() {
            exit = Exit::Unfit;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::iter::repeat_n;

    use harness_model::perturbation::Perturbation;
    use harness_model::quarantine::Quarantine;
    use harness_model::seed::Seed;
    use jiff::civil::date;

    use super::{Exit, Kind, Record, Shard, Sweep, Ward, exit};

    /// A sweep of one scenario whose trials ended like this, so many each; its failures are held or not.
    fn sweep(verdicts: &[(u64, Kind)], held: bool) -> Sweep {
        let verdicts = verdicts.iter().flat_map(|(n, kind)| repeat_n(*kind, *n as usize));
        let record = |(n, verdict)| Record {
            scenario: "a::b".to_owned(),
            n,
            seed: Seed(n),
            perturbation: Perturbation::default(),
            verdict,
            trial: format!("{n}/a.b"),
            held,
            what: None,
        };
        Sweep {
            runs: vec!["run".to_owned()],
            revision: "unknown".to_owned(),
            seed: Seed(1),
            axes: Vec::new(),
            trials: 100,
            shards: [Shard { part: 1, of: 1 }].into(),
            asked: ["a::b".to_owned()].into(),
            dealt: ["a::b".to_owned()].into(),
            records: (1..).zip(verdicts).map(record).collect(),
            suspects: BTreeMap::new(),
        }
    }

    fn ward(expires: &str) -> Ward {
        let text = format!(
            "[[entry]]\nscenario = \"a::b\"\nowner = \"o\"\nissue = \"i\"\nreason = \"r\"\nadded = 2026-01-01\n\
             expires = {expires}\nmax_rate = 0.05\nfingerprints = [\"fail/no-loss/0123456789abcdef\"]\n"
        );
        Ward {
            list: Quarantine::parse("q.toml", &text).unwrap(),
            today: date(2026, 2, 1),
            ..Ward::default()
        }
    }

    #[test]
    fn what_fails_more_often_than_is_put_up_with_is_red_whatever_its_class_is() {
        use Kind::{Fail, Hang, Infra, Invalid, Pass};
        for (verdicts, max_rate, expected) in [
            (&[(59, Pass)][..], 0.0, Exit::Passed),
            (&[(137, Pass), (1, Fail)], 0.0, Exit::Failed),
            (&[(137, Pass), (1, Hang)], 0.001, Exit::Failed),
            (&[(137, Pass), (1, Fail)], 0.01, Exit::Passed),
            (&[(20, Pass), (2, Fail)], 0.5, Exit::Passed),
            (&[(20, Pass), (2, Fail)], 0.01, Exit::Failed),
            (&[(5, Fail)], 1.0, Exit::Failed),
            (&[(5, Infra)], 0.0, Exit::Unfit),
            (&[(5, Invalid)], 0.0, Exit::Unfit),
            (&[(59, Pass), (3, Infra)], 0.0, Exit::Passed),
            (&[(2, Pass), (1, Fail), (9, Infra)], 0.5, Exit::Unfit),
            (&[], 0.0, Exit::Unfit),
        ] {
            let sweep = sweep(verdicts, false);
            assert_eq!(
                exit(&sweep, max_rate, &Ward::default()),
                expected,
                "{verdicts:?} at {max_rate}"
            );
        }
    }

    #[test]
    fn an_entry_covers_known_failures_and_nothing_else() {
        use Kind::{Fail, Infra, Invalid, Pass};
        for (verdicts, held, expires, expected) in [
            (&[(58, Pass), (1, Fail)][..], true, "2026-03-01", Exit::Passed),
            (&[(58, Pass), (1, Fail)], false, "2026-03-01", Exit::Failed),
            (&[(5, Fail)], true, "2026-03-01", Exit::Failed),
            (&[(5, Infra)], true, "2026-03-01", Exit::Unfit),
            (&[(5, Invalid)], true, "2026-03-01", Exit::Unfit),
            (
                &[(3, Pass), (1, Fail), (9, Infra)],
                true,
                "2026-03-01",
                Exit::Unfit,
            ),
            (&[(59, Pass)], true, "2026-03-01", Exit::Passed),
            (&[(59, Pass)], true, "2026-01-31", Exit::Failed),
            (&[(5, Infra)], true, "2026-01-31", Exit::Failed),
        ] {
            assert_eq!(
                exit(&sweep(verdicts, held), 0.0, &ward(expires)),
                expected,
                "{verdicts:?}, held {held}, until {expires}"
            );
        }
    }
}
