//! `harness coverage`: what stored runs have left idle.

use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::coverage::{Coverage, Part};
use harness_model::verdict::Kind;

use super::args::{CoverageArgs, Format};
use super::unwritable;
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::mutants::Matrix;
use crate::report::table::{Column, Table};
use crate::store::{self, StoreError};

pub(super) fn run(settings: &Settings, args: &CoverageArgs, out: &mut dyn Write) -> Result<Exit, Refusal> {
    let store = args.out.clone().unwrap_or_else(|| settings.out_dir());
    let runs = if args.runs.is_empty() {
        vec![store.join("latest")]
    } else {
        args.runs.clone()
    };
    let mut coverage = Coverage::default();
    let mut without = Vec::new();
    for run in &runs {
        for dir in store::trials(run)? {
            if !take(&mut coverage, &dir)? {
                without.push(dir);
            }
        }
    }
    if coverage.trials == 0 {
        let runs: Vec<_> = runs.iter().map(|run| run.as_str()).collect();
        return Err(Refusal {
            exit: Exit::NothingSelected,
            what: format!("no trial with its evidence is stored in {}", runs.join(" or ")),
            hint: Some("name the folder of a run".to_owned()),
        });
    }
    if let Some(file) = &args.mutants {
        let matrix: Matrix = store::read_value(file)?;
        for row in &matrix.bugs {
            coverage.bug(row.broken());
        }
    }
    let written = match args.format {
        Format::Json => {
            let idle = |part: Part| (part, coverage.idle(part));
            let idle: Vec<_> = Part::ALL.map(idle).into();
            let value =
                serde_json::json!({ "coverage": coverage, "idle": idle, "without_evidence": without });
            writeln!(out, "{value}")
        }
        Format::Pretty => write(&coverage, &without, out),
    };
    written.map_err(unwritable)?;
    let idle = Part::ALL.iter().any(|part| !coverage.idle(*part).is_empty());
    Ok(if idle { Exit::Failed } else { Exit::Passed })
}

/// Counts a stored trial; false if it ended before its evidence was collected.
fn take(coverage: &mut Coverage, dir: &Utf8Path) -> Result<bool, StoreError> {
    let stored = match store::read(dir) {
        Ok(stored) => stored,
        Err(StoreError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // The judges were asked unless the environment let the trial down.
    let judged = !stored
        .about
        .course
        .iter()
        .any(|finding| finding.kind == Kind::Infra);
    coverage.trial(&stored.schedule.faults, &stored.evidence, judged);
    Ok(true)
}

fn write(coverage: &Coverage, without: &[Utf8PathBuf], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} trials", coverage.trials)?;
    for dir in without {
        writeln!(out, "  {dir} has no evidence and is not counted")?;
    }
    let mut table = Table::new([
        Column::left("what"),
        Column::right("of all"),
        Column::left("idle"),
    ]);
    for part in Part::ALL {
        let Some(times) = coverage.times.get(&part) else {
            table.row([part.heading(), "-", "not asked; see --mutants"]);
            continue;
        };
        let seen = times.values().filter(|times| **times > 0).count();
        let idle = coverage.idle(part);
        let idle = if idle.is_empty() {
            "-".to_owned()
        } else {
            idle.join(", ")
        };
        table.row([part.heading().to_owned(), format!("{seen}/{}", times.len()), idle]);
    }
    table.write(out)?;
    for part in Part::ALL {
        for (word, why) in Coverage::exempt(part) {
            writeln!(out, "{word} may be idle ({}): {why}", part.heading())?;
        }
    }
    Ok(())
}
