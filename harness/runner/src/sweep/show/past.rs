//! What earlier sweeps have found of a scenario, and whether it fails more or less often now.

use harness_model::statistics::{fisher, holm};

use super::super::Sweep;
use super::super::experiment::SIGNIFICANT;
use super::super::history::Line;
use super::super::plan::Counts;
use super::{Row, Said};

/// How many earlier sweeps are looked at.
const PAST: usize = 10;

/// What the latest earlier sweeps that have varied the same things have found of a scenario, the oldest first.
pub(super) fn past(sweep: &Sweep, history: &[Line], name: &str) -> Vec<Counts> {
    let earlier =
        |line: &&Line| line.axes == sweep.axes && !line.runs.iter().any(|run| sweep.runs.contains(run));
    let found = history.iter().filter(earlier);
    let found = found.filter_map(|line| line.scenarios.get(name).copied());
    let mut found: Vec<_> = found.filter(|counts| counts.telling() > 0).collect();
    found.drain(..found.len().saturating_sub(PAST));
    found
}

/// Failures and trials of all of them together.
fn together(past: &[Counts]) -> (u64, u64) {
    let add = |(failed, of), counts: &Counts| (failed + counts.failed, of + counts.telling());
    past.iter().fold((0, 0), add)
}

/// Compares each scenario with its past: Fisher's test in both directions, corrected for the number of scenarios. Those
/// that have never failed cannot show a change, so they do not count as comparisons.
pub(super) fn compare(rows: &mut [Row<'_>]) {
    let mut compared: Vec<_> = rows
        .iter_mut()
        .filter(|row| row.counts.telling() > 0 && row.counts.failed + together(&row.past).0 > 0)
        .filter(|row| !row.past.is_empty())
        .collect();
    let probability = |row: &&mut Row<'_>| {
        let (now, before) = ((row.counts.failed, row.counts.telling()), together(&row.past));
        (2.0 * fisher(now, before).min(fisher(before, now))).min(1.0)
    };
    let corrected = holm(&compared.iter().map(probability).collect::<Vec<_>>());
    for (row, p) in compared.iter_mut().zip(corrected) {
        row.change = Some(p);
    }
}

/// What earlier sweeps have found, and whether it has changed.
pub(super) fn before(row: &Row<'_>) -> Said {
    let each: Vec<_> = row
        .past
        .iter()
        .map(|counts| format!("{}/{}", counts.failed, counts.telling()))
        .collect();
    let (failed, of) = together(&row.past);
    let change = match row.change {
        Some(p) if p <= SIGNIFICANT => {
            let more = row.counts.failed * of > failed * row.counts.telling();
            let word = if more { "more" } else { "less" };
            format!("{word} often than before (p {p:.4})")
        }
        _ => "no change shown".to_owned(),
    };
    let text = format!("{} failed, {failed}/{of} together; {change}", each.join(" "));
    Said::fact("before", text)
}
