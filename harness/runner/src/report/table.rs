//! Tables for people: aligned columns with two spaces in between.

use std::io::{self, Write};

/// A column: its heading, and to which side its cells are pushed.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    heading: String,
    right: bool,
}

impl Column {
    /// A column of words.
    pub(crate) fn left(heading: &str) -> Self {
        Self {
            heading: heading.to_owned(),
            right: false,
        }
    }

    /// A column of numbers.
    pub(crate) fn right(heading: &str) -> Self {
        Self {
            right: true,
            ..Self::left(heading)
        }
    }
}

/// A table in the making.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells that are not given are empty.
    pub(crate) fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Writes headings and rows, each column as wide as its widest cell, and no line longer than its last word.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let headings: Vec<_> = self.columns.iter().map(|column| column.heading.clone()).collect();
        let lines = || [&headings].into_iter().chain(&self.rows);
        let width = |i: usize| {
            let cells = lines().filter_map(|row| row.get(i));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        for row in lines() {
            let mut line = String::new();
            for (i, (column, width)) in self.columns.iter().zip(&widths).enumerate() {
                let cell = row.get(i).map_or("", String::as_str);
                let space = " ".repeat(width - cell.chars().count());
                let gap = if i == 0 { "" } else { "  " };
                line.push_str(gap);
                if column.right {
                    line.extend([space.as_str(), cell]);
                } else {
                    line.extend([cell, space.as_str()]);
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, Table};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([Column::left("bug"), Column::right("s"), Column::left("by")]);
        table.row(["a", "10.5", "no-loss"]);
        table.row(["longer", "·"]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let expected = "bug        s  by\na       10.5  no-loss\nlonger     ·\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
