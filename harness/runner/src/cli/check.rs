//! `harness check`: a platform as it is, read-only.

use std::io::{self, Write};

use jiff::Timestamp;

use super::args::{CheckArgs, Format};
use super::{unwritable, with_runtime};
use crate::check::Checked;
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::kit::Commands;
use crate::report::table::{Column, Table};

pub(super) fn run<K: Commands>(
    kit: &K,
    settings: &Settings,
    args: &CheckArgs,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    let now = args.now.unwrap_or_else(Timestamp::now);
    let checked = with_runtime(|runtime| runtime.block_on(kit.check(settings, &args.what, now)))?;
    let written = match args.format {
        Format::Json => checked.iter().try_for_each(|one| writeln!(out, "{}", json(one))),
        Format::Pretty => write(&checked, out),
    };
    written.map_err(unwritable)?;
    let wrong = |one: &Checked| one.findings.as_ref().is_some_and(|findings| !findings.is_empty());
    Ok(if checked.iter().any(wrong) {
        Exit::Failed
    } else if checked.iter().any(|one| one.missed) {
        Exit::NoEngine
    } else {
        Exit::Passed
    })
}

/// What came of a rule, in a word.
fn word(checked: &Checked) -> &'static str {
    match checked.findings.as_deref() {
        Some([_, ..]) => "FAIL",
        _ if checked.missed => "unknown",
        Some([]) => "ok",
        None => "-",
    }
}

fn json(checked: &Checked) -> serde_json::Value {
    let findings = checked.findings.iter().flatten();
    let findings: Vec<_> = findings.map(|finding| finding.what.as_str()).collect();
    serde_json::json!({
        "rule": checked.rule, "result": word(checked), "looked_at": checked.looked_at, "findings": findings,
        "notes": checked.notes,
    })
}

/// A table of the rules, then all that is wrong and what is worth knowing.
fn write(checked: &[Checked], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new([
        Column::left("rule"),
        Column::left("result"),
        Column::left("looked at"),
    ]);
    for one in checked {
        table.row([one.rule, word(one), &one.looked_at]);
    }
    table.write(out)?;
    let findings = checked.iter().flat_map(|one| one.findings.iter().flatten());
    let lines: Vec<_> = findings
        .map(|finding| format!("{}: {}", finding.rule, finding.what))
        .chain(
            checked
                .iter()
                .flat_map(|one| &one.notes)
                .map(|note| format!("note: {note}")),
        )
        .collect();
    if !lines.is_empty() {
        writeln!(out)?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}
