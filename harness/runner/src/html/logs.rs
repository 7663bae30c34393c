//! The services' logs, cut to the time that matters.
//!
//! A line belongs to a time if it begins with one (RFC 3339); a line without one belongs to the line before it.

use jiff::Timestamp;

use super::span::Span;
use crate::report::scene::plain;

/// Most lines of one log.
pub const LINES: usize = 120;

/// A log, cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Who wrote it.
    pub name: String,
    /// Its lines, each with its time in the trial, if that is known.
    pub lines: Vec<(Option<u64>, String)>,
    /// How many were before the window.
    pub before: usize,
    /// How many were in it, but are too many.
    pub within: usize,
    /// How many were after it.
    pub after: usize,
    /// The times of lines are known, so that it is cut to the window; else these are the last lines.
    pub timed: bool,
}

/// Cuts a log to a window. `opened` is the time of the host's clock at which the ledger's began.
pub fn cut(name: &str, text: &str, opened: Option<Timestamp>, window: Span) -> Cut {
    let mut last = None;
    let mut timed = false;
    let lines: Vec<_> = text
        .lines()
        .map(|line| {
            let line = plain(line);
            if let Some(at) = opened.and_then(|opened| at(&line, opened)) {
                (last, timed) = (Some(at), true);
            }
            (last, line)
        })
        .collect();
    let whole = lines.len();
    let place = |(at, _): &(Option<i128>, String)| match at {
        Some(at) if *at > i128::from(window.to) => 1,
        Some(at) if *at >= i128::from(window.from) => 0,
        // Before the first line with a time.
        _ => -1,
    };
    let (before, after) = if timed {
        let count = |side| lines.iter().filter(|line| place(line) == side).count();
        (count(-1), count(1))
    } else {
        (whole.saturating_sub(LINES), 0)
    };
    let inside = lines.into_iter().filter(|line| !timed || place(line) == 0);
    let inside: Vec<_> = inside.skip(if timed { 0 } else { before }).collect();
    let within = inside.len().saturating_sub(LINES);
    // What matters comes last.
    let kept = inside
        .into_iter()
        .skip(within)
        .map(|(at, line)| (at.and_then(|at| u64::try_from(at).ok()), line));
    Cut {
        name: name.to_owned(),
        lines: kept.collect(),
        before,
        within,
        after,
        timed,
    }
}

/// When a line was written, in nanoseconds since the ledger was opened; negative before that.
fn at(line: &str, opened: Timestamp) -> Option<i128> {
    let first = line.split_whitespace().next()?;
    let time: Timestamp = first.trim_matches(|c: char| "[]()\"".contains(c)).parse().ok()?;
    Some(time.as_nanosecond() - opened.as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::{LINES, cut};
    use crate::html::span::Span;

    const LOG: &str = "2026-11-24T15:46:01.000Z early\n2026-11-24T15:46:03.500Z \u{1b}[31min\u{1b}[0m the window\n  with \
                       more of it\n2026-11-24T15:46:09Z late\n";

    #[test]
    fn a_log_with_times_is_cut_to_the_window() {
        let opened = "2026-11-24T15:46:03Z".parse().unwrap();
        let window = Span::new(400_000_000, 900_000_000);
        let found = cut("tags", LOG, Some(opened), window);
        assert_eq!((found.before, found.within, found.after), (1, 0, 1));
        let at = Some(500_000_000);
        let lines = [
            (at, "2026-11-24T15:46:03.500Z in the window".to_owned()),
            (at, "  with more of it".to_owned()),
        ];
        assert_eq!(found.lines, lines);
    }

    #[test]
    fn a_log_without_times_shows_its_end() {
        let many: Vec<_> = (0..200).map(|n| format!("line {n}")).collect();
        let many = many.join("\n");
        let found = cut("tags", &many, None, Span::new(0, 1));
        assert_eq!(
            (found.lines.len(), found.before, found.after, found.timed),
            (LINES, 80, 0, false)
        );
        assert_eq!(found.lines[LINES - 1].1, "line 199");
        assert_eq!(cut("tags", "", None, Span::new(0, 1)).lines, []);
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let opened = "2026-11-24T15:46:03Z".parse().unwrap();
        let many = "2026-11-24T15:46:03.1Z again\n".repeat(LINES + 5);
        let found = cut("tags", &many, Some(opened), Span::new(0, 900_000_000));
        assert_eq!((found.lines.len(), found.within), (LINES, 5));
    }
}
