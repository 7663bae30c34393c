//! What is drawn where more happens than can be seen: what begins in the same part of a picture is drawn as one, and says
//! how much it stands for. Nothing is left out.

use std::collections::BTreeMap;

use super::lanes::{BINS, Bar, Lane, Mark, count};
use super::lives::Part;
use super::span::{Span, seconds};

/// States from the best to the worst: of those that cannot be told apart by eye the worst is shown.
const WORSE: [&str; 15] = [
    "off", "up", "sick", "cut", "down", "force", "p", "q", "d", "w", "c", "e", "r", "n", "open",
];

/// Parts what follows each other into what is drawn as one: each on its own, if there are not many.
fn groups<'a, T>(
    all: &'a [&'a T],
    of: impl Fn(&T) -> Span + Copy + 'a,
    span: Span,
) -> impl Iterator<Item = &'a [&'a T]> {
    let many = all.len() > BINS;
    let from = move |one: &T| span.bin(of(one).from.max(span.from), BINS);
    // What reaches further than the part in which it begins is long enough to be seen.
    let short = move |one: &T| from(one) == span.bin(of(one).to.min(span.to), BINS);
    all.chunk_by(move |a, b| many && from(a) == from(b) && short(a) && short(b))
}

fn badness(look: &str) -> Option<usize> {
    WORSE.iter().position(|of| *of == look)
}

impl Lane {
    /// The marks in this span, with the time in what they say.
    pub fn marks_in(&self, span: Span) -> Vec<Mark> {
        let marks = self.marks.iter().filter(|mark| span.holds(mark.at, mark.at));
        let many = marks.clone().count() > BINS;
        let mut groups: BTreeMap<(Option<usize>, u64, &str), Vec<&Mark>> = BTreeMap::new();
        for mark in marks {
            // Different kinds are never drawn as one.
            let (part, at) = (span.bin(mark.at, BINS), if many { 0 } else { mark.at });
            groups.entry((part, at, mark.look)).or_default().push(mark);
        }
        let drawn = groups.into_values().filter_map(|group| {
            let (first, last) = (*group.first()?, *group.last()?);
            let mut title = format!("{} at {}", first.title, seconds(first.at));
            if group.len() > 1 {
                let more = count(group.len() - 1, "more", "more");
                title = format!("{title}, and {more} until {}", seconds(last.at));
            }
            Some(Mark {
                title,
                ..first.clone()
            })
        });
        drawn.collect()
    }

    /// The bars that reach into this span.
    pub fn bars_in(&self, span: Span) -> Vec<Bar> {
        let bars = self.bars.iter();
        let bars: Vec<_> = bars
            .filter(|bar| span.holds(bar.span.from, bar.span.to))
            .collect();
        groups(&bars, |bar| bar.span, span).filter_map(as_one).collect()
    }
}

/// The parts of a life that reach into this span.
pub(super) fn parts_in(parts: &[Part], span: Span) -> Vec<Part> {
    let parts = parts.iter();
    let parts: Vec<_> = parts
        .filter(|part| span.holds(part.span.from, part.span.to))
        .collect();
    let as_one = |group: &[&Part]| {
        let worst = *group.iter().copied().max_by_key(|part| badness(part.look))?;
        let (from, to) = (group.first()?.span.from, group.last()?.span.to);
        Some(Part {
            span: Span { from, to },
            ..worst
        })
    };
    groups(&parts, |part| part.span, span)
        .filter_map(as_one)
        .collect()
}

/// Bars that follow each other, as one: the worst of them.
fn as_one(group: &[&Bar]) -> Option<Bar> {
    let (first, last) = (*group.first()?, *group.last()?);
    if group.len() == 1 {
        return Some(first.clone());
    }
    let look = group.iter().max_by_key(|bar| badness(bar.look))?.look;
    let changes = count(group.len(), "state", "states");
    Some(Bar {
        span: Span {
            from: first.span.from,
            to: last.span.to,
        },
        look,
        title: format!(
            "{changes}, one after the other; first {}; last {}",
            first.title, last.title
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::lanes::{BINS, Lane};
    use super::super::lives::Part;
    use super::super::span::Span;
    use super::parts_in;

    fn lane(marks: u64, bars: u64) -> Lane {
        let mut lane = Lane::new("service", "tags");
        for i in 0..marks {
            let look = if i % 2 == 0 { "trouble" } else { "death" };
            lane.mark(1_000 * i, look, format!("#{i}"));
        }
        for i in 0..bars {
            let look = if i % 2 == 0 { "up" } else { "cut" };
            lane.bar(1_000 * i, 1_000 * (i + 1), look, format!("{look} {i}"));
        }
        lane
    }

    #[test]
    fn few_are_drawn_each_with_its_time() {
        let lane = lane(BINS as u64, BINS as u64);
        let span = Span::new(0, 1_000_000);
        assert_eq!(lane.marks_in(span).len(), BINS);
        assert_eq!(lane.marks_in(span)[1].title, "#1 at 0.000 s");
        assert_eq!(lane.bars_in(span), lane.bars);
        let half = Span { from: 0, to: 50_000 };
        assert_eq!((lane.marks_in(half).len(), lane.bars_in(half).len()), (51, 51));
    }

    #[test]
    fn many_are_drawn_together_and_all_are_counted() {
        let (marks, bars) = (32_000, 32_000);
        let lane = lane(marks, bars);
        let span = Span::new(0, 1_000 * bars);
        let drawn = lane.marks_in(span);
        assert_eq!(drawn.len(), 2 * BINS, "one of each kind in each part");
        let of = |look| drawn.iter().find(|mark| mark.look == look).unwrap();
        assert_eq!(of("trouble").title, "#0 at 0.000 s, and 99 more until 0.000 s");
        assert_eq!(of("death").at, 1_000);
        let drawn = lane.bars_in(span);
        assert!(drawn.len() <= 2 * BINS, "{}", drawn.len());
        assert!(
            drawn
                .iter()
                .all(|bar| bar.look == "cut" || bar.span.length() == 1_000)
        );
        let whole: u64 = drawn.iter().map(|bar| bar.span.length()).sum();
        assert_eq!(whole, 1_000 * bars, "without a hole");
    }

    #[test]
    fn a_long_bar_among_many_short_ones_stays_itself() {
        let mut lane = lane(0, 400);
        lane.bar(400_000, 40_000_000, "down", "down for long".to_owned());
        let drawn = lane.bars_in(Span::new(0, 40_000_000));
        let last = drawn.last().unwrap();
        assert_eq!(
            (last.look, &*last.title, last.span.to),
            ("down", "down for long", 40_000_000)
        );
        assert!(drawn.len() < 10, "{}", drawn.len());
    }
    #[test]
    fn a_life_of_many_stages_shows_the_worst_of_what_cannot_be_told_apart() {
        let part = |i: u64| Part {
            span: Span {
                from: 1_000 * i,
                to: 1_000 * (i + 1),
            },
            look: ["q", "d", "r"][(i % 3) as usize],
        };
        let parts: Vec<_> = (0..30_000).map(part).collect();
        let drawn = parts_in(&parts, Span::new(0, 30_000_000));
        assert!(drawn.len() <= 2 * BINS, "{}", drawn.len());
        assert!(drawn.iter().filter(|part| part.look == "r").count() >= BINS);
        assert_eq!(parts_in(&parts[..BINS], Span::new(0, 30_000_000)), parts[..BINS]);
    }
}
