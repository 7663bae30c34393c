//! One trial on the page.
//!
//! - `glance`: which report, which step, which fault, since when; `findings`: all that is wrong, with events;
//! - `died`: where each report was last seen.

mod died;
mod findings;
mod glance;

use std::collections::BTreeSet;

use harness_model::event::Step;
use harness_model::invariant::Account;
use harness_model::name::Key;
use harness_model::verdict::{Finding, Kind, Verdict};
use maud::{Markup, html};

pub(super) use self::died::step;
use super::deaths::{self, Death};
use super::draw::Band;
use super::pictures;
use super::read::Source;
use super::span::Span;
use crate::report::scene::plain;

/// What the page knows of a trial besides what is in its folder.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Where it is on the page.
    pub(super) anchor: String,
    /// What the scenario shows.
    pub(super) doc: Option<String>,
    /// How to run it again, where the page was made.
    pub(super) again: String,
    /// Where its folder is, seen from the page.
    pub(super) folder: String,
    /// There is no other trial on the page.
    pub(super) alone: bool,
}

/// Everything that the pictures of a trial need.
pub(super) struct Seen<'a> {
    pub(super) source: &'a Source,
    pub(super) findings: &'a [Finding],
    pub(super) account: Option<&'a Account<'a>>,
    pub(super) deaths: &'a [Death],
    pub(super) whole: Span,
    pub(super) close: Option<Span>,
    pub(super) force: Vec<Band>,
}

/// The word for a verdict, or for its absence.
pub(super) fn word(verdict: Option<&Verdict>) -> &'static str {
    verdict.map_or("no verdict", |verdict| verdict.kind.word())
}

/// The class of a verdict.
pub(super) fn look(verdict: Option<&Verdict>) -> &'static str {
    match verdict.map(|verdict| verdict.kind) {
        Some(Kind::Pass) => "v-pass",
        Some(Kind::Fail) => "v-fail",
        Some(Kind::Hang) => "v-hang",
        Some(Kind::Invalid) => "v-invalid",
        Some(Kind::Infra) | None => "v-infra",
    }
}

/// The whole section of a trial.
pub(super) fn section(source: &Source, place: &Place) -> Markup {
    let account = source.evidence.as_ref().map(Account::of);
    let findings = source
        .verdict
        .as_ref()
        .map_or(&[][..], |verdict| &verdict.findings);
    let deaths = match (&source.evidence, &account) {
        (Some(evidence), Some(account)) => deaths::deaths(evidence, account, findings),
        _ => Vec::new(),
    };
    let whole = Span::of(source.events());
    let seen = Seen {
        source,
        findings,
        account: account.as_ref(),
        deaths: &deaths,
        whole,
        close: close_up(source, account.as_ref(), &deaths, whole),
        force: account
            .as_ref()
            .map_or_else(Vec::new, |account| force(source, account, whole)),
    };
    let verdict = source.verdict.as_ref();
    let scenario = source
        .about
        .as_ref()
        .map_or(source.id.as_str(), |about| &about.scenario);
    let well = verdict.is_some_and(|verdict| verdict.kind == Kind::Pass) && source.problems.is_empty();
    html! {
        section.trial id=(place.anchor) aria-labelledby={ (place.anchor) "-h" } {
            h2 id={ (place.anchor) "-h" } {
                span class={ "badge " (look(verdict)) } { (word(verdict)) } " " (plain(scenario))
                a.up href="#top" { "↑ all trials" }
            }
            @if let Some(doc) = &place.doc { p.doc { (plain(doc)) } }
            @if !well { (glance::of(&seen)) }
            (facts(source, place))
            @if !source.problems.is_empty() {
                div.problems role="note" {
                    h3 { "What could not be read" }
                    ul { @for problem in &source.problems { li { (plain(problem)) } } }
                }
            }
            @if !deaths.is_empty() { (died::of(&seen)) }
            @if !findings.is_empty() { (findings::of(&seen)) }
            @if well {
                details open[place.alone] { summary { "Timeline, reports, plots, topology, logs" } (pictures::of(&seen, place)) }
            } @else { (pictures::of(&seen, place)) }
        }
    }
}

/// The window in which it happened: around what is blamed or, if nothing is, around the scenario's own messages.
fn close_up(source: &Source, account: Option<&Account<'_>>, deaths: &[Death], whole: Span) -> Option<Span> {
    let account = account?;
    let injected = source.evidence.as_ref()?.plan.injected.iter();
    let canaries: BTreeSet<&Key> = injected
        .filter(|injected| injected.canary)
        .map(|injected| &injected.key)
        .collect();
    let blamed: BTreeSet<&Key> = deaths
        .iter()
        .map(|death| &death.key)
        .filter(|key| !canaries.contains(key))
        .collect();
    let lives = account.lives.iter().filter(|life| {
        if blamed.is_empty() {
            !canaries.contains(&life.key)
        } else {
            blamed.contains(&life.key)
        }
    });
    let steps = lives.flat_map(|life| life.stages.iter().map(|stage| stage.point.at));
    let faults = account
        .faults
        .iter()
        .filter(|_| !blamed.is_empty())
        .map(|fault| fault.from.at);
    whole.close_up(steps.chain(faults))
}

fn force(source: &Source, account: &Account<'_>, whole: Span) -> Vec<Band> {
    let mut bands = Vec::new();
    for fault in &account.faults {
        let healed = fault.healed.map_or(whole.to, |healed| healed.at);
        bands.push(Band {
            span: Span::new(fault.from.at, healed),
            look: "band",
            title: format!("{} ({}) in force", fault.what, fault.id),
        });
        let back = fault.healed.and_then(|healed| {
            let mut after = source.events().iter().filter(|event| event.n > healed.n);
            after.find(|event| matches!(event.step, Step::Recovered { .. }))
        });
        if let (Some(healed), Some(back)) = (fault.healed, back) {
            bands.push(Band {
                span: Span::new(healed.at, back.at),
                look: "band back",
                title: format!(
                    "after {} ({}), until the canary came through",
                    fault.what, fault.id
                ),
            });
        }
    }
    bands
}

/// What ran, and how to see it again.
fn facts(source: &Source, place: &Place) -> Markup {
    let timings = source.verdict.as_ref().map(|verdict| verdict.timings.total());
    html! {
        dl.facts {
            @if let Some(about) = &source.about { div { dt { "seed" } dd { (about.seed) } } }
            @if let Some(took) = timings { div { dt { "took" } dd { (format!("{:.1} s", took.as_secs_f64())) } } }
            div { dt { "events" } dd { (source.events().len()) } }
            @if let Some(about) = &source.about {
                @for (service, given) in &about.under_test.env {
                    @for (name, value) in given { div { dt { (service) } dd { (plain(name)) "=" (plain(value)) } } }
                }
            }
            div { dt { "files" } dd {
                @for file in ["verdict.json", "ledger.jsonl", "end_state.json", "plan.json", "trial.log"] {
                    a href={ (place.folder) "/" (file) } { (file) } " "
                }
            } }
            div.wide { dt { "again" } dd { code.copy tabindex="0" { "harness reproduce " (plain(&place.again)) } } }
        }
    }
}

fn first_line(text: &str) -> String {
    plain(text.lines().next().unwrap_or_default())
}
