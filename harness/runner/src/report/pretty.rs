//! Plain lines for people; on a terminal also one moving line for each running trial.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use camino::Utf8PathBuf;
use harness_model::quarantine::Standing;
use harness_model::verdict::{Kind, Timings};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::table::{Column, Table};
use super::{Event, Finished, Reporter, Totals, guard, scene};
use crate::quarantine;

/// The reporter for people.
#[derive(Debug)]
pub struct Pretty<W> {
    out: W,
    bars: Option<MultiProgress>,
    running: BTreeMap<String, ProgressBar>,
    timings: Option<Vec<(String, Timings)>>,
    dir: Option<Utf8PathBuf>,
    guarded: bool,
}

impl<W: Write> Pretty<W> {
    /// Writes to `out`; `terminal` asks for moving lines on stderr, `timings` for a table of phases at the end.
    pub fn new(out: W, terminal: bool, timings: bool) -> Self {
        let bars = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self {
            out,
            bars,
            running: BTreeMap::new(),
            timings: timings.then(Vec::new),
            dir: None,
            guarded: false,
        }
    }

    /// What is printed is read by a workflow: foreign text in it must not be taken for commands.
    #[must_use]
    pub fn guarded(mut self, guarded: bool) -> Self {
        self.guarded = guarded;
        self
    }

    /// A moving line for a trial that has begun.
    pub(crate) fn begin(&mut self, trial: &str, what: &str) {
        let Some(bars) = &self.bars else { return };
        let style = ProgressStyle::with_template("{spinner} {elapsed:>5}  {prefix}  {msg}");
        let bar = bars.add(ProgressBar::new_spinner().with_prefix(what.to_owned()));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(Duration::from_millis(200));
        self.running.insert(trial.to_owned(), bar);
    }

    fn finished(&mut self, finished: &Finished) -> io::Result<()> {
        if let Some(timings) = &mut self.timings {
            timings.push((finished.scenario.clone(), finished.verdict.timings.clone()));
        }
        let mut text = Vec::new();
        write_trial(finished, &mut text)?;
        if self.guarded && finished.verdict.kind != Kind::Pass {
            text = guard::wrapped(&text);
        }
        self.end(&finished.trial, &text)
    }

    /// Writes `text` in the place of a trial's moving line.
    pub(crate) fn end(&mut self, trial: &str, text: &[u8]) -> io::Result<()> {
        if let Some(bar) = self.running.remove(trial) {
            bar.finish_and_clear();
        }
        let out = &mut self.out;
        let mut write = || out.write_all(text).and_then(|()| out.flush());
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

/// One line with verdict, scenario and time; below it the scene of whatever did not pass.
fn write_trial(finished: &Finished, out: &mut dyn Write) -> io::Result<()> {
    let kind = finished.verdict.kind;
    let word = if kind == Kind::Pass || finished.is_held() {
        kind.word().to_owned()
    } else {
        kind.word().to_uppercase()
    };
    writeln!(
        out,
        "{word:<7}  {}  {}{}",
        finished.scenario,
        seconds(finished.verdict.timings.total()),
        standing(finished)
    )?;
    if kind == Kind::Pass {
        Ok(())
    } else {
        scene::write(finished, out)
    }
}

/// What quarantine makes of it, where that is not the same as for any other trial.
fn standing(finished: &Finished) -> String {
    match &finished.quarantine {
        Some(standing) if *standing != Standing::Held || finished.is_held() => {
            format!(", {}", quarantine::note(standing))
        }
        _ => String::new(),
    }
}

impl<W: Write> Reporter for Pretty<W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::RunStarted {
                run,
                seed,
                trials,
                dir,
            } => {
                self.dir = Some(dir.clone());
                writeln!(self.out, "run {run}, seed {seed}, {}", trial_count(*trials))?;
            }
            Event::TrialStarted { trial, scenario, .. } => self.begin(trial, scenario),
            Event::Phase { trial, phase } => {
                if let Some(bar) = self.running.get(trial) {
                    bar.set_message(phase.clone());
                }
            }
            Event::TrialFinished(finished) => self.finished(finished)?,
            Event::RunFinished(totals) => {
                if let Some(timings) = &self.timings {
                    write_timings(timings, &mut self.out)?;
                }
                writeln!(self.out, "{}", summary(totals))?;
                let bad = totals.fail + totals.hang + totals.infra + totals.invalid;
                if let Some(dir) = self.dir.as_ref().filter(|_| bad > 0) {
                    writeln!(self.out, "as a page: harness report {dir}")?;
                }
            }
        }
        self.out.flush()
    }
}

fn trial_count(n: usize) -> String {
    format!("{n} trial{}", if n == 1 { "" } else { "s" })
}

pub(crate) fn seconds(length: Duration) -> String {
    format!("{:.1} s", length.as_secs_f64())
}

fn summary(totals: &Totals) -> String {
    let Totals {
        pass,
        fail,
        hang,
        invalid,
        infra,
        quarantined,
        not_run,
        took,
        exit,
    } = totals;
    let counts = [
        (pass, "pass"),
        (fail, "fail"),
        (hang, "hang"),
        (invalid, "invalid"),
        (infra, "infra"),
        (quarantined, "quarantined"),
        (not_run, "not run"),
    ];
    let counts: Vec<_> = counts
        .iter()
        .filter(|(n, _)| **n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    format!("{} in {}, exit code {exit}", counts.join(", "), seconds(*took))
}

/// One row for each trial, one column for each phase, in the order in which phases first occur.
fn write_timings(rows: &[(String, Timings)], out: &mut dyn Write) -> io::Result<()> {
    let mut phases: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|(_, timings)| &timings.phases) {
        if !phases.contains(&name.as_str()) {
            phases.push(name);
        }
    }
    let number = |length: Duration| format!("{:9.3}", length.as_secs_f64());
    let columns = phases.iter().copied().chain(["total"]).map(Column::right);
    let mut table = Table::new([Column::left("seconds")].into_iter().chain(columns));
    for (scenario, timings) in rows {
        let of = |phase: &str| {
            let found = timings.phases.iter().filter(|(name, _)| name == phase);
            found.map(|(_, length)| *length).sum()
        };
        let lengths = phases.iter().map(|phase| number(of(phase)));
        table.row(
            [scenario.clone()]
                .into_iter()
                .chain(lengths)
                .chain([number(timings.total())]),
        );
    }
    table.write(out)
}
