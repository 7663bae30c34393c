//! Sweeps over scenarios of which it is known how they fail.

use std::fs;
use std::io::Write;
use std::panic::Location;
use std::time::Duration;

use camino::Utf8PathBuf;
use harness_model::fingerprint::Fingerprint;
use harness_model::grid::{Course, Point};
use harness_model::perturbation::Axis;
use harness_model::topology::Topology;
use harness_model::verdict::Kind;
use harness_runner::cli;
use harness_runner::config::{Settings, UnderTest};
use harness_runner::environment::Failure;
use harness_runner::exit::{Exit, Refusal};
use harness_runner::kit::{Commands, Kit};
use harness_runner::scenario::{Needs, Scenario};
use harness_runner::store;
use harness_runner::sweep::plan::Class;
use harness_runner::sweep::{Suspect, Sweep};
use harness_runner::trial::Judge;
use tempfile::TempDir;

use crate::cli::Said;
use crate::memory::{Memory, MemoryKit, World};
use crate::{path, settings};

type Body = for<'a> fn(&'a mut World) -> harness_runner::scenario::BodyFuture<'a>;

const fn scenario(name: &'static str, body: Body) -> Scenario<World> {
    Scenario {
        name,
        doc: "Fails as its name says.",
        location: Location::caller(),
        needs: Needs::Shared,
        budget: Duration::from_secs(5),
        setup: &[],
        must_see: &[],
        waive: &[],
        body,
    }
}

fn well(cx: &mut World) {
    cx.inject("1");
    cx.acknowledge("1");
}

/// Of ten seeds one fails, and only on late links.
fn flaky(cx: &mut World) {
    cx.inject("1");
    let late = cx.trial.perturbation.latency_ms.is_some();
    if !late || !cx.trial.seed.derive("flaky").0.is_multiple_of(10) {
        cx.acknowledge("1");
    }
}

static PLANTED: [Scenario<World>; 5] = [
    scenario("planted::flaky", |cx| {
        Box::pin(async {
            flaky(cx);
            Ok(())
        })
    }),
    scenario("planted::infra", |_| {
        Box::pin(async { Err(Failure::infra("no engine")) })
    }),
    scenario("planted::invalid", |cx| {
        Box::pin(async {
            well(cx);
            Err(Failure::invalid("the kill did not bite"))
        })
    }),
    scenario("planted::regression", |cx| {
        Box::pin(async {
            cx.inject("1");
            Ok(())
        })
    }),
    scenario("planted::stable", |cx| {
        Box::pin(async {
            well(cx);
            Ok(())
        })
    }),
];

/// [`MemoryKit`] with another catalogue.
struct Planted;

impl Kit for Planted {
    type Environment = Memory;

    fn catalogue(&self) -> &'static [Scenario<World>] {
        &PLANTED
    }

    fn judge(&self) -> Judge {
        MemoryKit.judge()
    }

    fn available(&self, settings: &Settings) -> Result<(), String> {
        MemoryKit.available(settings)
    }

    async fn environment(&self, settings: &Settings) -> Result<Memory, Refusal> {
        MemoryKit.environment(settings).await
    }
}

impl Commands for Planted {
    fn sources(&self) -> Utf8PathBuf {
        MemoryKit.sources()
    }

