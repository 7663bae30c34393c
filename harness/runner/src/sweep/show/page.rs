//! The report as a page that needs nothing else.

use std::collections::BTreeMap;

use harness_model::verdict::Kind;
use maud::{Markup, html};

use super::super::history::Line;
use super::super::plan::Class;
use super::super::{Record, Sweep};
use super::{Place, Row, Said, about, cell, conditions, gaps, rows, told};
use crate::html::frame;
use crate::report::scene::plain;

/// The report as a page.
pub(crate) fn page(sweep: &Sweep, history: &[Line], notes: &[String], place: &Place<'_>) -> String {
    let rows = rows(sweep, history);
    let mut classes: BTreeMap<Class, usize> = BTreeMap::new();
    for row in &rows {
        *classes.entry(row.class).or_default() += 1;
    }
    let counts = classes.iter().map(|(class, n)| (*n, class.word(), look(*class)));
    let said: Vec<_> = counts.clone().map(|(n, word, _)| format!("{n} {word}")).collect();
    let gaps = gaps(sweep, notes);
    let main = html! {
        header #top {
            h1 { "Sweep, seed " (sweep.seed) }
            (frame::counts(counts))
            @for line in about(sweep) { p { (plain(&line)) } }
            @if !gaps.is_empty() {
                div.problems role="note" {
                    h3 { "What is missing or could not be read" }
                    ul { @for gap in &gaps { li { (plain(gap)) } } }
                }
            }
        }
        (table(&rows))
        (key())
        @for (row, i) in rows.iter().zip(1..) { (section(row, i, place)) }
    };
    let title = format!("{} · sweep, seed {}", said.join(", "), sweep.seed);
    frame::page(&title, "scenarios", &main)
}

/// The look of a scenario.
fn look(class: Class) -> &'static str {
    match class {
        Class::Regression => "v-fail",
        Class::Flaky => "v-flaky",
        Class::Infra => "v-infra",
        Class::Invalid => "v-invalid",
        Class::Open => "v-open",
        Class::Stable => "v-pass",
    }
}

/// The look of a trial.
fn trial_look(verdict: Kind) -> &'static str {
    match verdict {
        Kind::Pass => "v-pass",
        Kind::Fail => "v-fail",
        Kind::Hang => "v-hang",
        Kind::Infra => "v-infra",
        Kind::Invalid => "v-invalid",
    }
}

/// All scenarios.
fn table(rows: &[Row<'_>]) -> Markup {
    html! {
        nav #scenarios aria-label="Scenarios" {
            div.scroll tabindex="0" role="region" aria-label="All scenarios, worst first" {
                table.stack {
                    thead { tr {
                        th scope="col" { "it is" }
                        th scope="col" { "scenario" }
                        th.num scope="col" { "failed" }
                        th.num scope="col" { "trials" }
                        th scope="col" { "it takes" }
                        th scope="col" { "first failure" }
                    } }
                    tbody { @for (row, i) in rows.iter().zip(1..) { tr {
                        td { span class={ "badge " (look(row.class)) } { (row.class.word()) } }
                        th scope="row" { a href={ "#scenario-" (i) } { (plain(row.name)) } }
                        td.num data-is="failed" { (row.counts.failed) @if row.held > 0 { " (" (row.held) " held)" } }
                        td.num data-is="trials" { (row.counts.all()) }
                        td data-is="it takes" { (row.takes()) }
                        td data-is="first failure" { @if let Some(first) = row.first { (first_words(first)) } }
                    } } }
                }
            }
        }
    }
}

/// The first failure in a line.
fn first_words(first: &Record) -> String {
    let what = first.what.as_deref().map_or_else(|| conditions(first), plain);
    format!("trial {}: {what}", first.n)
}

/// What the cells of a strip mean.
fn key() -> Markup {
    let kinds = [Kind::Pass, Kind::Fail, Kind::Hang, Kind::Infra, Kind::Invalid];
    html! {
        ul.key aria-label="Cells of the strips" {
            @for kind in kinds { li { i class={ "cell " (trial_look(kind)) } { (cell(kind)) } " " (kind.word()) } }
            li { i.cell.v-fail.held { (cell(Kind::Fail)) } " a quarantine waits for it" }
            li { "each cell is a trial, in their order" }
        }
    }
}

/// One scenario.
fn section(row: &Row<'_>, i: u32, place: &Place<'_>) -> Markup {
    let calm = matches!(row.class, Class::Stable | Class::Open);
    html! {
        section.trial id={ "scenario-" (i) } aria-labelledby={ "scenario-" (i) "-h" } {
            h2 id={ "scenario-" (i) "-h" } {
                span class={ "badge " (look(row.class)) } { (row.class.word()) } " " (plain(row.name))
                a.up href="#top" { "↑ all scenarios" }
            }
            dl.glance.calm[calm] {
                div { dt { "how often" } dd { (told(row.counts)) } }
                @for Said { about, text, command } in row.says(place) {
                    div {
                        dt { (plain(&about)) }
                        dd { @if command { code.copy tabindex="0" { (plain(&text)) } } @else { (plain(&text)) } }
                    }
                }
            }
            div.strip role="img" aria-label={ "The trials of " (plain(row.name)) ": " (told(row.counts)) } {
                @for trial in &row.trials { (strip_cell(trial)) }
            }
        }
    }
}

/// A trial; one that did not pass says which it is.
fn strip_cell(trial: &Record) -> Markup {
    let kind = trial.verdict;
    let title = (kind != Kind::Pass).then(|| {
        format!(
            "trial {}, seed {}, {}: {}",
            trial.n,
            trial.seed,
            conditions(trial),
            kind.word()
        )
    });
    html! {
        i class={ "cell " (trial_look(kind)) @if trial.held { " held" } } title=[title] { (cell(kind)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sweep;
    use super::page;

    #[test]
    fn the_page_says_what_the_text_says() {
        let mut sweep = sweep(6, 2);
        sweep.revision = "<b>".to_owned();
        let text = page(&sweep, &[], &[], &|_, _| None);
        for part in [
            "revision &lt;b&gt;",
            "varied: seed, latency",
            "shard 2 is missing",
            "no trial of a::c was run",
            "<dt>first failure</dt><dd>trial 7, seed 47, latency 7 ms</dd>",
            "<dt>it showed</dt><dd>no-loss: report 7 is nowhere</dd>",
            "1 of 2 failures",
            "title=\"trial 7, seed 47, latency 7 ms: fail\"",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
