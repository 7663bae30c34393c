//! What a trial did over its time: deliveries, unacknowledged, depth, latency.
//!
//! All of it is counted in the ledger, message by message; nothing is sampled. Percentiles are exact: the nearest rank.

use std::collections::{BTreeMap, BTreeSet};

use harness_model::invariant::Account;

use super::span::Span;

/// Points of a line.
pub const BINS: usize = 120;

/// A line of a plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it is about.
    pub name: String,
    /// A value for each part of the time; none where there is nothing to say.
    pub values: Vec<Option<f64>>,
}

/// A plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// What it shows.
    pub title: &'static str,
    /// In what.
    pub unit: &'static str,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Plot {
    /// Its greatest value.
    pub fn top(&self) -> f64 {
        let values = self.lines.iter().flat_map(|line| line.values.iter().flatten());
        values.copied().fold(0.0, f64::max)
    }
}

/// How long the messages of a queue took from their publish to their acknowledgement, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    /// Role of the queue.
    pub queue: String,
    /// How many.
    pub count: usize,
    /// Half of them took no longer.
    pub p50: u64,
    /// 99 of 100 took no longer.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// The value that `percent` of 100 do not exceed: the nearest rank of sorted values.
pub fn percentile(sorted: &[u64], percent: u64) -> Option<u64> {
    let rank = (sorted.len() as u64 * percent).div_ceil(100).max(1);
    sorted.get(usize::try_from(rank - 1).ok()?).copied()
}

/// All plots.
pub fn plots(account: &Account<'_>, span: Span) -> Vec<Plot> {
    let sent = account.sent.iter().map(|sent| sent.queue.as_str());
    let given = account.given.iter().map(|given| given.queue.as_str());
    let queues: BTreeSet<&str> = sent.chain(given).collect();
    let of_each = |values: &dyn Fn(&str) -> Vec<Option<f64>>| {
        let lines = queues.iter().map(|queue| Line {
            name: (*queue).to_owned(),
            values: values(queue),
        });
        lines.collect::<Vec<_>>()
    };
    let part = span.length() as f64 / BINS as f64 / 1e9;
    let rate = |queue: &str| {
        let mut counts = vec![0.0; BINS];
        let given = account.given.iter().filter(|given| given.queue == queue);
        for bin in given.filter_map(|given| span.bin(given.at, BINS)) {
            counts[bin] += 1.0 / part;
        }
        counts.into_iter().map(Some).collect()
    };
    let unacknowledged = |queue: &str| {
        let given = account.given.iter().filter(|given| given.queue == queue);
        let changes = given.flat_map(|given| [Some((given.at, 1)), given.until.map(|at| (at, -1))]);
        level(changes.flatten().collect(), span)
    };
    let depth = |queue: &str| {
        let sent = account.sent.iter().filter(|sent| sent.queue == queue);
        let given = account.given.iter().filter(|given| given.queue == queue);
        let came = sent.map(|sent| (sent.at, 1));
        let went = given.flat_map(|given| {
            let back = given.until.filter(|_| given.back).map(|at| (at, 1));
            [Some((given.at, -1)), back]
        });
        level(came.chain(went.flatten()).collect(), span)
    };
    vec![
        Plot {
            title: "Deliveries",
            unit: "a second",
            lines: of_each(&rate),
        },
        Plot {
            title: "Unacknowledged",
            unit: "deliveries, at most",
            lines: of_each(&unacknowledged),
        },
        Plot {
            title: "Depth",
            unit: "ready messages, at most",
            lines: of_each(&depth),
        },
        Plot {
            title: "Latency, p50",
            unit: "ms from publish to acknowledgement",
            lines: of_each(&|queue| latency(account, span, queue, 50)),
        },
        Plot {
            title: "Latency, p99",
            unit: "ms from publish to acknowledgement",
            lines: of_each(&|queue| latency(account, span, queue, 99)),
        },
    ]
}

