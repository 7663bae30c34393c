//! Where each report died.

use harness_model::verdict::Kind;
use maud::{Markup, html};

use super::super::deaths::{self, Death};
use super::super::lanes::count;
use super::super::lives::OPEN as OPEN_ROWS;
use super::super::span::seconds;
use super::Seen;
use crate::report::scene::plain;

/// More deaths than this are told together first, where they are alike.
const DEATHS: usize = 12;

/// A table of them, and where many died alike one of those first.
pub(super) fn of(seen: &Seen<'_>) -> Markup {
    let many = seen.deaths.len() > DEATHS;
    let groups = if many {
        deaths::groups(seen.deaths)
    } else {
        Vec::new()
    };
    let passed = seen
        .source
        .verdict
        .as_ref()
        .is_some_and(|verdict| verdict.kind == Kind::Pass);
    let each = || html! { @for death in seen.deaths { (death_row(death, &death.key, None)) } };
    html! {
        h3 {
            @if passed { "Reports that came to no end" } @else { "Where did it die" }
        }
        p.hint {
            (count(seen.deaths.len(), "report", "reports")) " that a rule blames, or that came to no end. "
            "The step is the last one that shows it."
            @if many { " Those that died alike are in one line." }
        }
        @if many {
            (death_table("Where reports died that died alike", &html! {
                @for group in &groups {
                    @let keys = deaths::ranges(group.keys.iter().copied());
                    (death_row(group.like, &keys, group.until.map(|until| until.at)))
                }
            }))
            @if seen.deaths.len() <= OPEN_ROWS {
                details.all { summary { "Each of them, a line each" } (death_table("Where each report died", &each())) }
            }
        } @else { (death_table("Where each report died", &each())) }
    }
}

fn death_table(label: &str, rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table.deaths.stack {
                thead { tr {
                    @for head in ["report", "queue", "last step", "by"] { th scope="col" { (head) } }
                    th.num scope="col" { "at" }
                    @for head in ["state", "fault", "rules"] { th scope="col" { (head) } }
                } }
                tbody { (rows) }
            }
        }
    }
}

fn death_row(death: &Death, name: &str, until: Option<u64>) -> Markup {
    let rules: Vec<_> = death.rules.iter().map(String::as_str).collect();
    html! {
        tr {
            th scope="row" { (plain(name)) }
            td data-is="queue" { (plain(death.queue.as_deref().unwrap_or("-"))) }
            td data-is="step" { (plain(&death.step)) @if let Some(point) = death.point { " #" (point.n) } }
            td data-is="by" { (plain(death.by.as_deref().unwrap_or("-"))) }
            td.num data-is="at" {
                @if let Some(point) = death.point {
                    (seconds(point.at))
                    @if let Some(until) = until.filter(|until| *until != point.at) { " to " (seconds(until)) }
                }
            }
            td data-is="state" { @if let Some(state) = death.state { b { (state) } " " (deaths::words(state)) } }
            td data-is="fault" { (plain(death.fault.as_deref().unwrap_or("none"))) }
            td data-is="rule" { @if rules.is_empty() { "no rule minds" } @else { (plain(&rules.join(", "))) } }
        }
    }
}

/// A death in a line: step, who, when, and what that means.
pub(in crate::html) fn step(death: &Death) -> Markup {
    html! {
        b { (plain(&death.step)) }
        @if let Some(by) = &death.by { " by " b { (plain(by)) } }
        @if let Some(queue) = &death.queue { " on queue " (plain(queue)) }
        @if let Some(point) = death.point { " at " b { (seconds(point.at)) } " (#" (point.n) ")" }
        @if let Some(state) = death.state { ": state " (state) ", " (deaths::words(state)) }
    }
}
