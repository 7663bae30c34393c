//! The report of a sweep, as text in Markdown and as a page.

use std::fmt::Write as _;

use harness_model::statistics::{seen_by, trials_to_see, wilson};
use harness_model::verdict::Kind;
use maud::{DOCTYPE, html};

use super::history::Line;
use super::plan::{Class, Counts};
use super::{Suspect, Sweep, merge};

/// Below this an axis is named.
const SIGNIFICANT: f64 = 0.05;

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
.strip { display: flex; flex-wrap: wrap; gap: 1px; list-style: none; padding: 0 }
.strip li { width: .7rem; text-align: center; font: .7rem/1.2 monospace }
.pass { background: #8fbc8f; color: #000 } .fail { background: #b22222; color: #fff } .other { background: #bbb; color: #000 }
";

/// One scenario of the report.
struct Row<'a> {
    name: &'a str,
    counts: Counts,
    class: Class,
    strip: Vec<Kind>,
    before: Option<Counts>,
    suspect: Option<&'a Suspect>,
}

fn rows<'a>(sweep: &'a Sweep, history: &[Line]) -> Vec<Row<'a>> {
    let last = |name: &str| {
        history
            .iter()
            .rev()
            .find_map(|line| line.scenarios.get(name).copied())
    };
    let mut rows: Vec<_> = sweep
        .counts()
        .into_iter()
        .map(|(name, counts)| Row {
            name,
            counts,
            class: counts.class(),
            strip: sweep
                .records
                .iter()
                .filter(|record| record.scenario == name)
                .map(|record| record.verdict)
                .collect(),
            before: last(name),
            suspect: sweep.suspects.get(name),
        })
        .collect();
    rows.sort_by_key(|row| (row.class, row.name));
    rows
}

fn cell(verdict: Kind) -> char {
    match verdict {
        Kind::Pass => '.',
        Kind::Fail => 'F',
        Kind::Hang => 'H',
        Kind::Infra => 'i',
        Kind::Invalid => '-',
    }
}

fn percent(rate: f64) -> String {
    format!("{:.1} %", 100.0 * rate)
}

/// The counts of a scenario in words.
fn told(counts: Counts) -> String {
    let (low, high) = wilson(counts.failed, counts.telling());
    let mut text = format!(
        "{} of {} failed, between {} and {}",
        counts.failed,
        counts.telling(),
        percent(low),
        percent(high)
    );
    for (n, word) in [(counts.infra, "infra"), (counts.invalid, "invalid")] {
        if n > 0 {
            _ = write!(text, "; {n} {word}");
        }
    }
    text
}

/// What is known of a flaky scenario, line by line.
fn known(suspect: &Suspect, place: &dyn Fn(&Suspect) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(parted) = &suspect.divergence {
        lines.push(format!("first difference: {parted}"));
    }
    let (failed, of) = suspect.again.unwrap_or_default();
    lines.push(match suspect.again {
        None => "its first failure was not run again: no time was left".to_owned(),
        Some((_, 0)) => "its first failure again: no trial says anything".to_owned(),
        Some(_) => {
            let (low, high) = wilson(failed, of);
            format!(
                "its first failure again: {failed} of {of} failed, between {} and {}",
                percent(low),
                percent(high)
            )
        }
    });
    for arm in &suspect.arms {
        let verdict = if arm.p <= SIGNIFICANT {
            "it takes this to fail"
        } else {
            "no difference is shown"
        };
        let without = if arm.without.word() == "seed" {
            "with other seeds".to_owned()
        } else {
            format!("without {}", arm.without)
        };
        let (failed, of) = arm.failed;
        lines.push(format!(
            "{without}: {failed} of {of} failed, p {:.4}: {verdict}",
            arm.p
        ));
    }
    let times = if failed == 0 {
        REPRODUCE
    } else {
        trials_to_see((failed as f64 / of as f64).min(0.95))
    };
    lines.push(format!(
        "again: harness reproduce {} --times {times}",
        place(suspect)
    ));
    lines
}

/// What should be here and is not.
fn absent(sweep: &Sweep) -> Vec<String> {
    let shards = merge::missing(sweep);
    let mut lines: Vec<_> = shards
        .iter()
        .map(|part| format!("shard {part} is missing"))
        .collect();
    let elsewhere = sweep.elsewhere();
    if !elsewhere.is_empty() {
        lines.push(format!("not in here are {}", elsewhere.join(", ")));
    }
    let untried = sweep.untried();
    lines.extend(untried.iter().map(|name| format!("no trial of {name} was run")));
    lines
}

/// How often to try what has not come again.
const REPRODUCE: u64 = 59;

/// The report as text.
pub(crate) fn markdown(
    sweep: &Sweep,
    history: &[Line],
    notes: &[String],
    place: &dyn Fn(&Suspect) -> String,
) -> String {
    let mut text = String::from("# Sweep\n\n");
    let axes: Vec<_> = sweep.axes.iter().map(|axis| axis.word()).collect();
    _ = writeln!(
        text,
        "seed {}, revision {}, {} trials; varied: {}\n",
        sweep.seed,
        sweep.revision,
        sweep.records.len(),
        axes.join(", ")
    );
    for line in absent(sweep).iter().chain(notes) {
        _ = writeln!(text, "- {line}");
    }
    for row in rows(sweep, history) {
        _ = writeln!(
            text,
            "\n{:<10}  {}: {}",
            row.class.word(),
            row.name,
            told(row.counts)
        );
        let strip: String = row.strip.iter().map(|verdict| cell(*verdict)).collect();
        _ = writeln!(text, "    {strip}");
        if row.counts.failed == 0 && row.counts.telling() > 0 {
            _ = writeln!(
                text,
                "    a rate of {} would have been seen (95 %)",
                percent(seen_by(row.counts.telling()))
            );
        }
        if let Some(before) = row.before {
            _ = writeln!(
                text,
                "    before: {}, {} of {} failed",
                before.class().word(),
                before.failed,
                before.telling()
            );
        }
        for line in row
            .suspect
            .map(|suspect| known(suspect, place))
            .unwrap_or_default()
        {
            _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// The report as a page that needs nothing else.
pub(crate) fn page(
    sweep: &Sweep,
    history: &[Line],
    notes: &[String],
    place: &dyn Fn(&Suspect) -> String,
) -> String {
    let class = |verdict: &Kind| match verdict {
        Kind::Pass => "pass",
        Kind::Fail | Kind::Hang => "fail",
        _ => "other",
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Sweep " (sweep.seed) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                h1 { "Sweep" }
                p { "Seed " (sweep.seed) ", revision " (sweep.revision) ", " (sweep.records.len()) " trials." }
                @for line in absent(sweep).iter().chain(notes) { p { (line) } }
                @for row in rows(sweep, history) {
                    section {
                        h2 { (row.name) " (" (row.class.word()) ")" }
                        p { (told(row.counts)) }
                        ol.strip aria-label={ "trials of " (row.name) } {
                            @for verdict in &row.strip {
                                li class=(class(verdict)) title=(verdict.word()) { (cell(*verdict)) }
                            }
                        }
                        @if let Some(before) = row.before { p { "Before: " (told(before)) } }
                        @if let Some(suspect) = row.suspect { pre { (known(suspect, place).join("\n")) } }
                    }
                }
            }
        }
    };
    page.into_string()
}
