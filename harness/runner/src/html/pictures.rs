//! The lower part of a trial: timeline, reports, plots, timings, topology, logs.

use std::collections::BTreeMap;

use harness_model::invariant::{Account, Stage};
use harness_model::verdict::Verdict;
use maud::{Markup, html};

use super::lanes::{self, count};
use super::lives::{self, Row, Rows};
use super::logs::{self, Cut};
use super::span::{Span, phases, seconds};
use super::trial::{Place, Seen, step};
use super::{deaths, draw, plots, wiring};
use crate::report::scene::plain;

/// Of a life with more than twice as many stages so many are shown at both ends.
const STAGES: usize = 20;

/// All of it.
pub(super) fn of(seen: &Seen<'_>, place: &Place) -> Markup {
    let plan = seen.source.evidence.as_ref().map(|evidence| &evidence.plan);
    let faults = seen.account.map_or(&[][..], |account| &account.faults);
    let lanes = lanes::lanes(seen.source.events(), plan, faults);
    html! {
        @if seen.source.events().is_empty() { p { "There are no events to draw." } } @else {
            h3 { "Timeline" }
            (key())
            @if let Some(close) = seen.close {
                h4 { "Close-up: " (seconds(close.from)) " to " (seconds(close.to)) }
                (draw::timeline(&lanes, &seen.force, close))
                details { summary { "The whole trial: " (seconds(seen.whole.from)) " to " (seconds(seen.whole.to)) } (draw::timeline(&lanes, &seen.force, seen.whole)) }
            } @else { (draw::timeline(&lanes, &seen.force, seen.whole)) }
        }
        @if let Some(account) = seen.account {
            (reports(seen, account))
            h3 { "Plots" }
            @let span = seen.close.filter(|_| seen.force.is_empty()).unwrap_or(seen.whole);
            div.plots { @for plot in &plots::plots(account, span) { (draw::plot(plot, &seen.force, span)) } }
            (latencies(account))
        }
        @if let Some(verdict) = &seen.source.verdict { (timings(verdict, seen)) }
        @if seen.source.evidence.is_some() { (topology_tables(seen)) }
        (log_cuts(seen, place))
    }
}

/// What colours mean.
fn key() -> Markup {
    let states = [
        ("s-up", "fine"),
        ("s-sick", "says it is not well"),
        ("s-cut", "no link, no consumer"),
        ("s-down", "down"),
        ("s-off", "not there yet"),
        ("s-armed", "fault armed"),
        ("s-fired", "fired, not bitten yet"),
        ("s-force", "in force"),
        ("s-recovery", "recovering"),
        ("band", "shaded: while a fault is in force"),
        ("band back", "until the canary came through"),
    ];
    let marks = [
        ("birth", "started"),
        ("death", "ended"),
        ("held", "a frame held"),
        ("trouble", "an error, or a dial that failed"),
    ];
    html! {
        ul.key aria-label="Colours of the timeline" {
            @for (look, word) in states { li { svg viewBox="0 0 20 10" aria-hidden="true" { rect class=(look) width="20" height="10" {} } (word) } }
            li { svg viewBox="0 0 20 10" aria-hidden="true" { path class="often" d="M2 10v-5h4v5zM8 10V1h4v9z" {} } "how often" }
            @for (look, word) in marks { li { svg viewBox="0 0 20 10" aria-hidden="true" { path class={ "m-" (look) } d="M10 0v10" {} } (word) } }
        }
    }
}

