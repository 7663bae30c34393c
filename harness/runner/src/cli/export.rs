//! `harness export`: stored runs in the forms that machines read.

use std::fmt::Write as _;
use std::io::Write;

use harness_model::verdict::Kind;

use super::args::ExportArgs;
use super::{unwritable, ward};
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::kit::Kit;
use crate::report::guard;
use crate::stored;

/// Writes the forms, and ends as a run with these trials would.
pub(super) fn run<K: Kit>(
    kit: &K,
    settings: &Settings,
    args: ExportArgs,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    let mut runs = args.runs;
    if runs.is_empty() {
        runs.push(settings.out_dir().join("latest"));
    }
    let ward = ward(kit, settings)?;
    let expected = (!args.expect.is_empty()).then_some(args.expect.as_slice());
    let told = stored::told(kit, &ward, &runs, expected)?;
    if told.finished.is_empty() && told.missing.is_empty() {
        return Err(Refusal {
            exit: Exit::NothingSelected,
            ..Refusal::config("no trial is stored there")
        });
    }
    told.write(&args.report, settings.step_summary.as_deref(), out)?;
    let bad = told
        .finished
        .iter()
        .filter(|ended| ended.is_held() || ended.counts_as() != Kind::Pass);
    let sentence = format!(
        "{} trials of {}, of which {} did not pass; {} scenarios were not run; exit code {}",
        told.finished.len(),
        told.run,
        bad.count(),
        told.missing.len(),
        told.exit().code()
    );
    let mut text = format!("{sentence}\n");
    for name in &told.missing {
        _ = writeln!(text, "not run: {name}");
    }
    // The forms may be commands; this must not be.
    let text = if settings.github_actions {
        guard::wrapped(text.as_bytes())
    } else {
        text.into_bytes()
    };
    out.write_all(&text).map_err(unwritable)?;
    Ok(told.exit())
}
