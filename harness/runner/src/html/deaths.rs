//! Where did it die: for each report that a finding blames, or that came to no end, the last step that shows it.
//!
//! The step is the last event of its findings that is about it; without one, the last step of the life that is still
//! open, else of any of its lives.

use std::collections::{BTreeMap, BTreeSet};

use harness_model::evidence::Evidence;
use harness_model::fault::MessageState;
use harness_model::invariant::{Account, Life, Point};
use harness_model::name::Key;
use harness_model::verdict::{Finding, Kind};

/// The last step of a report that did not do well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The report.
    pub key: Key,
    /// The rules that blame it; none if it only came to no end.
    pub rules: BTreeSet<String>,
    /// The event, if anything was seen of it at all.
    pub point: Option<Point>,
    /// The kind of step, as ledgers call it.
    pub step: String,
    /// Role of the queue that it was on.
    pub queue: Option<String>,
    /// Where its message was then.
    pub state: Option<MessageState>,
    /// Who did it.
    pub by: Option<String>,
    /// Which fault was in force, or was the nearest.
    pub fault: Option<String>,
}

/// All of them: blamed ones first, then in the order of keys.
pub fn deaths(evidence: &Evidence, account: &Account<'_>, findings: &[Finding]) -> Vec<Death> {
    let mut blamed: BTreeMap<&Key, Vec<&Finding>> = BTreeMap::new();
    // What makes a trial invalid is about the harness.
    for finding in findings.iter().filter(|finding| finding.kind > Kind::Infra) {
        for key in &finding.keys {
            blamed.entry(key).or_default().push(finding);
        }
    }
    let lives = by_key(&account.lives);
    let injected = evidence.plan.injected.iter().map(|injected| &injected.key);
    let open = injected.filter(|key| {
        let lives = lives.get(key).map_or(&[][..], Vec::as_slice);
        lives.is_empty() || lives.iter().any(|life| !life.ended)
    });
    let keys: BTreeSet<&Key> = blamed.keys().copied().chain(open).collect();
    let mut deaths: Vec<_> = keys
        .into_iter()
        .map(|key| {
            let findings = blamed.get(key).map_or(&[][..], Vec::as_slice);
            death(
                evidence,
                account,
                key,
                lives.get(key).map_or(&[][..], Vec::as_slice),
                findings,
            )
        })
        .collect();
    deaths.sort_by_cached_key(|death| (death.rules.is_empty(), death.key.seq(), death.key.clone()));
    deaths
}

/// Lives by their message.
pub(super) fn by_key(lives: &[Life]) -> BTreeMap<&Key, Vec<&Life>> {
    let mut found: BTreeMap<&Key, Vec<&Life>> = BTreeMap::new();
    for life in lives {
        found.entry(&life.key).or_default().push(life);
    }
    found
}

fn death(
    evidence: &Evidence,
    account: &Account<'_>,
    key: &Key,
    lives: &[&Life],
    findings: &[&Finding],
) -> Death {
    let ledger = &evidence.ledger;
    let shown = findings.iter().flat_map(|finding| &finding.events);
    let shown = shown
        .filter_map(|n| ledger.get(*n))
        .filter(|event| event.step.keys().contains(&key));
    let shown = shown.max_by_key(|event| event.n);
    let last = |life: &&&Life| life.stages.last().map(|stage| stage.point);
    let open = lives.iter().filter(|life| !life.ended).max_by_key(last);
    let life = match shown {
        // The life that this event is a step of.
        Some(event) => lives
            .iter()
            .find(|life| life.stages.iter().any(|stage| stage.point.n == event.n)),
        None => open.or_else(|| lives.iter().max_by_key(last)),
    };
    let stage = life.and_then(|life| {
        let until = shown.map_or(u64::MAX, |event| event.n);
        life.stages.iter().rfind(|stage| stage.point.n <= until)
    });
    let event = shown.or_else(|| ledger.get(stage?.point.n));
    let event = event.or_else(|| {
        ledger
            .events()
            .iter()
            .rfind(|event| event.step.keys().contains(&key))
    });
    Death {
        key: key.clone(),
        rules: findings.iter().map(|finding| finding.rule.clone()).collect(),
        point: event.map(Point::from),
        step: event.map_or_else(|| "never seen".to_owned(), |event| event.step.kind().to_string()),
        queue: life.map(|life| life.queue.to_string()),
        state: stage.map(|stage| stage.state),
        by: event
            .and_then(|event| event.svc.as_ref())
            .map(ToString::to_string),
        fault: event.and_then(|event| account.around(event.n, event.n)),
    }
}

/// Reports that died alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// The first of them.
    pub like: &'a Death,
    /// All of them, in order.
    pub keys: Vec<&'a Key>,
    /// When the last of them was seen.
    pub until: Option<Point>,
}

/// The same deaths, together where rules, step, queue, state, service and fault are the same.
pub fn groups(deaths: &[Death]) -> Vec<Group<'_>> {
    let mut places = BTreeMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for death in deaths {
        let alike = (
            &death.rules,
            &death.step,
            &death.queue,
            death.state,
            &death.by,
            &death.fault,
        );
        let place = *places.entry(alike).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => {
                group.keys.push(&death.key);
                group.until = group.until.max(death.point);
            }
            None => groups.push(Group {
                like: death,
                keys: vec![&death.key],
                until: death.point,
            }),
        }
    }
    groups
}

/// Keys as ranges: `1-3, 7, canary`.
pub fn ranges<'a>(keys: impl IntoIterator<Item = &'a Key>) -> String {
    let mut numbers = BTreeSet::new();
    let mut others = Vec::new();
    for key in keys {
        match key.seq() {
            Some(seq) => drop(numbers.insert(seq)),
            None => others.push(key.to_string()),
        }
    }
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for seq in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => parts.push((seq, seq)),
        }
    }
    let parts = parts.into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    });
    parts.chain(others).collect::<Vec<_>>().join(", ")
}

/// What a state says of a message.
pub fn words(state: MessageState) -> &'static str {
    use MessageState as M;
    match state {
        M::P0 => "published, not confirmed",
        M::P1 => "in the queue, confirmed",
        M::D => "delivered, no work seen yet",
        M::W => "in work",
        M::C0 => "commit sent, not answered",
        M::C1 | M::C2 => "committed, not acknowledged",
        M::A0 => "acknowledgement sent, never arrived",
        M::A1 => "acknowledged",
        M::R0 => "published for a retry, not confirmed",
        M::R1 => "waiting for a retry",
        M::N0 => "rejection sent, never arrived",
        M::X0 => "rejected, to the dead letters",
    }
}

#[cfg(test)]
mod tests {
    use harness_model::name::Key;

    use super::ranges;

    #[test]
    fn keys_are_told_as_ranges() {
        let of = |keys: &[&str]| {
            let keys: Vec<Key> = keys.iter().map(|key| Key::from(*key)).collect();
            ranges(&keys)
        };
        assert_eq!(of(&[]), "");
        assert_eq!(of(&["3", "1", "2", "9"]), "1-3, 9");
        assert_eq!(of(&["4", "5", "bad-json", "7"]), "4, 5, 7, bad-json");
    }
}
