//! A lane for each fault: armed, fired, in force, recovering.

use harness_model::event::{Event, FaultChange, Step};
use harness_model::evidence::Plan;
use harness_model::invariant::InForce;
use harness_model::name::Name;

use super::super::span::{Span, seconds};
use super::Lane;

pub(super) fn fault_lanes(events: &[Event], faults: &[InForce], whole: Span) -> Vec<Lane> {
    let recovered = |after: u64| {
        let mut events = events.iter().filter(|event| event.n > after);
        events
            .find(|event| matches!(event.step, Step::Recovered { .. }))
            .map(|event| event.at)
    };
    let mut lanes: Vec<Lane> = Vec::new();
    for fault in faults {
        let mut lane = Lane::new("fault", fault.id.to_string());
        let when = fault
            .when
            .as_ref()
            .map_or_else(String::new, |when| format!(", at {when}"));
        if let Some(armed) = fault.armed {
            lane.bar(armed.at, fault.from.at, "armed", format!("armed{when}"));
        }
        let bitten = fault.bitten.map_or(whole.to, |bitten| bitten.at);
        lane.bar(
            fault.from.at,
            bitten,
            "fired",
            format!("fired at {}", seconds(fault.from.at)),
        );
        lane.note = match (fault.bitten, fault.healed) {
            (None, _) => format!(
                "{}{when}: fired at {}, no proof that it bit",
                fault.what,
                seconds(fault.from.at)
            ),
            (Some(bitten), None) => format!(
                "{}{when}: bitten at {}, never healed",
                fault.what,
                seconds(bitten.at)
            ),
            (Some(bitten), Some(healed)) => {
                let (at, to) = (seconds(bitten.at), seconds(healed.at));
                format!("{}{when}: bitten at {at}, healed at {to}", fault.what)
            }
        };
        if let Some(bitten) = fault.bitten {
            let until = fault.healed.map_or(whole.to, |healed| healed.at);
            lane.bar(bitten.at, until, "force", lane.note.clone());
            lane.mark(bitten.at, "bite", format!("#{} bitten", bitten.n));
        }
        if let Some(healed) = fault.healed {
            let back = recovered(healed.n);
            let title = back.map_or_else(
                || "healed; no canary came through afterwards".to_owned(),
                |back| {
                    format!(
                        "recovering for {} until the canary came through",
                        seconds(back - healed.at)
                    )
                },
            );
            lane.bar(healed.at, back.unwrap_or(whole.to), "recovery", title);
        }
        lanes.push(lane);
    }
    lanes
}

/// A fault that was armed and never fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// The fault.
    pub id: Name,
    /// Since when it waited.
    pub armed: u64,
    /// What it is, and what it waited for.
    pub words: String,
}

/// The faults that never fired.
pub fn idle(events: &[Event], plan: Option<&Plan>, faults: &[InForce]) -> Vec<Idle> {
    let armed = events.iter().filter_map(|event| match &event.step {
        Step::Fault {
            id,
            change: FaultChange::Armed,
        } => Some((id, event.at)),
        _ => None,
    });
    let armed = armed.filter(|(id, _)| !faults.iter().any(|fault| fault.id == **id));
    let told = armed.map(|(id, at)| {
        let planned = plan.and_then(|plan| plan.faults.iter().find(|fault| fault.id == *id));
        let what = planned.map_or_else(|| "a fault".to_owned(), |fault| fault.what.to_string());
        let when = planned.and_then(|fault| fault.when.as_ref());
        let when = when.map_or_else(String::new, |when| format!(", at {when}"));
        Idle {
            id: id.clone(),
            armed: at,
            words: format!("{what}{when}: armed at {}, never fired", seconds(at)),
        }
    });
    told.collect()
}
