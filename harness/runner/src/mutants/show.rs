//! The matrix for people.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use harness_model::verdict::Kind;

use super::{Cell, Fate, Matrix, Row, Seen};
use crate::report::table::{Column, Table};

impl Row {
    /// How many trials have noticed it, of those that say anything, and how many say nothing.
    fn score(&self) -> String {
        let attempts = || self.cells.iter().flat_map(|cell| &cell.attempts);
        let noticed = attempts().filter(|attempt| !attempt.noticed.is_empty()).count();
        let fit = attempts().filter(|attempt| attempt.fit()).count();
        let unfit = [Kind::Invalid, Kind::Infra].into_iter().filter_map(|kind| {
            let count = attempts().filter(|attempt| attempt.kind == kind).count();
            (count > 0).then(|| format!(", {count} {}", kind.word()))
        });
        [format!("{noticed} of {fit}")].into_iter().chain(unfit).collect()
    }
}

impl Cell {
    /// The rules that have noticed the bug, each with how often.
    fn noticed(&self) -> String {
        let fit = self.attempts.iter().filter(|attempt| attempt.fit()).count();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for rule in self.attempts.iter().flat_map(|attempt| &attempt.noticed) {
            *times.entry(rule).or_default() += 1;
        }
        let each: Vec<_> = times
            .iter()
            .map(|(rule, times)| format!("{rule} {times}/{fit}"))
            .collect();
        each.join(", ")
    }

    fn other(&self) -> String {
        let rules: BTreeSet<_> = self.attempts.iter().flat_map(|attempt| &attempt.other).collect();
        rules
            .into_iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The median time of the trials that have noticed the bug, in seconds; of an even number, the lower of the two.
    fn seconds(&self) -> Option<f64> {
        let noticed = self.attempts.iter().filter(|attempt| !attempt.noticed.is_empty());
        let mut times: Vec<_> = noticed.map(|attempt| attempt.seconds).collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len().saturating_sub(1) / 2).copied()
    }
}

impl Matrix {
    /// Writes the matrix and what it comes to.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new([
            Column::left("bug"),
            Column::left("fate"),
            Column::left("detected"),
            Column::left("baseline"),
            Column::left("scenario"),
            Column::right("seconds"),
            Column::left("by"),
            Column::left("also red"),
        ]);
        for row in &self.bugs {
            let mut head = [
                row.bug.clone(),
                row.fate.word().to_owned(),
                row.score(),
                row.baseline.map_or("-", Seen::word).to_owned(),
            ];
            for cell in &row.cells {
                let seconds = cell
                    .seconds()
                    .map_or_else(|| "-".to_owned(), |time| format!("{time:.1}"));
                let noticed = Some(cell.noticed()).filter(|text| !text.is_empty());
                let noticed = noticed.unwrap_or_else(|| "-".to_owned());
                table.row(
                    head.into_iter()
                        .chain([cell.scenario.clone(), seconds, noticed, cell.other()]),
                );
                head = Default::default();
            }
        }
        table.write(out)?;
        writeln!(out)?;
        self.write_summary(out)
    }

    fn write_summary(&self, out: &mut dyn Write) -> io::Result<()> {
        let all = self.bugs.len();
        let share = |found: usize, of: usize| {
            let percent = (found * 100).checked_div(of).unwrap_or(0);
            format!("{found} of {of} bugs ({percent} %)")
        };
        let of_fate = |fate| self.bugs.iter().filter(move |row| row.fate == fate);
        writeln!(
            out,
            "harness:         {}",
            share(of_fate(Fate::Detected).count(), all)
        )?;
        let listed = |listed| {
            let rows = || self.bugs.iter().filter(move |row| row.listed == listed);
            share(
                rows().filter(|row| row.fate == Fate::Detected).count(),
                rows().count(),
            )
        };
        if self.bugs.iter().any(|row| !row.listed) {
            writeln!(out, "  listed:        {}", listed(true))?;
            writeln!(out, "  not listed:    {}", listed(false))?;
        }
        let checked: Vec<_> = self.bugs.iter().filter_map(|row| row.baseline).collect();
        let saw = checked.iter().filter(|seen| **seen == Seen::Yes).count();
        match self.unmodified {
            None => writeln!(out, "naive baseline:  not run")?,
            Some(_) => writeln!(out, "naive baseline:  {}", share(saw, checked.len()))?,
        }
        let notes = [
            (Fate::Survived, "survived"),
            (Fate::Otherwise, "caught by something else only"),
            (Fate::Unknown, "nothing is known of"),
        ];
        for (fate, note) in notes {
            let names: Vec<_> = of_fate(fate).map(|row| row.bug.as_str()).collect();
            if !names.is_empty() {
                writeln!(out, "{note}: {}", names.join(", "))?;
            }
        }
        match self.unmodified {
            Some(Seen::Yes) => {
                writeln!(
                    out,
                    "the baseline fails without any bug, so what it says of bugs means nothing"
                )?;
            }
            Some(Seen::Unknown) => {
                writeln!(out, "whether the baseline passes without any bug is not known")?;
            }
            Some(Seen::No) | None => {}
        }
        let unlike = |seen, expected| {
            let rows = self.bugs.iter();
            let rows =
                rows.filter(move |row| row.baseline == Some(seen) && row.baseline_expected == expected);
            rows.map(|row| row.bug.as_str()).collect::<Vec<_>>()
        };
        let easy = unlike(Seen::Yes, false);
        if !easy.is_empty() {
            writeln!(out, "too easy, the baseline sees them: {}", easy.join(", "))?;
        }
        let hard = unlike(Seen::No, true);
        if !hard.is_empty() {
            writeln!(
                out,
                "the baseline does not see them, though the catalogue says so: {}",
                hard.join(", ")
            )?;
        }
        Ok(())
    }
}
