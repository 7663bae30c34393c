//! Trials that are run, judged again from what is stored, or run again.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};

use camino::Utf8PathBuf;
use harness_model::grid::{Course, Point};
use harness_model::seed::Seed;
use harness_model::verdict::{Kind, Verdict};

use super::args::{Format, HowArgs};
use super::session::session;
use super::unwritable;
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::kit::{Commands, CxOf, Kit};
use crate::quarantine::Ward;
use crate::report::forms::{Told, places};
use crate::report::json::Json;
use crate::report::pretty::Pretty;
use crate::report::scene::{self, Scene};
use crate::report::{Finished, Reporter};
use crate::run::{self, Planned, Summary};
use crate::scenario::Scenario;
use crate::store;
use crate::trial::{self, Shared};

impl HowArgs {
    pub(super) fn merge(&mut self, settings: &mut Settings) {
        settings.jobs = self.jobs.unwrap_or(settings.jobs);
        settings.out = self.out.take().or(settings.out.take());
    }

    pub(super) fn reporter<'a>(&self, settings: &Settings, out: &'a mut dyn Write) -> Box<dyn Reporter + 'a> {
        match self.format {
            Format::Json => Box::new(Json(out)),
            Format::Pretty => Box::new(
                Pretty::new(out, io::stderr().is_terminal(), self.timings).guarded(settings.github_actions),
            ),
        }
    }
}

/// Runs what is planned, and writes it in the forms that are asked for.
pub(super) fn run<K: Kit>(
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
        let missing: BTreeSet<_> = missing.filter(|name| !ended(name)).collect();
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

/// Judges stored evidence; what the trial's own course had shown is taken over from the store.
pub(super) fn recheck<K: Kit>(kit: &K, dir: &Utf8PathBuf, out: &mut dyn Write) -> Result<Exit, Refusal> {
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
pub(super) fn scenarios<K: Commands>(kit: &K, name: &str) -> Vec<Scenario<CxOf<K>>> {
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
pub(super) fn reproduce<K: Commands>(
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
            rules.map(|finding| finding.rule.clone()).collect::<BTreeSet<_>>(),
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
