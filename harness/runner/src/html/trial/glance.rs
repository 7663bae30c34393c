//! What there is to know first: which report, which step, which fault, since when.

use std::collections::BTreeSet;

use harness_model::event::{Event, FaultChange, Step};
use harness_model::invariant::InForce;
use harness_model::name::Key;
use maud::{Markup, html};

use super::super::deaths::{self, Death};
use super::super::lanes;
use super::super::span::seconds;
use super::died::step;
use super::{Seen, first_line};
use crate::report::scene::plain;

/// Which report, which step, which fault, since when.
pub(super) fn of(seen: &Seen<'_>) -> Markup {
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
