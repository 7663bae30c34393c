//! Markdown for the summary of a step of GitHub Actions: the verdict first, details folded.
//!
//! GitHub drops a summary whole if it is over its limit. So it is written piece by piece, what counts most first, and
//! stops before the limit; the last line says how many pieces were left out. All that is not ours is escaped: it can
//! neither close a fold nor mention anybody.

use std::fmt::Write as _;

use harness_model::verdict::Kind;

use super::forms::{Case, Told, rank, scene_of};
use super::junit::message;
use super::pretty::seconds;
use super::scene::clean;

/// Room that is kept for the last line.
const LAST: usize = 200;

/// The summary, at most `limit` bytes long.
pub fn text(told: &Told, limit: usize) -> String {
    let mut cases = told.cases();
    cases.sort_by(|a, b| {
        rank(b.worst())
            .cmp(&rank(a.worst()))
            .then_with(|| a.name.cmp(&b.name))
    });
    let passed = |case: &&Case<'_>| {
        let worst = case.worst();
        worst.counts_as() == Kind::Pass && !worst.is_held()
    };
    let (good, bad): (Vec<_>, Vec<_>) = cases.iter().partition(passed);

    let mut page = Page {
        out: String::new(),
        limit: limit.saturating_sub(LAST),
        left_out: 0,
    };
    page.add(&format!("## {}\n\n{}\n\n", verdict(told), counts(told, &cases)));
    if !bad.is_empty() || !told.missing.is_empty() {
        page.add("| scenario | verdict | what |\n|---|---|---|\n");
        for case in &bad {
            page.add(&row(case));
        }
        for name in &told.missing {
            page.add(&format!(
                "| {} | not run | no trial of it is stored |\n",
                inline(name)
            ));
        }
        page.add("\n");
    }
    for case in &bad {
        page.add(&details(case));
    }
    if !good.is_empty() {
        let mut list = format!("<details><summary>{} passed</summary>\n\n", good.len());
        for case in &good {
            _ = writeln!(list, "- {}, {}", inline(&case.name), seconds(case.took()));
        }
        list.push_str("\n</details>\n");
        page.add(&list);
    }
    page.end()
}

struct Page {
    out: String,
    limit: usize,
    left_out: usize,
}

impl Page {
    /// Adds a piece that stands for itself, if there is room. After the first one without room no other is added, so
    /// that what is there is in order.
    fn add(&mut self, piece: &str) {
        if self.left_out == 0 && self.out.len() + piece.len() <= self.limit {
            self.out.push_str(piece);
        } else {
            self.left_out += 1;
        }
    }

    fn end(mut self) -> String {
        if self.left_out > 0 {
            _ = write!(
                self.out,
                "\n\n{} more piece{} of this summary had no room: see the stored run.\n",
                self.left_out,
                if self.left_out == 1 { "" } else { "s" }
            );
        }
        self.out
    }
}

fn verdict(told: &Told) -> String {
    format!("{}: {}", told.run.replace('`', ""), told.exit().meaning())
}

fn counts(told: &Told, cases: &[Case<'_>]) -> String {
    let of = |kind| {
        let counted = cases.iter().map(Case::worst);
        counted
            .filter(|worst| worst.counts_as() == kind && !worst.is_held())
            .count()
    };
    let held = cases.iter().filter(|case| case.worst().is_held()).count();
    let mixed = cases.iter().filter(|case| case.is_mixed()).count();
    let counts = [
        (of(Kind::Fail), "failed"),
        (of(Kind::Hang), "hung"),
        (of(Kind::Infra), "infra"),
        (of(Kind::Invalid), "invalid"),
        (told.missing.len(), "not run"),
        (held, "quarantined"),
        (mixed, "with more than one verdict"),
        (of(Kind::Pass), "passed"),
    ];
    let counts = counts.iter().filter(|(n, _)| *n > 0);
    let counts: Vec<_> = counts.map(|(n, word)| format!("{n} {word}")).collect();
    format!(
        "{} in {}, exit code {}.",
        if counts.is_empty() {
            "nothing".to_owned()
        } else {
            counts.join(", ")
        },
        seconds(told.took),
        told.exit().code()
    )
}

fn row(case: &Case<'_>) -> String {
    let worst = case.worst();
    let what = worst.verdict.findings.first();
    let what = what.map_or_else(String::new, |finding| {
        let first = finding.what.lines().next().unwrap_or_default();
        format!("{}: {}", finding.rule, clean(first))
    });
    let note = worst.quarantine.as_ref().map(crate::quarantine::note);
    let note = note.map_or_else(String::new, |note| format!(" ({note})"));
    let mixed = if case.is_mixed() {
        let bad = case
            .trials
            .iter()
            .filter(|trial| trial.verdict.kind != Kind::Pass);
        format!(", {} of {} trials", bad.count(), case.trials.len())
    } else {
        String::new()
    };
    format!(
        "| {} | {}{mixed} | {} |\n",
        inline(&case.name),
        worst.verdict.kind.word(),
        inline(&format!("{what}{note}")),
    )
}

fn details(case: &Case<'_>) -> String {
    let worst = case.worst();
    let place = case.place.map_or_else(String::new, |place| format!("{place}, "));
    format!(
        "<details><summary>{}</summary>\n\n{}seed {}\n\n<pre>\n{}</pre>\n\n</details>\n\n",
        html(&message(worst)),
        inline(&place),
        worst.seed,
        html(&scene_of(worst)),
    )
}

/// Text inside HTML.
fn html(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A mention would call somebody.
            '@' => out.push_str("&#64;"),
            c => out.push(c),
        }
    }
    out
}

/// Text inside a line of Markdown: punctuation means nothing.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            ' ' | ',' | '.' | ';' | '(' | ')' | '/' => out.push(c),
            c if c.is_ascii_punctuation() => _ = write!(out, "&#{};", u32::from(c)),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{html, inline};

    #[test]
    fn foreign_text_means_nothing() {
        assert_eq!(html("</pre>@all & x"), "&lt;/pre&gt;&#64;all &amp; x");
        assert_eq!(inline("a|b\n`c` #1"), "a&#124;b &#96;c&#96; &#35;1");
    }
}
