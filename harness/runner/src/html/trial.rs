//! One trial on the page.

use std::collections::BTreeSet;

use harness_model::event::{Event, FaultChange, Step};
use harness_model::invariant::{self, Account, InForce};
use harness_model::name::Key;
use harness_model::verdict::{Finding, Kind, Verdict};
use maud::{Markup, html};

use super::deaths::{self, Death};
use super::draw::Band;
use super::lanes::{self, count};
use super::lives::OPEN as OPEN_ROWS;
use super::pictures;
use super::read::Source;
use super::span::{Span, seconds};
use crate::report::scene::{self, plain};

/// Findings that are shown at once, with their events.
const OPEN: usize = 5;
/// Findings that are shown with their events; all others have a line each.
const FINDINGS: usize = 60;
/// Most findings with a line each; beyond, rules name their reports.
const SENTENCES: usize = 10_000;
/// Events shown of a finding.
const EVENTS: usize = 12;
/// More deaths than this are told together first, where they are alike.
const DEATHS: usize = 12;

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
            @if !well { (glance(&seen)) }
            (facts(source, place))
            @if !source.problems.is_empty() {
                div.problems role="note" {
                    h3 { "What could not be read" }
                    ul { @for problem in &source.problems { li { (plain(problem)) } } }
                }
            }
            @if !deaths.is_empty() { (died(&seen)) }
            @if !findings.is_empty() { (wrong(&seen)) }
            @if well {
                details { summary { "Timeline, reports, plots, topology, logs" } (pictures::of(&seen, place)) }
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

/// Which report, which step, which fault, since when.
fn glance(seen: &Seen<'_>) -> Markup {
    let worst = seen.findings.first();
    let death = worst.and_then(|worst| seen.deaths.iter().find(|death| worst.keys.contains(&death.key)));
    let death = death.or_else(|| {
        seen.deaths
            .first()
            .filter(|_| worst.is_none_or(|worst| worst.keys.is_empty()))
    });
    let blamed: BTreeSet<&Key> = seen.findings.iter().flat_map(|finding| &finding.keys).collect();
    let blamed = if blamed.is_empty() {
        death.iter().map(|death| &death.key).collect()
    } else {
        blamed
    };
    let events = worst.map_or(&[][..], |worst| &worst.events);
    let around = seen.account.and_then(|account| {
        let (first, last) = (events.iter().min()?, events.iter().max()?);
        account.around(*first, *last)
    });
    let fault = around.or_else(|| death?.fault.clone());
    let plan = seen.source.evidence.as_ref().map(|evidence| &evidence.plan);
    let faults = seen.account.map_or(&[][..], |account| &account.faults);
    let idle = lanes::idle(seen.source.events(), plan, faults);
    html! {
        dl.glance {
            div { dt { "What" } dd {
                @match worst {
                    Some(worst) => { b { (plain(&worst.rule)) } " " (first_line(&worst.what)) }
                    None => { "nothing was judged" }
                }
            } }
            div { dt { "Which reports" } dd {
                @if blamed.is_empty() { "none is named" } @else {
                    b { (deaths::ranges(blamed.iter().copied().take(200))) }
                    @if blamed.len() > 200 { " and " (blamed.len() - 200) " more, named below" }
                }
            } }
            div { dt { "Which step" } dd {
                @match death {
                    Some(death) => { (step(death)) }
                    None => { "see the events below" }
                }
            } }
            div { dt { "Which fault, since when" } dd {
                @match &fault {
                    Some(words) => { (plain(words)) (times(words, faults)) (held(seen, death)) }
                    None if idle.is_empty() => { "no fault was in force" }
                    None => {
                        "no fault was in force: " @for idle in &idle { (plain(&idle.words)) " (" (plain(&idle.id)) "). " }
                    }
                }
            } }
        }
    }
}

/// The times of the faults that these words speak of.
fn times(words: &str, faults: &[InForce]) -> Markup {
    html! {
        @for fault in faults.iter().filter(|fault| words.contains(&format!("({}", fault.id))) {
            "; " (plain(&fault.id)) " began at " b { (seconds(fault.from.at)) }
            @if let Some(bitten) = fault.bitten { ", was bitten at " (seconds(bitten.at)) }
            @match fault.healed {
                Some(healed) => { ", was healed at " (seconds(healed.at)) }
                None => { ", was never healed" }
            }
        }
    }
}

/// The step was the one that a fault waited for.
fn held(seen: &Seen<'_>, death: Option<&Death>) -> Markup {
    let frame = death.and_then(|death| death.point).map(|point| point.n);
    let holds = |event: &Event| matches!(event.step, Step::Held { event, .. } if Some(event) == frame);
    let set_off = |event: &Event| matches!(event.step, Step::Fault { change: FaultChange::Fired { by }, .. } if Some(by) == frame);
    let events = || seen.source.events().iter();
    html! {
        @if events().any(set_off) { "; " b { "this very step set it off" } }
        @if events().any(holds) { ", and was held meanwhile" }
    }
}

/// A death in a line: step, who, when, and what that means.
pub(super) fn step(death: &Death) -> Markup {
    html! {
        b { (plain(&death.step)) }
        @if let Some(by) = &death.by { " by " b { (plain(by)) } }
        @if let Some(queue) = &death.queue { " on queue " (plain(queue)) }
        @if let Some(point) = death.point { " at " b { (seconds(point.at)) } " (#" (point.n) ")" }
        @if let Some(state) = death.state { ": state " (state) ", " (deaths::words(state)) }
    }
}

fn first_line(text: &str) -> String {
    plain(text.lines().next().unwrap_or_default())
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

/// What is wrong, with the events that show it.
fn wrong(seen: &Seen<'_>) -> Markup {
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

/// Where each report died.
fn died(seen: &Seen<'_>) -> Markup {
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
            table.deaths {
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