/// Life bars.
fn reports(seen: &Seen<'_>, account: &Account<'_>) -> Markup {
    let Rows {
        queues,
        single,
        well,
        unwell,
    } = lives::rows(account, seen.deaths, seen.whole);
    let span = seen.close.unwrap_or(seen.whole);
    let of = |rows: &[Row<'_>]| rows.iter().map(|row| row.keys.len()).sum::<usize>();
    let states = [
        ("p", "published"),
        ("q", "in the queue"),
        ("d", "delivered"),
        ("w", "in work"),
        ("c", "committed"),
        ("r", "to be retried"),
        ("n", "answer lost"),
        ("open", "never ended"),
        ("e", "ended"),
    ];
    html! {
        h3 { "Reports" }
        p.hint {
            @if !well.is_empty() { (count(of(&well), "report", "reports")) " that ended well " @if of(&well) == 1 { "is" } @else { "are" } " shown as bands; " }
            @if !unwell.is_empty() { (count(of(&unwell), "report", "reports")) " that did not are bands, too, and named above; " }
            (count(of(&single), "report has", "reports have")) " a row each. The bars of a row are, from the top, " (plain(&queues.join(", "))) "."
        }
        ul.key aria-label="Colours of the reports" {
            @for (look, word) in states { li { svg viewBox="0 0 20 10" aria-hidden="true" { rect class={ "l-" (look) } width="20" height="10" {} } (word) } }
        }
        div.timeline {
            (draw::axis(span))
            @for row in &single { (single_row(row, &queues, seen, account, span)) }
            @for (rows, what) in [(&unwell, "did not end well"), (&well, "ended well")] { @for row in rows {
                @let keys = deaths::ranges(row.keys.iter().copied());
                div.lane { div.name { (plain(&shortened(&keys))) " " small { (row.keys.len()) " " (what) } } (draw::life(row, &queues, &seen.force, span, &format!("{} reports, {what}", row.keys.len()))) }
            } }
        }
        details.all {
            summary { "Every report, a line each: the last step on each queue, and when" }
            pre.list tabindex="0" { (plain_lines(&lives::list(account, seen.deaths))) }
        }
    }
}

/// Lines without control characters.
fn plain_lines(text: &str) -> String {
    text.lines().map(|line| plain(line) + "\n").collect()
}

/// The first and the last of many ranges.
fn shortened(ranges: &str) -> String {
    let parts: Vec<_> = ranges.split(", ").collect();
    match parts[..] {
        [first, .., last] if parts.len() > 3 => format!("{first}, …, {last}"),
        _ => ranges.to_owned(),
    }
}

fn single_row(
    row: &Row<'_>,
    queues: &[String],
    seen: &Seen<'_>,
    account: &Account<'_>,
    span: Span,
) -> Markup {
    let Some(key) = row.keys.first() else {
        return html! {};
    };
    let lives: Vec<_> = account.lives.iter().filter(|life| life.key == **key).collect();
    let plan = seen.source.evidence.as_ref().map(|evidence| &evidence.plan);
    let canary = plan.is_some_and(|plan| {
        plan.injected
            .iter()
            .any(|injected| injected.canary && injected.key == **key)
    });
    let blamed = row.death.is_some_and(|death| !death.rules.is_empty());
    let label = format!(
        "report {key}, {}",
        if row.death.is_some() {
            "did not do well"
        } else {
            "ended well"
        }
    );
    html! {
        details.row {
            summary class=[blamed.then_some("bad")] {
                div.lane {
                    div.name { (plain(key)) " " small { @if blamed { "blamed" } @else if row.death.is_some() { "open" } @if canary { " canary" } } }
                    (draw::life(row, queues, &seen.force, span, &label))
                }
            }
            @if let Some(death) = row.death { p { "Last: " (step(death)) "; fault: " (plain(death.fault.as_deref().unwrap_or("none"))) } }
            @for life in lives {
                p {
                    b { (plain(&life.queue)) } ": " (plain(&account.trail(life)))
                    br;
                    small { (stages(&life.stages)) @if life.ended { "ended" } @else { "never ended" } }
                }
            }
        }
    }
}

/// The stages of a life; of many the first and the last, and how often each state came between.
fn stages(stages: &[Stage]) -> Markup {
    let shown = if stages.len() > 2 * STAGES {
        STAGES
    } else {
        stages.len()
    };
    let (first, rest) = stages.split_at(shown);
    let (between, last) = rest.split_at(rest.len().saturating_sub(STAGES));
    let mut often: BTreeMap<String, usize> = BTreeMap::new();
    for stage in between {
        *often.entry(stage.state.to_string()).or_default() += 1;
    }
    let often: Vec<_> = often.iter().map(|(state, n)| format!("{n} {state}")).collect();
    let each = |stages: &[Stage]| html! { @for stage in stages { (stage.state) " " (seconds(stage.point.at)) " #" (stage.point.n) " · " } };
    html! {
        (each(first))
        @if !between.is_empty() { "… " (count(between.len(), "stage", "stages")) " between: " (often.join(", ")) " … · " }
        (each(last))
    }
}

fn latencies(account: &Account<'_>) -> Markup {
    let rows = plots::latencies(account);
    let ms = |ns: u64| format!("{:.1}", ns as f64 / 1e6);
    html! {
        @if !rows.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Latencies" {
                table {
                    caption { "From publish to acknowledgement, in ms" }
                    thead { tr { th scope="col" { "queue" } @for head in ["messages", "p50", "p99", "longest"] { th.num scope="col" { (head) } } } }
                    tbody { @for row in rows { tr {
                        th scope="row" { (plain(&row.queue)) }
                        td.num { (row.count) } td.num { (ms(row.p50)) } td.num { (ms(row.p99)) } td.num { (ms(row.max)) }
                    } } }
                }
            }
        }
    }
}