/// The highest level in each part of the time, from changes of it.
fn level(mut changes: Vec<(u64, i64)>, span: Span) -> Vec<Option<f64>> {
    // Where both happen at once, what goes comes first: no level that never was is shown.
    changes.sort_unstable();
    let mut values = vec![None; BINS];
    let (mut now, mut filled) = (0_i64, 0);
    for (at, change) in changes {
        let bin = span
            .bin(at, BINS)
            .unwrap_or(if at < span.from { 0 } else { BINS - 1 });
        while filled < bin {
            let value: &mut Option<i64> = &mut values[filled];
            *value = Some(value.unwrap_or(0).max(now));
            filled += 1;
        }
        values[bin] = Some(values[bin].unwrap_or(now).max(now));
        now = (now + change).max(0);
        values[bin] = Some(values[bin].unwrap_or(0).max(now));
    }
    for value in &mut values[filled..] {
        *value = Some(value.unwrap_or(0).max(now));
    }
    values
        .into_iter()
        .map(|value| value.map(|value| value as f64))
        .collect()
}

/// A percentile of the latencies of the messages that were acknowledged in each part of the time.
fn latency(account: &Account<'_>, span: Span, queue: &str, percent: u64) -> Vec<Option<f64>> {
    let mut bins: Vec<Vec<u64>> = vec![Vec::new(); BINS];
    for given in account.given.iter().filter(|given| given.queue == queue) {
        let bin = given.until.and_then(|at| span.bin(at, BINS));
        if let (Some(bin), Some(latency)) = (bin, given.latency) {
            bins[bin].push(latency);
        }
    }
    let mut values = Vec::new();
    for mut bin in bins {
        bin.sort_unstable();
        values.push(percentile(&bin, percent).map(|ns| ns as f64 / 1e6));
    }
    values
}

/// How long messages took, queue by queue.
pub fn latencies(account: &Account<'_>) -> Vec<Latency> {
    let mut queues: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for given in &account.given {
        if let Some(latency) = given.latency {
            queues.entry(given.queue.as_str()).or_default().push(latency);
        }
    }
    let told = queues.into_iter().filter_map(|(queue, mut all)| {
        all.sort_unstable();
        Some(Latency {
            queue: queue.to_owned(),
            count: all.len(),
            p50: percentile(&all, 50)?,
            p99: percentile(&all, 99)?,
            max: *all.last()?,
        })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::{BINS, level, percentile};
    use crate::html::span::Span;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let table: [(&[u64], u64, Option<u64>); 8] = [
            (&[], 50, None),
            (&[7], 50, Some(7)),
            (&[7], 99, Some(7)),
            (&[15, 20, 35, 40, 50], 30, Some(20)),
            (&[15, 20, 35, 40, 50], 40, Some(20)),
            (&[15, 20, 35, 40, 50], 50, Some(35)),
            (&[15, 20, 35, 40, 50], 100, Some(50)),
            (&[3, 6, 7, 8, 8, 10, 13, 15, 16, 20], 25, Some(7)),
        ];
        for (sorted, percent, expected) in table {
            assert_eq!(percentile(sorted, percent), expected, "{sorted:?} {percent}");
        }
        let all: Vec<u64> = (1..=1000).collect();
        assert_eq!(
            (percentile(&all, 50), percentile(&all, 99)),
            (Some(500), Some(990))
        );
    }

    #[test]
    fn a_level_is_the_highest_of_each_part_and_lasts() {
        let span = Span::new(0, BINS as u64 * 10_000_000);
        let ms = 1_000_000;
        let values = level(
            vec![
                (5 * ms, 1),
                (6 * ms, 1),
                (7 * ms, -1),
                (25 * ms, -1),
                (25 * ms, 1),
            ],
            span,
        );
        assert_eq!(values[..4], [Some(2.0), Some(1.0), Some(1.0), Some(1.0)]);
        assert_eq!(values[BINS - 1], Some(1.0));
        assert_eq!(level(Vec::new(), span), vec![Some(0.0); BINS]);
    }
}
