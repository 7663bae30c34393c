//! The scene of a trial that did not pass: findings, the ledger events that show them, the last words of the services,
//! and how to see it again.
//!
//! Log lines, error texts and bodies come from the outside: control characters are taken out of everything that is
//! shown, so that they can neither drive a terminal nor forge a line of the report.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use harness_model::event::{Event, FaultChange, Step};
use harness_model::evidence::Evidence;
use harness_model::verdict::{Finding, Kind};

use super::Finished;

const EVENTS: usize = 12;
const KEYS: usize = 20;
const TAIL: usize = 8;
const WIDTH: usize = 160;

/// What the findings refer to, cut out of the evidence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    /// The events that findings name, by number.
    pub events: BTreeMap<u64, Event>,
    /// The last lines of each log.
    pub tails: BTreeMap<String, Vec<String>>,
}

impl Scene {
    /// What `findings` refer to.
    pub fn cut(findings: &[Finding], evidence: &Evidence, logs: &BTreeMap<String, String>) -> Self {
        let named = findings
            .iter()
            .flat_map(|finding| finding.events.iter().take(EVENTS));
        let events = named
            .filter_map(|&n| Some((n, evidence.ledger.get(n)?.clone())))
            .collect();
        let tails = logs
            .iter()
            .map(|(name, text)| (name.clone(), tail(text)))
            .collect();
        Self { events, tails }
    }
}

fn tail(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .map(clean)
        .filter(|line| !line.is_empty())
        .take(TAIL)
        .collect();
    lines.reverse();
    lines
}

/// One line of foreign text: without escape sequences, control characters and marks that change the direction of
/// writing, and cut at 160 characters.
pub fn clean(text: &str) -> String {
    let out = plain(text);
    match out.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}…", &out[..at]),
        None => out,
    }
}

/// The same, but whole.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // ECMA-48: a control sequence is ESC [ parameters, ended by a character from @ to ~.
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                chars.by_ref().find(|c| ('@'..='~').contains(c));
            }
            '\t' => out.push(' '),
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// The diagnosis in one paragraph: verdict, worst finding, reports, and how to see it again.
pub fn headline(finished: &Finished) -> String {
    let mut line = format!("{}: {}", finished.verdict.kind.word(), finished.scenario);
    if let Some(worst) = finished.verdict.findings.first() {
        let what = worst.what.lines().next().unwrap_or_default();
        _ = write!(line, ": {}: {}", worst.rule, clean(what));
        if !worst.keys.is_empty() {
            _ = write!(line, " (reports {})", keys(worst));
        }
        if let more @ 1.. = finished.verdict.findings.len() - 1 {
            _ = write!(
                line,
                "; and {more} more finding{}",
                if more == 1 { "" } else { "s" }
            );
        }
    }
    _ = write!(line, "; seed {}", finished.seed);
    line
}

/// Writes the whole scene.
pub fn write(finished: &Finished, out: &mut dyn Write) -> io::Result<()> {
    for finding in &finished.verdict.findings {
        write_finding(finding, &finished.scene, out)?;
    }
    for (name, lines) in &finished.scene.tails {
        if lines.is_empty() {
            continue;
        }
        writeln!(
            out,
            "  log of {} (last {}):",
            clean(name),
            count(lines.len(), "line")
        )?;
        for line in lines {
            writeln!(out, "    | {line}")?;
        }
    }
    if finished.verdict.kind != Kind::Pass {
        writeln!(out, "  again:    harness reproduce {}", finished.dir)?;
        writeln!(out, "  offline:  harness recheck {}", finished.dir)?;
    }
    Ok(())
}

fn write_finding(finding: &Finding, scene: &Scene, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = finding.what.lines();
    let first = lines.next().unwrap_or_default();
    writeln!(
        out,
        "  {}  {}: {}",
        finding.kind.word(),
        clean(&finding.rule),
        clean(first)
    )?;
    for line in lines {
        writeln!(out, "    {}", clean(line))?;
    }
    if !finding.keys.is_empty() {
        writeln!(out, "    reports: {}", keys(finding))?;
    }
    for n in finding.events.iter().take(EVENTS) {
        match scene.events.get(n) {
            Some(event) => writeln!(out, "    {}", line(event))?,
            None => writeln!(out, "    #{n} is not in the ledger")?,
        }
    }
    if let more @ 1.. = finding.events.len().saturating_sub(EVENTS) {
        writeln!(out, "    and {}", count(more, "more event"))?;
    }
    Ok(())
}

