//! Time on the page: which part of a trial is shown, and where in it something lies.

use harness_model::event::{Event, Step};

/// A stretch of a trial's time, in nanoseconds since its ledger was opened. It is never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from: u64,
    /// Its end.
    pub to: u64,
}

/// The steps between ticks of an axis, in milliseconds.
const TICKS: [u64; 17] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000, 300_000, 1_800_000,
];

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

impl Span {
    /// From one time to another; at least a millisecond.
    pub fn new(from: u64, to: u64) -> Self {
        let to = to.max(from.saturating_add(MS));
        Self { from, to }
    }

    /// All of a ledger.
    pub fn of(events: &[Event]) -> Self {
        let from = events.first().map_or(0, |event| event.at);
        let to = events.last().map_or(0, |event| event.at);
        Self::new(from, to)
    }

    /// From the first to the last of these times, and a twelfth of that on both sides, within this one. None if that
    /// is nearly all of it.
    pub fn close_up(self, times: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut times = times.into_iter();
        let first = times.next()?;
        let (from, to) = times.fold((first, first), |(from, to), at| (from.min(at), to.max(at)));
        let margin = ((to - from) / 12).max(20 * MS);
        let close = Self::new(
            from.saturating_sub(margin).max(self.from),
            to.saturating_add(margin).min(self.to),
        );
        (close.length() * 5 < self.length() * 3).then_some(close)
    }

    /// Its length.
    pub fn length(self) -> u64 {
        self.to - self.from
    }

    /// Where a time lies in it, from 0 to 1000; what is outside lies on its edge.
    pub fn x(self, at: u64) -> f64 {
        let at = at.clamp(self.from, self.to) - self.from;
        at as f64 * 1000.0 / self.length() as f64
    }

    /// Something between these two times is in it.
    pub fn holds(self, from: u64, to: u64) -> bool {
        from <= self.to && to >= self.from
    }

    /// In which of `bins` parts of equal length a time lies.
    pub fn bin(self, at: u64, bins: usize) -> Option<usize> {
        let inside = (self.from..=self.to).contains(&at);
        let bin = u128::from(at.saturating_sub(self.from)) * bins as u128 / u128::from(self.length());
        inside.then(|| usize::try_from(bin).map_or(0, |bin| bin.min(bins - 1)))
    }

    /// Round times in it, about six.
    pub fn ticks(self) -> Vec<u64> {
        let step = TICKS
            .iter()
            .map(|ms| ms * MS)
            .find(|step| self.length() / step <= 6);
        let step = step.unwrap_or(7_200_000 * MS);
        let first = self.from.div_ceil(step) * step;
        let count = self.to.saturating_sub(first) / step;
        let ticks = (0..=count).map(|i| first + i * step);
        ticks.filter(|at| *at <= self.to).collect()
    }
}

/// A time or a length in seconds, to the millisecond.
pub fn seconds(ns: u64) -> String {
    format!("{:.3} s", ns as f64 / 1e9)
}

/// A time on an axis: as short as it can be said.
pub fn tick(ns: u64) -> String {
    let text = format!("{:.3}", ns as f64 / 1e9);
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The phases of a trial: name, beginning and end.
pub fn phases(events: &[Event]) -> Vec<(String, Span)> {
    let mut phases: Vec<(String, Span)> = Vec::new();
    let end = events.last().map_or(0, |event| event.at);
    for event in events {
        if let Step::Phase { name } = &event.step {
            if let Some((_, before)) = phases.last_mut() {
                *before = Span::new(before.from, event.at);
            }
            phases.push((name.to_string(), Span::new(event.at, end)));
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::{MS, Span, seconds, tick};

    #[test]
    fn times_have_their_places() {
        let span = Span::new(2_000 * MS, 4_000 * MS);
        for (at, x, bin) in [
            (0, 0.0, None),
            (2_000, 0.0, Some(0)),
            (3_000, 500.0, Some(5)),
            (4_000, 1000.0, Some(9)),
            (9_000, 1000.0, None),
        ] {
            assert!((span.x(at * MS) - x).abs() < 1e-9, "{at}");
            assert_eq!(span.bin(at * MS, 10), bin, "{at}");
        }
        assert!(span.holds(0, 2_000 * MS) && !span.holds(0, 1_999 * MS));
        assert_eq!(Span::new(5, 5).length(), MS);
    }

    #[test]
    fn ticks_are_round_and_few() {
        let ticks = |from, to| {
            let ticks = Span::new(from * MS, to * MS).ticks();
            ticks.into_iter().map(tick).collect::<Vec<_>>()
        };
        assert_eq!(ticks(489, 2_020), ["0.5 s", "1 s", "1.5 s", "2 s"]);
        assert_eq!(ticks(0, 61_000).first().map(String::as_str), Some("0 s"));
        assert!((2..=8).contains(&ticks(0, 61_000).len()));
        assert!((2..=8).contains(&ticks(1, 3_600_000).len()));
        assert_eq!(seconds(1_234_567_890), "1.235 s");
    }

    #[test]
    fn a_close_up_is_worth_it_or_there_is_none() {
        let all = Span::new(0, 60_000 * MS);
        let close = all.close_up([1_000 * MS, 2_200 * MS]).unwrap();
        assert_eq!(close, Span::new(900 * MS, 2_300 * MS));
        assert_eq!(all.close_up([0, 50_000 * MS]), None);
        assert_eq!(all.close_up([]), None);
    }
}
