//! Message life bars: one row a report, one bar a queue, coloured by the step that the message is at.
//!
//! Few reports have a row each. Of many, those that a finding blames and those that came to no end have; the others are
//! drawn together, a stretch of them in one row, from the first to the last of each step. Nobody is left out: the page
//! says how many are in a row, and a list below has one line for each report.

use std::collections::{BTreeMap, BTreeSet};

use harness_model::fault::MessageState;
use harness_model::invariant::{Account, Life};
use harness_model::name::Key;

use super::deaths::{Death, by_key};
use super::span::Span;

/// With no more reports than this, every one has a row of its own.
pub const EACH: usize = 48;

/// Most rows for reports that did not do well; beyond, they are drawn together, too, and named in the table of what
/// died alike.
pub const OPEN: usize = 300;

/// Rows for the others.
const STRETCHES: usize = 24;

/// Part of a bar: a message was at this step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// From when to when; without an end, to the end of the trial.
    pub span: Span,
    /// The step at its beginning: the class that gives its look.
    pub look: &'static str,
}

/// A bar: the life of one message, or of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strand {
    /// Role of the queue.
    pub queue: String,
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// It came to its end, at this time.
    pub ended: Option<u64>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The reports in it, in order.
    pub keys: Vec<&'a Key>,
    /// One for each queue.
    pub strands: Vec<Strand>,
    /// What became of it, if it is about one report.
    pub death: Option<&'a Death>,
}

/// All rows, and what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows<'a> {
    /// Roles of the queues, in the order in which each row has them.
    pub queues: Vec<String>,
    /// Rows of one report each.
    pub single: Vec<Row<'a>>,
    /// Rows of many reports each, all of which ended well.
    pub well: Vec<Row<'a>>,
    /// Rows of many reports each that did not, because there are more than [`OPEN`] of them.
    pub unwell: Vec<Row<'a>>,
}

/// Parts the reports of a trial into rows.
pub fn rows<'a>(account: &'a Account<'_>, deaths: &'a [Death], whole: Span) -> Rows<'a> {
    let lives = by_key(&account.lives);
    let queues: BTreeSet<_> = account.lives.iter().map(|life| life.queue.as_str()).collect();
    let queues = queues.into_iter().map(str::to_owned).collect();
    let died: BTreeMap<&Key, &Death> = deaths.iter().map(|death| (&death.key, death)).collect();
    let mut keys: Vec<&Key> = lives
        .keys()
        .copied()
        .chain(died.keys().copied())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let began = |key: &Key| {
        let lives = lives.get(key).map_or(&[][..], Vec::as_slice);
        let first = lives
            .iter()
            .filter_map(|life| life.stages.first())
            .map(|stage| stage.point.at);
        first.min().unwrap_or(u64::MAX)
    };
    keys.sort_by_key(|key| (began(key), key.seq(), *key));
    let single = |key: &'a Key| Row {
        keys: vec![key],
        strands: lives
            .get(key)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .map(|life| strand(life, whole))
            .collect(),
        death: died.get(key).copied(),
    };
    let together = |keys: &[&'a Key]| {
        let size = keys.len().div_ceil(STRETCHES).max(1);
        let rows = keys.chunks(size).map(|keys| Row {
            keys: keys.to_vec(),
            strands: envelope(
                keys.iter().filter_map(|key| lives.get(key)).flatten().copied(),
                whole,
            ),
            death: None,
        });
        rows.collect::<Vec<_>>()
    };
    if keys.len() <= EACH {
        return Rows {
            queues,
            single: keys.into_iter().map(single).collect(),
            well: Vec::new(),
            unwell: Vec::new(),
        };
    }
    let (bad, well): (Vec<&Key>, Vec<&Key>) = keys.into_iter().partition(|key| died.contains_key(key));
    let (first, rest) = bad.split_at(if bad.len() > OPEN { 0 } else { bad.len() });
    Rows {
        queues,
        single: first.iter().copied().map(single).collect(),
        well: together(&well),
        unwell: together(rest),
    }
}

/// The class of what begins with a step.
pub fn look(state: MessageState) -> &'static str {
    use MessageState as M;
    match state {
        M::P0 => "p",
        M::P1 => "q",
        M::D => "d",
        M::W => "w",
        M::C0 | M::C1 | M::C2 => "c",
        M::R0 | M::R1 => "r",
        M::A0 | M::N0 => "n",
        M::A1 | M::X0 => "e",
    }
}

fn strand(life: &Life, whole: Span) -> Strand {
    let last = life.stages.last().map_or(0, |stage| stage.point.at);
    let next = life.stages.iter().skip(1).map(|stage| stage.point.at);
    let open = if life.ended { last } else { whole.to };
    let stages = life.stages.iter().zip(next.chain([open]));
    let mut parts: Vec<Part> = Vec::new();
    for (stage, to) in stages {
        let (from, mut look) = (stage.point.at, look(stage.state));
        // After an end that was none, for example when a retry waits, the bar goes on.
        if look == "e" && to > from && stage.point.at != last {
            look = "q";
        }
        let bar = Part {
            span: Span { from, to },
            look: if to == whole.to && !life.ended {
                "open"
            } else {
                look
            },
        };
        match parts.last_mut() {
            Some(before) if before.look == bar.look => before.span.to = to,
            _ if to > from => parts.push(bar),
            _ => {}
        }
    }
    Strand {
        queue: life.queue.to_string(),
        parts,
        ended: life.ended.then_some(last),
    }
}

/// Many lives as one bar for each queue: each step from its first to its last time, one over the other.
fn envelope<'a>(lives: impl Iterator<Item = &'a Life>, whole: Span) -> Vec<Strand> {
    let mut queues: BTreeMap<&str, (BTreeMap<&'static str, Span>, Option<u64>)> = BTreeMap::new();
    for life in lives {
        let (parts, ended) = queues.entry(&life.queue).or_default();
        let strand = strand(life, whole);
        for part in strand.parts {
            let span = parts.entry(part.look).or_insert(part.span);
            *span = Span {
                from: span.from.min(part.span.from),
                to: span.to.max(part.span.to),
            };
        }
        *ended = (*ended).max(strand.ended);
    }
    let strands = queues.into_iter().map(|(queue, (parts, ended))| {
        let mut parts: Vec<_> = parts
            .into_iter()
            .map(|(look, span)| Part { span, look })
            .collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.span.length()));
        Strand {
            queue: queue.to_owned(),
            parts,
            ended,
        }
    });
    strands.collect()
}

/// A line for each report: how far it came on each queue, and when.
pub fn list(account: &Account<'_>, deaths: &[Death]) -> String {
    use std::fmt::Write as _;
    let died: BTreeSet<&Key> = deaths.iter().map(|death| &death.key).collect();
    let lives = by_key(&account.lives);
    let mut keys: Vec<_> = lives.keys().copied().collect();
    keys.sort_by_key(|key| (key.seq(), *key));
    let mut text = String::new();
    for key in keys {
        _ = write!(text, "{}{key:<7}", if died.contains(key) { '!' } else { ' ' });
        for life in &lives[key] {
            let last = life.stages.last();
            let (state, at) = last.map_or(("-".to_owned(), 0.0), |stage| {
                (stage.state.to_string(), stage.point.at as f64 / 1e9)
            });
            _ = write!(
                text,
                " {} {state} {at:.3}{}",
                life.queue,
                if life.ended { ";" } else { " OPEN;" }
            );
        }
        text.push('\n');
    }
    text
}
