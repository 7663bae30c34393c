//! Where the weekly copy of a backup belongs: the ISO week of its day, whose year is not always that of the day.

use jiff::civil::{Date, Weekday};

/// The folder of the weekly copy that is made on this day (UTC), such as `weekly/2026-W53`.
pub fn key(day: Date) -> String {
    let week = day.iso_week_date();
    format!("weekly/{:04}-W{:02}", week.year(), week.week())
}

/// The weekly copy is made on this day (UTC).
pub fn is_due(day: Date) -> bool {
    day.weekday() == Weekday::Sunday
}