    fn axes(&self) -> &'static [Axis] {
        MemoryKit.axes()
    }

    fn topology(&self, settings: &Settings) -> Result<Topology, Refusal> {
        MemoryKit.topology(settings)
    }

    async fn environments(
        &self,
        settings: &Settings,
        variants: &[UnderTest],
    ) -> Result<Vec<Memory>, Refusal> {
        MemoryKit.environments(settings, variants).await
    }

    fn bug_catalogues(&self) -> Result<Vec<Utf8PathBuf>, Refusal> {
        MemoryKit.bug_catalogues()
    }

    fn baseline(&self) -> Scenario<World> {
        MemoryKit.baseline()
    }

    fn stand(&self) -> Scenario<World> {
        MemoryKit.stand()
    }

    fn survey(&self, course: Course) -> Scenario<World> {
        MemoryKit.survey(course)
    }

    fn point(&self, point: &Point) -> Scenario<World> {
        MemoryKit.point(point)
    }

    async fn images(&self, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Refusal> {
        MemoryKit.images(settings, out).await
    }

    async fn doctor(&self, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Refusal> {
        MemoryKit.doctor(settings, out).await
    }

    async fn gc(&self, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Refusal> {
        MemoryKit.gc(settings, out).await
    }

    async fn bench(
        &self,
        settings: &Settings,
        names: &[String],
        runs: u32,
        out: &mut dyn Write,
    ) -> Result<Exit, Refusal> {
        MemoryKit.bench(settings, names, runs, out).await
    }

    async fn check(
        &self,
        settings: &Settings,
        check: &harness_runner::check::Check,
        now: jiff::Timestamp,
    ) -> Result<Vec<harness_runner::check::Checked>, Refusal> {
        MemoryKit.check(settings, check, now).await
    }

    async fn pool_server(&self, settings: &Settings, args: &[String]) -> Result<Exit, Refusal> {
        MemoryKit.pool_server(settings, args).await
    }
}

fn harness(dir: &TempDir, args: &str) -> Said {
    harness_with(settings(dir), args)
}

fn harness_with(settings: Settings, args: &str) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = std::iter::once("harness")
        .chain(args.split_whitespace())
        .map(Into::into);
    let exit = cli::dispatch(&Planted, args, settings, &mut out, &mut err);
    Said {
        exit,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

/// The folder of the latest run, and what its sweep has stored.
fn latest(dir: &TempDir) -> (Utf8PathBuf, Sweep) {
    let folder = path(dir).join("latest").canonicalize_utf8().unwrap();
    let sweep = store::read_value(&folder.join("sweep.json")).unwrap();
    (folder, sweep)
}

/// The command that the report names does what it says.
fn the_command_works(out: &TempDir, report: &str) {
    let of_the_flaky_one = report.split_once("### flaky").unwrap().1;
    let line = of_the_flaky_one
        .lines()
        .find(|line| line.contains("again: harness reproduce"))
        .unwrap();
    let command = line.split_once("harness ").unwrap().1;
    let trial = command.split(' ').nth(1).unwrap();
    let said = harness(out, &format!("reproduce {trial} --times 3"));
    assert_eq!(said.exit, Exit::Failed, "{line}: {}", said.err);
    assert!(
        said.out
            .ends_with("reproduced 3 of 3; the same schedule 3 of 3\n"),
        "{}",
        said.out
    );
}

#[test]
fn planted_scenarios_are_told_apart_and_the_axis_is_named() {
    let out = TempDir::new().unwrap();
    let said = harness(&out, "sweep --trials 100 --seed 1");
    assert_eq!((said.exit, &*said.err), (Exit::Failed, ""));
    let (folder, sweep) = latest(&out);
    let found: Vec<_> = sweep
        .counts()
        .into_iter()
        .map(|(name, counts)| (name, counts.class(), counts.all()))
        .collect();
    let flaky = found[0].2;
    assert_eq!(
        found,
        [
            ("planted::flaky", Class::Flaky, flaky),
            ("planted::infra", Class::Infra, 5),
            ("planted::invalid", Class::Invalid, 5),
            ("planted::regression", Class::Regression, 5),
            ("planted::stable", Class::Stable, 59),
        ],
        "{}",
        said.out
    );
    assert!(flaky <= 300, "{flaky}");

    let suspect = &sweep.suspects["planted::flaky"];
    assert_eq!(suspect.again, Some((8, 8)));
    let named: Vec<_> = suspect.arms.iter().filter(|arm| arm.p <= 0.05).collect();
    assert!(
        named.iter().any(|arm| arm.without == Axis::Latency),
        "{suspect:?}"
    );
    let others = named
        .iter()
        .filter(|arm| ![Axis::Latency, Axis::Seed].contains(&arm.without));
    assert_eq!(others.count(), 0, "{suspect:?}");
    let parted = suspect.divergence.as_ref().unwrap();
    assert_eq!(
        (&*parted.service, &*parted.passing[0]),
        ("analyzer", "publish to done")
    );

    the_command_works(&out, &said.out);
    for file in ["sweep.md", "sweep.html"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        assert!(
            text.contains("planted::flaky")
                && text.contains("without latency")
                && text.contains("first failure")
                && text.contains("it showed"),
            "{file}"
        );
    }
}

#[test]
fn shards_add_up_to_the_sweep_that_one_run_makes() {
    let (out, parts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    harness(&out, "sweep --trials 60 --seed 1");
    let (_, whole) = latest(&out);
    let folders = [1, 2].map(|part| {
        harness(
            &parts,
            &format!("sweep --trials 60 --seed 1 --shard {part}/2 --jobs 4"),
        );
        latest(&parts).0
    });
    let said = harness(&parts, &format!("sweep merge {} {}", folders[0], folders[1]));
    assert_eq!((said.exit, &*said.err), (Exit::Failed, ""));
    let (_, merged) = latest(&parts);
    assert_eq!(merged.records, whole.records);
    // They are in other runs.
    let found = |sweep: &Sweep| {
        let of_no_run = |suspect: &Suspect| Suspect {
            run: String::new(),
            ..suspect.clone()
        };
        sweep.suspects.values().map(of_no_run).collect::<Vec<_>>()
    };
    assert_eq!(found(&merged), found(&whole));
    assert_eq!((&merged.asked, &merged.dealt), (&whole.asked, &whole.dealt));
    the_command_works(&parts, &said.out);
    assert!(path(&parts).join("report.md").is_file());
    let history = fs::read_to_string(path(&parts).join("history.jsonl")).unwrap();
    assert_eq!(history.lines().count(), 1, "a shard is no night");

    let said = harness(&parts, &format!("sweep merge {}", folders[1]));
    assert!(said.out.contains("shard 1 is missing"), "{}", said.out);
    let (_, half) = latest(&parts);
    let absent: Vec<_> = half.asked.difference(&half.dealt).cloned().collect();
    assert!(
        !absent.is_empty()
            && said
                .out
                .contains(&format!("not in here are {}", absent.join(", "))),
        "{}",
        said.out
    );
    // A folder of runs stands for the sweeps in it.
    let night = TempDir::new().unwrap();
    let said = harness(&night, &format!("sweep merge {}", path(&out)));
    assert_eq!(said.exit, Exit::Failed, "{}", said.err);
    assert_eq!(latest(&night).1, whole);
    let said = harness(&night, &format!("sweep merge {}", folders[0].join("1")));
    assert!(said.err.contains("no sweep is stored in"), "{}", said.err);
    let said = harness(&parts, &format!("sweep merge {0} {0}", folders[0]));
    assert_eq!(said.exit, Exit::Refused);
    assert!(said.err.contains("shard 1/2 is there twice"), "{}", said.err);
    let stored = folders[1].join("sweep.json");
    let text = fs::read_to_string(&stored).unwrap();
    for (from, to, why) in [
        (
            "\"seed\": 1,\n  \"axes\"",
            "\"seed\": 2,\n  \"axes\"",
            "seed 2, and 1",
        ),
        ("\"revision\": \"", "\"revision\": \"other-", "revision other-"),
        (
            "\"asked\": [",
            "\"asked\": [\n    \"a::b\",",
            "asked for different scenarios",
        ),
        (
            "\"dealt\": [",
            &format!("\"dealt\": [\n    \"{}\",", absent[0]),
            &format!("both have {}", absent[0]),
        ),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        fs::write(&stored, changed).unwrap();
        let said = harness(&parts, &format!("sweep merge {} {}", folders[0], folders[1]));
        assert_eq!(said.exit, Exit::Refused);
        assert!(said.err.contains(why), "{}", said.err);
    }
}

#[test]
fn what_was_asked_for_and_is_not_there_is_not_green() {
    let out = TempDir::new().unwrap();
    let folders = [1, 2].map(|part| {
        let said = harness(
            &out,
            &format!("sweep flaky stable --axes seed --trials 6 --seed 1 --shard {part}/2"),
        );
        assert_eq!(
            said.exit,
            Exit::Passed,
            "a shard answers for its own: {}",
            said.out
        );
        latest(&out).0
    });
    let merge = |dirs: &str| harness(&out, &format!("sweep merge {dirs}"));
    assert_eq!(
        merge(&format!("{} {}", folders[0], folders[1])).exit,
        Exit::Passed
    );
    assert_eq!(merge(folders[0].as_str()).exit, Exit::Unfit);

    // The time was over before one of them began.
    let stored = folders[1].join("sweep.json");
    let mut sweep: Sweep = store::read_value(&stored).unwrap();
    let left = sweep.records.pop().unwrap().scenario;
    sweep.records.retain(|record| record.scenario != left);
    fs::write(&stored, serde_json::to_string(&sweep).unwrap()).unwrap();
    let said = merge(&format!("{} {}", folders[0], folders[1]));
    assert_eq!(said.exit, Exit::Unfit);
    assert!(
        said.out.contains(&format!("no trial of {left} was run")),
        "{}",
        said.out
    );
}

#[test]
fn a_budget_of_time_is_not_used_up_by_what_is_stable() {
    let out = TempDir::new().unwrap();
    let said = harness(&out, "sweep stable --budget 1h --seed 1");
    assert_eq!(said.exit, Exit::Passed, "{}", said.out);
    let (_, sweep) = latest(&out);
    assert_eq!(sweep.counts()["planted::stable"].passed, 59);
}

#[test]
fn a_broken_line_of_the_history_is_named_and_stays() {
    let out = TempDir::new().unwrap();
    let sweep = "sweep stable --trials 6 --seed 1";
    assert_eq!(harness(&out, sweep).exit, Exit::Passed);
    let file = path(&out).join("history.jsonl");
    let first = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{first}{{\"runs\": [\"x")).unwrap();
    let said = harness(&out, sweep);
    assert_eq!(said.exit, Exit::Passed);
    assert!(
        said.out.contains("history.jsonl: line 2 is skipped"),
        "{}",
        said.out
    );
    assert!(
        said.out
            .contains("before: 0/6 failed, 0/6 together; no change shown"),
        "{}",
        said.out
    );
    let other = harness(&out, "sweep stable --trials 6 --seed 1 --axes seed");
    assert!(
        !other.out.contains("before: "),
        "it has varied other things: {}",
        other.out
    );
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with(&first) && text.lines().count() == 4, "{text}");
}

#[test]
fn what_is_put_up_with_does_not_fail_the_sweep() {
    let out = TempDir::new().unwrap();
    let sweep = "sweep flaky --trials 100 --seed 1";
    assert_eq!(
        harness(&out, &format!("{sweep} --max-rate 0.5")).exit,
        Exit::Passed
    );
    assert_eq!(
        harness(&out, &format!("{sweep} --max-rate 0.001")).exit,
        Exit::Failed
    );
    assert_eq!(harness(&out, "sweep infra --trials 10").exit, Exit::Unfit);
    assert_eq!(harness(&out, "sweep nothing").exit, Exit::NothingSelected);
    for bad in [
        "--axes time",
        "--budget 2",
        "--shard 3/2",
        "--max-rate 2",
        "--trials 0",
    ] {
        assert_eq!(
            harness(&out, &format!("sweep {bad}")).exit,
            Exit::Refused,
            "{bad}"
        );
    }
}

#[test]
fn without_axes_but_the_seed_nothing_is_disturbed() {
    let out = TempDir::new().unwrap();
    let said = harness(&out, "sweep flaky --axes seed --trials 60 --seed 1");
    assert_eq!(said.exit, Exit::Passed, "{}", said.out);
    let (_, sweep) = latest(&out);
    assert_eq!(sweep.records.len(), 59);
    assert!(sweep.records.iter().all(|record| record.perturbation.is_none()));
}

#[test]
fn what_a_quarantine_waits_for_does_not_fail_the_sweep_up_to_its_rate() {
    let out = TempDir::new().unwrap();
    let sweep = "sweep flaky --trials 100 --seed 1";
    assert_eq!(harness(&out, sweep).exit, Exit::Failed);
    let (folder, _) = latest(&out);
    let verdicts = store::trials(&folder).unwrap();
    let mut verdicts = verdicts.iter().map(|dir| store::read_verdict(dir).unwrap());
    let failed = verdicts.find(|verdict| verdict.kind != Kind::Pass).unwrap();
    let print = Fingerprint::all(&failed)[0].to_string();
    let with = |print: &str, rate: &str, last: i64| {
        let (file, today) = (
            path(&out).join("quarantine.toml"),
            harness_runner::quarantine::today(),
        );
        let text = format!(
            "[[entry]]\nscenario = \"planted::flaky\"\nowner = \"@team\"\nissue = \"#12\"\nreason = \"it races\"\n\
             added = {}\nexpires = {}\nmax_rate = {rate}\nfingerprints = [\"{print}\"]\n",
            today.saturating_sub(jiff::Span::new().days(20)),
            today.saturating_add(jiff::Span::new().days(last)),
        );
        fs::write(&file, text).unwrap();
        let mut settings = settings(&out);
        settings.quarantine = Some(file);
        harness_with(settings, sweep).exit
    };
    assert_eq!(with(&print, "0.2", 7), Exit::Passed);
    assert_eq!(
        with(&print, "0.001", 7),
        Exit::Failed,
        "it fails more often than that"
    );
    assert_eq!(
        with("fail/no-loss/0123456789abcdef", "0.2", 7),
        Exit::Failed,
        "it fails in another way"
    );
    assert_eq!(with(&print, "0.2", -1), Exit::Failed, "its last day is over");
}
