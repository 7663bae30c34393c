//! What is wrong, with the events that show it.

use std::collections::BTreeSet;

use harness_model::invariant;
use harness_model::name::Key;
use harness_model::verdict::Finding;
use maud::{Markup, html};

use super::super::deaths;
use super::super::lanes::count;
use super::{Seen, first_line};
use crate::report::scene::{self, plain};

/// Findings that are shown at once, with their events.
const OPEN: usize = 5;
/// Findings that are shown with their events; all others have a line each.
const FINDINGS: usize = 60;
/// Most findings with a line each; beyond, rules name their reports.
const SENTENCES: usize = 10_000;
/// Events shown of a finding.
const EVENTS: usize = 12;

/// All findings, the worst first.
pub(super) fn of(seen: &Seen<'_>) -> Markup {
    let (full, rest) = seen.findings.split_at(seen.findings.len().min(FINDINGS));
    html! {
        h3 { "What is wrong" }
        ol.findings { @for finding in full.iter().take(OPEN) { (one_finding(finding, seen)) } }
        @if full.len() > OPEN {
            details {
                summary { (count(full.len() - OPEN, "more finding", "more findings")) ", with the events" }
                ol.findings start=(OPEN + 1) { @for finding in &full[OPEN..] { (one_finding(finding, seen)) } }
            }
        }
        @if rest.len() > SENTENCES {
            p { (count(rest.len(), "more finding", "more findings")) ", by rule; their sentences are in verdict.json." }
            @let rules: BTreeSet<&str> = rest.iter().map(|finding| finding.rule.as_str()).collect();
            @for rule in rules {
                @let of = || rest.iter().filter(|finding| finding.rule == rule);
                @let keys: BTreeSet<&Key> = of().flat_map(|finding| &finding.keys).collect();
                p { b { (plain(rule)) } " " (of().count()) " times, reports " (plain(&deaths::ranges(keys))) }
            }
        } @else if !rest.is_empty() {
            details {
                summary { (count(rest.len(), "more finding", "more findings")) ", a line each" }
                pre.list tabindex="0" {
                    @for finding in rest { (finding.kind.word()) " " (plain(&finding.rule)) ": " (first_line(&finding.what)) "\n" }
                }
            }
        }
    }
}

fn one_finding(finding: &Finding, seen: &Seen<'_>) -> Markup {
    let rule = invariant::find(&finding.rule);
    let events = seen.source.events();
    let event = |n: u64| {
        usize::try_from(n)
            .ok()
            .and_then(|n| events.get(n.checked_sub(1)?))
    };
    html! {
        li {
            p {
                span class={ "badge small v-" (finding.kind.word()) } { (finding.kind.word()) } " "
                b title=[rule.map(|rule| rule.what)] { (plain(&finding.rule)) } " "
                @for (line, i) in finding.what.lines().zip(0..) { @if i > 0 { br; } (plain(line)) }
            }
            @if finding.keys.len() > 1 { p.keys { "reports " (plain(&deaths::ranges(&finding.keys))) } }
            @if !finding.events.is_empty() {
                pre.events tabindex="0" {
                    @for n in finding.events.iter().take(EVENTS) {
                        @match event(*n) {
                            Some(event) => { (scene::line(event)) "\n" }
                            None => { "#" (n) " is not in the ledger\n" }
                        }
                    }
                    @if finding.events.len() > EVENTS {
                        "and " (count(finding.events.len() - EVENTS, "more event", "more events")) ": "
                        @for n in &finding.events[EVENTS..] { "#" (n) " " }
                    }
                }
            }
        }
    }
}