fn timings(verdict: &Verdict, seen: &Seen<'_>) -> Markup {
    let total = verdict.timings.total().as_secs_f64().max(1e-9);
    let traced = phases(seen.source.events());
    html! {
        h3 { "Timings" }
        div.scroll tabindex="0" role="region" aria-label="Timings" {
            table.timings {
                thead { tr { th scope="col" { "phase" } th.num scope="col" { "took" } th.num scope="col" { "began" } th scope="col" { "share" } } }
                tbody { @for (name, took) in &verdict.timings.phases { tr {
                    th scope="row" { (plain(name)) }
                    td.num { (format!("{:.3} s", took.as_secs_f64())) }
                    td.num { @if let Some((_, span)) = traced.iter().find(|(traced, _)| traced == name) { (seconds(span.from)) } }
                    td.share { div style={ "width:" (format!("{:.1}", took.as_secs_f64() * 100.0 / total)) "%" } {} }
                } } }
            }
        }
        @if !verdict.measures.is_empty() { dl.facts { @for (name, value) in &verdict.measures { div { dt { (plain(name)) } dd { (value) } } } } }
    }
}

fn cell(cell: &wiring::Cell) -> Markup {
    html! { td class=[cell.odd.then_some("odd")] { (plain(&cell.text)) @if cell.odd { " ≠" } } }
}

fn topology_tables(seen: &Seen<'_>) -> Markup {
    let Some(evidence) = &seen.source.evidence else {
        return html! {};
    };
    let (queues, services) = (wiring::queues(evidence), wiring::services(evidence));
    let odd = queues.iter().any(|row| row.ready.odd || row.consumers.odd)
        || services.iter().any(|row| row.state.odd || row.health.odd);
    html! {
        h3 { "Topology before and after" }
        p.hint { "What the file asked for, and what was left. " @if odd { "≠ marks what is not as it was asked for." } @else { "All is as it was asked for." } }
        div.scroll tabindex="0" role="region" aria-label="Queues before and after" {
            table {
                thead { tr { @for head in ["queue", "for", "name", "before", "ready after", "consumers after"] { th scope="col" { (head) } } } }
                tbody { @for row in &queues { tr { th scope="row" { (plain(&row.role.0)) } td { (row.role.1) } td { (plain(&row.name)) } td { (plain(&row.before)) } (cell(&row.ready)) (cell(&row.consumers)) } } }
            }
        }
        div.scroll tabindex="0" role="region" aria-label="Services before and after" {
            table {
                thead { tr { @for head in ["service", "before", "container after", "health after"] { th scope="col" { (head) } } } }
                tbody { @for row in &services { tr { th scope="row" { (plain(&row.role)) } td { (plain(&row.before)) } (cell(&row.state)) (cell(&row.health)) } } }
            }
        }
    }
}

fn log_cuts(seen: &Seen<'_>, place: &Place) -> Markup {
    let window = seen.close.unwrap_or(seen.whole);
    let margin = 2_000_000_000;
    let window = Span::new(
        window.from.saturating_sub(margin),
        window.to.saturating_add(margin),
    );
    let logs = seen.source.logs.iter();
    let cuts: Vec<Cut> = logs
        .map(|(name, text)| logs::cut(name, text, seen.source.opened, window))
        .collect();
    html! {
        @if !cuts.is_empty() {
            h3 { "Logs" }
            p.hint { "From " (seconds(window.from)) " to " (seconds(window.to)) ", by the clock of the ledger." }
            @for cut in &cuts {
                @let left: Vec<_> = [(cut.before, "before"), (cut.within, "within, but too many"), (cut.after, "after")].into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
                details open[cut.lines.len() <= 30 && !cut.lines.is_empty()] {
                    summary { (plain(&cut.name)) " " small {
                        (count(cut.lines.len(), "line", "lines"))
                        @if !cut.timed { ", the last ones: the lines have no times" }
                        @if !left.is_empty() { "; left out: " (left.join(", ")) }
                    } }
                    @if !left.is_empty() { p { a href={ (place.folder) "/logs/" (cut.name) ".log" } { "the whole log" } } }
                    pre.events tabindex="0" { @for (at, line) in &cut.lines { @if let Some(at) = at { (format!("{:>9.3} ", *at as f64 / 1e9)) } (line) "\n" } }
                }
            }
        }
    }
}
