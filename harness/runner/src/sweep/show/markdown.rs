//! The report as Markdown: a heading for each scenario, and what is known of it in a fence.

use std::fmt::Write as _;

use super::super::Sweep;
use super::super::history::Line;
use super::{Place, about, cell, gaps, rows, told};
use crate::report::scene::plain;

/// The report as text.
pub(crate) fn markdown(sweep: &Sweep, history: &[Line], notes: &[String], place: &Place<'_>) -> String {
    let mut text = String::from("# Sweep\n\n");
    let facts: Vec<_> = about(sweep).into_iter().chain(gaps(sweep, notes)).collect();
    text.push_str(&fenced(&facts));
    for row in rows(sweep, history) {
        _ = writeln!(
            text,
            "\n### {}: {}\n\n{}\n",
            row.class.word(),
            heading(row.name),
            told(row.counts)
        );
        let strip: String = row.trials.iter().map(|trial| cell(trial.verdict)).collect();
        let mut lines = vec![strip];
        lines.extend(row.says(place).iter().map(ToString::to_string));
        text.push_str(&fenced(&lines));
    }
    text
}

/// Lines in a fence that is longer than any run of backticks in them.
fn fenced(lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| plain(line)).collect();
    let longest = lines.iter().map(|line| longest_run(line)).max().unwrap_or(0);
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}text\n{}\n{fence}\n", lines.join("\n"))
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`');
    runs.map(str::len).max().unwrap_or(0)
}

/// A scenario's name in a heading: nothing but what names of scenarios are made of.
fn heading(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_:-./".contains(c);
    name.chars().map(|c| if plain(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::sweep;
    use super::{fenced, heading, markdown};

    #[test]
    fn each_scenario_has_a_heading_and_a_fence() {
        let mut sweep = sweep(6, 1);
        sweep.revision = "a\n```\n@all <b>".to_owned();
        let text = markdown(&sweep, &[], &["a `note`".to_owned()], &|_, _| None);
        assert_eq!(
            text,
            "# Sweep\n\n````text\nseed 1, revision a```@all <b>, 7 trials\nvaried: seed, latency\nshard 2 is missing\n\
             not in here are a::d\nno trial of a::c was run\na `note`\n````\n\n\
             ### flaky: a::b\n\n1 of 7 failed, between 2.6 % and 51.3 %\n\n\
             ```text\n......F\nfirst failure: trial 7, seed 47, latency 7 ms\n\
             it showed: no-loss: report 7 is nowhere\n```\n"
        );
        assert_eq!(heading("a::b <i>@x`\n"), "a::b??i??x??");
    }

    proptest! {
        #[test]
        fn a_fence_cannot_be_closed_from_inside(lines in prop::collection::vec("[`~ a\n\r\u{85}\u{2028}]{0,12}", 0..5)) {
            let text = fenced(&lines);
            let fence = text.split("text").next().unwrap();
            let of_text: Vec<_> = text.lines().collect();
            let inside = &of_text[1..of_text.len() - 1];
            prop_assert!(fence.len() >= 3 && inside.len() == lines.len().max(1), "{text}");
            for line in inside {
                prop_assert!(!line.contains(fence), "{text}");
            }
        }
    }
}
