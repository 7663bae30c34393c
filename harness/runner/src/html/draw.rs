//! Pictures: rows of inline SVG that stretch with the page, while all words are HTML and keep their size.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::crowd::parts_in;
use super::lanes::{BINS, Lane};
use super::lives::{Row, Strand};
use super::plots::{self, Plot};
use super::span::{Span, tick};
use crate::report::scene::plain;

/// A time at which a fault was in force, or at which its effects were being made good.
#[derive(Debug, Clone)]
pub(super) struct Band {
    pub(super) span: Span,
    pub(super) look: &'static str,
    pub(super) title: String,
}

/// Height of a lane.
const LANE: f64 = 26.0;
/// Height of a strand of a life, with its gap.
const STRAND: f64 = 9.0;
/// Height of a plot.
const PLOT: f64 = 120.0;

fn bands(bands: &[Band], span: Span, height: f64) -> Markup {
    html! {
        @for band in bands.iter().filter(|band| span.holds(band.span.from, band.span.to)) {
            rect class=(band.look) x=(number(span.x(band.span.from))) y="0" height=(number(height))
                width=(width(span, band.span)) { title { (plain(&band.title)) } }
        }
    }
}

/// A coordinate, as short as it can be written.
fn number(x: f64) -> String {
    let text = format!("{x:.1}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How wide something is, and never too narrow to be seen.
fn width(span: Span, part: Span) -> String {
    number((span.x(part.to) - span.x(part.from)).max(1.2))
}

/// The ticks of an axis.
pub(super) fn axis(span: Span) -> Markup {
    html! {
        div.lane.axis aria-hidden="true" {
            div.name { small { "seconds since the ledger was opened" } }
            div.ticks {
                @for at in span.ticks() {
                    i style={ "left:" (number(span.x(at) / 10.0)) "%" } { (tick(at)) }
                }
            }
        }
    }
}

/// The timeline.
pub(super) fn timeline(lanes: &[Lane], force: &[Band], span: Span) -> Markup {
    html! {
        div.timeline {
            (axis(span))
            @for lane in lanes { (lane_row(lane, force, span)) }
        }
    }
}

fn lane_row(lane: &Lane, force: &[Band], span: Span) -> Markup {
    // What is done often stands above a state that lasts.
    let (top, height) = if matches!(lane.kind, "phase" | "fault") {
        (5.0, 16.0)
    } else {
        (20.0, 5.0)
    };
    let label = format!("{} {}: {}", lane.kind, lane.name, lane.note);
    html! {
        div class={ "lane k-" (lane.kind) } {
            div.name { (plain(&lane.name)) " " small { @if lane.kind == "service" || lane.kind == "queue" { (lane.kind) ", " } (plain(&lane.note)) } }
            svg viewBox="0 0 1000 26" preserveAspectRatio="none" role="img" aria-label=(plain(&label)) {
                (bands(if lane.kind == "phase" { &[] } else { force }, span, LANE))
                @if !lane.often.is_empty() { (density(lane, span)) }
                @for bar in lane.bars_in(span) {
                    rect class={ "s-" (bar.look) } x=(number(span.x(bar.span.from))) y=(top) height=(height)
                        width=(width(span, bar.span)) { title { (plain(&bar.title)) } }
                }
                @for mark in lane.marks_in(span) {
                    path class={ "m-" (mark.look) } d={ "M" (number(span.x(mark.at))) " 0v26" } {
                        title { (plain(&mark.title)) }
                    }
                }
            }
        }
        @if lane.kind == "phase" { (phase_names(lane, span)) }
    }
}

/// The names of phases that are long enough to hold one.
fn phase_names(lane: &Lane, span: Span) -> Markup {
    let wide = lane
        .bars
        .iter()
        .filter(|bar| span.x(bar.span.to) - span.x(bar.span.from) > 90.0);
    html! {
        div.lane.axis.names aria-hidden="true" {
            div.name {}
            div.ticks {
                @for bar in wide {
                    i style={ "left:" (number((span.x(bar.span.from) + span.x(bar.span.to)) / 20.0)) "%" } {
                        (bar.title.split(',').next().unwrap_or_default())
                    }
                }
            }
        }
    }
}

fn density(lane: &Lane, span: Span) -> Markup {
    let density = lane.density(span);
    let top = f64::from(density.iter().copied().max().unwrap_or(0).max(1));
    let wide = 1000.0 / BINS as f64;
    let mut path = String::new();
    for (n, i) in density.iter().zip(0_u32..).filter(|(n, _)| **n > 0) {
        // The square root keeps what happened once visible beside what happened a hundred times.
        let high = (f64::from(*n) / top).sqrt() * 17.0;
        _ = write!(
            path,
            "M{} 19v-{}h{}V19z",
            number(f64::from(i) * wide),
            number(high),
            number(wide)
        );
    }
    html! { path class="often" d=(path) {} }
}

/// A row of life bars, one for each queue.
pub(super) fn life(row: &Row<'_>, queues: &[String], force: &[Band], span: Span, label: &str) -> Markup {
    let height = STRAND * queues.len().max(1) as f64;
    html! {
        svg.life viewBox={ "0 0 1000 " (number(height)) } preserveAspectRatio="none" role="img"
            style={ "height:" (number(height)) "px" } aria-label=(plain(label)) {
            (bands(force, span, height))
            @for (queue, i) in queues.iter().zip(0_u32..) {
                @for strand in row.strands.iter().filter(|strand| strand.queue == *queue) {
                    (strand_bar(strand, f64::from(i) * STRAND, span))
                }
            }
        }
    }
}

fn strand_bar(strand: &Strand, y: f64, span: Span) -> Markup {
    html! {
        @for part in parts_in(&strand.parts, span) {
            rect class={ "l-" (part.look) } x=(number(span.x(part.span.from))) y=(number(y + 1.0)) height="7"
                width=(width(span, part.span)) {}
        }
        @if let Some(at) = strand.ended.filter(|at| span.holds(*at, *at)) {
            rect class="l-e" x=(number(span.x(at))) y=(number(y)) height="9" width="2.5" {}
        }
    }
}

/// A plot, with its legend.
pub(super) fn plot(plot: &Plot, force: &[Band], span: Span) -> Markup {
    let top = plot.top();
    let said = if top >= 10.0 || top.fract() == 0.0 {
        format!("{top:.0}")
    } else {
        format!("{top:.1}")
    };
    html! {
        figure.plot {
            figcaption { b { (plot.title) } " " small { (plot.unit) } }
            ul.legend { @for (line, i) in plot.lines.iter().zip(0..) { li class={ "c" (i % 6) } { (plain(&line.name)) } } }
            div.frame {
                span.top aria-hidden="true" { (said) }
                svg viewBox="0 0 1000 120" preserveAspectRatio="none" role="img"
                    aria-label={ (plot.title) ", " (plot.unit) ", at most " (said) } {
                    (bands(force, span, PLOT))
                    path class="grid" d="M0 .5h1000M0 60h1000M0 119.5h1000" {}
                    @for (line, i) in plot.lines.iter().zip(0..) {
                        path class={ "line c" (i % 6) } d=(path(&line.values, top)) {}
                    }
                }
                div.ticks aria-hidden="true" {
                    @for at in span.ticks() {
                        i style={ "left:" (number(span.x(at) / 10.0)) "%" } { (tick(at)) }
                    }
                }
            }
        }
    }
}

/// A line through the values, with a gap where there is none; a value on its own is a short stroke.
fn path(values: &[Option<f64>], top: f64) -> String {
    let wide = 1000.0 / plots::BINS as f64;
    let mut path = String::new();
    // The height of the stroke that is being drawn, and where it has come to.
    let mut stroke: Option<(String, f64)> = None;
    for (value, i) in values.iter().zip(0_u32..) {
        let x = f64::from(i) * wide;
        let y = value.map(|value| number(118.0 - if top > 0.0 { value / top * 114.0 } else { 0.0 }));
        match (&mut stroke, y) {
            (Some((height, to)), Some(y)) if *height == y => *to = x + wide,
            (before, y) => {
                if let Some((_, to)) = before {
                    _ = write!(path, "H{}", number(*to));
                }
                if let Some(y) = &y {
                    let to = if before.is_some() { 'L' } else { 'M' };
                    _ = write!(path, "{to}{} {y}", number(x));
                }
                stroke = y.map(|y| (y, x + wide));
            }
        }
    }
    if let Some((_, to)) = stroke {
        _ = write!(path, "H{}", number(to));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::{number, path};

    #[test]
    fn numbers_are_short() {
        let table = [
            (0.0, "0"),
            (1.0, "1"),
            (2.25, "2.2"),
            (1000.0, "1000"),
            (33.333, "33.3"),
        ];
        for (x, expected) in table {
            assert_eq!(number(x), expected);
        }
    }

    #[test]
    fn lines_have_gaps_and_level_stretches_are_one_stroke() {
        let values = [Some(2.0), Some(2.0), None, Some(1.0), Some(0.0)];
        assert_eq!(path(&values, 2.0), "M0 4H16.7M25 61H33.3L33.3 118H41.7");
        assert_eq!(path(&[None], 0.0), "");
        assert_eq!(path(&[Some(0.0)], 0.0), "M0 118H8.3");
    }
}