fn keys(finding: &Finding) -> String {
    let mut text = finding
        .keys
        .iter()
        .take(KEYS)
        .map(|key| clean(key))
        .collect::<Vec<_>>()
        .join(", ");
    if let more @ 1.. = finding.keys.len().saturating_sub(KEYS) {
        _ = write!(text, " and {more} more");
    }
    text
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// One event: number, milliseconds since the ledger was opened, service, step, reports, and what else tells it apart.
pub fn line(event: &Event) -> String {
    let svc = event.svc.as_deref().unwrap_or("-");
    let mut text = format!(
        "#{:<6} {:>10.3} ms  {:<10} {:<14}",
        event.n,
        event.at as f64 / 1e6,
        clean(svc),
        event.step.kind()
    );
    let keys = event.step.keys();
    if let Some(first) = keys.first() {
        _ = write!(text, " {}", clean(first));
        if keys.len() > 1 {
            _ = write!(text, " and {} more", keys.len() - 1);
        }
    }
    let detail = detail(&event.step);
    if !detail.is_empty() {
        _ = write!(text, "  {}", clean(&detail));
    }
    text.truncate(text.trim_end().len());
    text
}

fn detail(step: &Step) -> String {
    match step {
        Step::DialFailed { error, .. } => error.clone(),
        Step::Disconnect { by, how, .. } => format!("{how:?} by {by:?}").to_lowercase(),
        Step::Opaque { why, .. } => why.clone(),
        Step::AmqpClosed { code, text, .. } | Step::ChannelClosed { code, text, .. } => {
            format!("{code} {text}")
        }
        Step::Blocked { reason } => reason.clone(),
        Step::Consume { queue, .. } => queue.to_string(),
        Step::Cancel { consumer, .. } => consumer.to_string(),
        Step::Publish { message, .. } => format!("{} {}", message.exchange, message.routing_key),
        Step::Return { code, text, message } => format!("{} {code} {text}", message.routing_key),
        Step::Confirm { ok, .. } => if *ok { "" } else { "refused" }.to_owned(),
        Step::Deliver {
            queue,
            redelivered,
            message,
            ..
        } => {
            let mut text = queue.as_deref().unwrap_or("?").to_owned();
            if *redelivered {
                text.push_str(" redelivered");
            }
            if let Some(retry) = message.retry {
                _ = write!(text, " retry {retry}");
            }
            text
        }
        Step::Nack { requeue, .. } => if *requeue { "requeue" } else { "drop" }.to_owned(),
        Step::Statement { sql, .. } => sql.clone(),
        Step::DbErr { code, text, .. } => format!("{code} {text}"),
        Step::Phase { name } => name.to_string(),
        Step::Inject { report, .. } => report.clone(),
        Step::Container { name, change, exit } | Step::Script { name, change, exit } => match exit {
            Some(exit) => format!("{name} {change} with {exit}"),
            None => format!("{name} {change}"),
        },
        Step::Fault { id, change } => match change {
            FaultChange::Armed => format!("{id} armed"),
            FaultChange::Fired { by } => format!("{id} fired by #{by}"),
            FaultChange::Bitten { proof } => format!("{id} bitten: {proof}"),
            FaultChange::Healed { proof } => format!("{id} healed: {proof}"),
        },
        Step::Held { fault, event } => format!("#{event} for {fault}"),
        Step::Released { fault, event, fate } => format!("#{event} for {fault}: {fate:?}").to_lowercase(),
        Step::Health { status, broker } => match broker {
            Some(true) => format!("{status}, broker connected"),
            Some(false) => format!("{status}, broker not connected"),
            None => status.to_string(),
        },
        Step::Depth {
            queue,
            ready,
            consumers,
        } => format!("{queue} ready {ready} consumers {consumers}"),
        Step::Recovered { ms, .. } => format!("after {ms} ms"),
        Step::Process { argv, exit } => match exit {
            Some(exit) => format!("{}: {exit}", argv.join(" ")),
            None => argv.join(" "),
        },
        Step::File { path, bytes, .. } => format!("{path} {bytes} bytes"),
        Step::Engine { call, status } => format!("{call}: {status}"),
        Step::Note { text } => text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{clean, tail};
    use proptest::prelude::*;

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(
            clean("\u{1b}[31;1mred\u{1b}[0m\rover\u{7}\u{202e}tni"),
            "redovertni"
        );
        assert_eq!(clean("a\tb"), "a b");
        assert_eq!(clean(&"x".repeat(200)).chars().count(), 161);
    }

    #[test]
    fn the_last_lines_are_kept_in_order() {
        let text = (1..=20)
            .map(|n| format!("line {n}\n"))
            .collect::<Vec<_>>()
            .join("\n");
        let lines = tail(&text);
        assert_eq!((lines.len(), &*lines[0], &*lines[7]), (8, "line 13", "line 20"));
    }

    proptest! {
        #[test]
        fn nothing_that_is_shown_holds_a_control_character(text in any::<String>()) {
            prop_assert!(!clean(&text).contains(char::is_control));
        }
    }
}
