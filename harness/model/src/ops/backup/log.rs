//! Freshness: the log's last line of a complete backup, `<UTC time> INFO backup complete env=<env>`.
//!
//! Rule `backup-fresh`. The last such line counts, whatever stands before it: if its time cannot be read, an older one that
//! can is no comfort. A time in the future is as bad as an old one, since it would stay fresh for too long.

use jiff::{SignedDuration, Timestamp};

use crate::ops::fail;
use crate::verdict::Finding;

/// The last complete backup is fresh.
pub const FRESH: &str = "backup-fresh";

/// The greatest age.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(30);
/// What stands between time and environment.
const COMPLETE: &str = " INFO backup complete env=";

/// Rule `backup-fresh`: what is wrong at `now` with the log of the backups of `env`. `log` is absent if there is no file.
pub fn fresh(file: &str, log: Option<&str>, env: &str, now: Timestamp) -> Vec<Finding> {
    stale(file, log, env, now)
        .map(|what| fail(FRESH, what))
        .into_iter()
        .collect()
}

fn stale(file: &str, log: Option<&str>, env: &str, now: Timestamp) -> Option<String> {
    let Some(log) = log else {
        return Some(format!(
            "{file}: there is no such file; expected the log of the backups of {env}"
        ));
    };
    let complete: Vec<_> = log.lines().filter_map(|line| line.split_once(COMPLETE)).collect();
    let ours = |(_, rest): &&(&str, &str)| rest.split_whitespace().next() == Some(env);
    let Some((written, _)) = complete.iter().rfind(ours) else {
        return Some(match complete.last() {
            None => format!("{file}: no line says `backup complete`; expected one of {env}"),
            Some((_, other)) => {
                let other = other.split_whitespace().next().unwrap_or_default();
                format!("{file}: the last complete backup is one of env={other}; expected env={env}")
            }
        });
    };
    let Ok(time) = written.trim().parse::<Timestamp>() else {
        return Some(format!(
            "{file}: the time `{}` of the last complete backup cannot be read; expected one such as 2026-11-24T03:00:00Z",
            written.trim()
        ));
    };
    let age = now.duration_since(time);
    if age.is_negative() {
        return Some(format!(
            "{file}: the last complete backup is of {time}, which is in the future; it is {now}"
        ));
    }
    (age > MAX_AGE).then(|| {
        let (hours, minutes) = (age.as_hours(), age.as_mins() % 60);
        format!(
            "{file}: the last complete backup of {env} is {hours} h {minutes} min old ({time}); expected at most {} h",
            MAX_AGE.as_hours()
        )
    })
}
