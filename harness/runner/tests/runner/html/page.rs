//! The page as text: what it says, what it escapes, how large it gets, what it says of damage.

use std::fs;
use std::time::Duration;

use camino::Utf8Path;
use harness_model::verdict::{Finding, Kind};
use harness_runner::exit::Exit;
use harness_runner::html;
use tempfile::TempDir;

use super::told::{Told, lost, run};
use crate::cli::harness;
use crate::{golden, path};

/// The page of a run's folder.
pub(super) fn page(dir: &Utf8Path) -> String {
    let doc = |name: &str| (name == "service::killed").then(|| "work <begun> is begun again".to_owned());
    let page = html::write(dir, &doc, None).unwrap();
    fs::read_to_string(page.path).unwrap()
}

/// What a reader sees: without tags, pictures and looks, a line each.
fn text(page: &str) -> String {
    let mut out = String::new();
    let mut rest = page;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        let (tag, after) = tag.split_once('>').unwrap_or((tag, ""));
        let name: String = tag.chars().take_while(char::is_ascii_alphanumeric).collect();
        rest = match name.as_str() {
            "style" | "svg" => after
                .split_once(&format!("</{name}>"))
                .map_or("", |(_, after)| after),
            _ => after,
        };
        if !matches!(name.as_str(), "b" | "span" | "small" | "a" | "i" | "code" | "") {
            out.push('\n');
        }
        if tag.starts_with("/td") || tag.starts_with("/th") || tag.starts_with("/dt") {
            out.push('\t');
        }
    }
    out.push_str(rest);
    let lines = out
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines = lines.filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_failed_trial_reads_as_reviewed() {
    let out = TempDir::new().unwrap();
    let run = run(path(&out));
    let (told, finding) = lost();
    told.store(&run, vec![finding]);
    let mut passed = Told::new("flow::happy");
    passed.report(1);
    passed.store(&run.part("as-is").unwrap(), Vec::new());
    golden(
        "report",
        &text(&page(&run.dir)).replace(path(&out).canonicalize_utf8().unwrap().as_str(), "OUT"),
    );
}

#[test]
fn the_page_asks_for_nothing_and_escapes_what_is_foreign() {
    let out = TempDir::new().unwrap();
    let run = run(path(&out));
    let (told, finding) = lost();
    let finding = Finding {
        what: "<img src=x onerror=alert(1)> \u{1b}[31mred\u{202e}".to_owned(),
        ..finding
    };
    told.store(&run, vec![finding]);
    let page = page(&run.dir);
    for forbidden in [
        "<script",
        "<img",
        "<b>::error",
        "src=",
        "http://",
        "https://",
        "@import",
        "url(",
        "\u{1b}",
        "\u{202e}",
        "<begun>",
    ] {
        let found = page
            .find(forbidden)
            .map(|at| &page[at.saturating_sub(80)..(at + 80).min(page.len())]);
        let escaped = forbidden == "src=" && found.is_some_and(|found| found.contains("&lt;img src=x"));
        assert!(found.is_none() || escaped, "{forbidden} in {found:?}");
    }
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt; red"));
    assert!(page.contains("default-src 'none'"));
    assert!(page.ends_with("</main></body></html>\n"));
}

#[test]
fn what_is_damaged_is_said_and_the_rest_is_shown() {
    let out = TempDir::new().unwrap();
    let run = run(path(&out));
    let (told, finding) = lost();
    let dir = told.store(&run, vec![finding]);
    let whole = |name: &str| fs::read(dir.join(name)).unwrap();
    let (ledger, verdict, plan) = (whole("ledger.jsonl"), whole("verdict.json"), whole("plan.json"));

    fs::write(dir.join("ledger.jsonl"), &ledger[..ledger.len() / 2]).unwrap();
    let cut = text(&page(&run.dir));
    assert!(cut.contains("What could not be read"), "{cut}");
    assert!(
        cut.contains("cut off after") && cut.contains("events before it are shown"),
        "{cut}"
    );
    assert!(cut.contains("no-loss"), "the verdict is whole");

    fs::write(dir.join("ledger.jsonl"), &ledger).unwrap();
    fs::remove_file(dir.join("verdict.json")).unwrap();
    let none = text(&page(&run.dir));
    assert!(
        none.contains("1 no verdict") && none.contains("there is no verdict.json"),
        "{none}"
    );
    assert!(
        none.contains("Where did it die"),
        "the ledger still shows what came to no end: {none}"
    );

    fs::write(dir.join("verdict.json"), &verdict).unwrap();
    fs::write(dir.join("plan.json"), &plan[..40]).unwrap();
    let blind = text(&page(&run.dir));
    assert!(blind.contains("plan.json is damaged in line"), "{blind}");
    assert!(
        blind.contains("report-tags"),
        "lanes are told from the ledger alone: {blind}"
    );

    for name in [
        "ledger.jsonl",
        "plan.json",
        "end_state.json",
        "env.json",
        "verdict.json",
    ] {
        fs::write(dir.join(name), "\u{0}{").unwrap();
    }
    let nothing = text(&page(&run.dir));
    assert!(nothing.contains("There are no events to draw"), "{nothing}");
    assert!(
        nothing.contains("service::killed"),
        "its folder still says what it was"
    );
}

/// Ten thousand reports, fifty of which are stuck and blamed.
pub(super) fn many() -> (Told, Vec<Finding>) {
    let mut told = Told::new("flow::many");
    told.step = 20_000;
    told.plan_kill("kill-tags", 2);
    let mut findings = Vec::new();
    for seq in 1..=10_000_u64 {
        if seq == 5_000 {
            findings.push(told.killed_holding(seq));
            told.connect("tags", 13);
        } else if seq % 201 == 200 {
            let key = told.inject(seq);
            let n = told.events.len() as u64;
            told.deliver("tags", &key);
            let what =
                format!("report {seq} was confirmed and has no effect; last seen at #{n}, delivered to tags");
            findings.push(
                Finding::new(Kind::Fail, "no-loss", what)
                    .about([key])
                    .shown_by([n]),
            );
        } else {
            told.report(seq);
        }
    }
    (told, findings)
}

#[test]
fn ten_thousand_reports_are_a_page_of_less_than_5_mb() {
    let out = TempDir::new().unwrap();
    let run = run(path(&out));
    let (told, findings) = many();
    assert_eq!(findings.len(), 50);
    told.store(&run, findings);
    let page = page(&run.dir);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    let text = text(&page);
    assert!(text.contains("9,950 reports that ended well are shown as bands; 50 reports have a row each"));
    assert!(text.contains("50 reports that a rule blames, or that came to no end"));
    assert!(
        text.contains("\n!200 ") && text.contains("\n201 "),
        "everyone has a line"
    );
}

#[test]
fn a_page_of_many_trials_draws_what_did_not_pass_and_says_what_it_leaves_out() {
    let out = TempDir::new().unwrap();
    let run = run(path(&out));
    let (told, finding) = lost();
    told.store(&run, vec![finding]);
    let names: Vec<_> = (10..40).map(|n| format!("flow::many_{n}")).collect();
    for name in &names {
        let mut told = Told::new(name);
        told.step = 20_000;
        (1..=1_500).for_each(|seq| told.report(seq));
        told.store(&run, Vec::new());
    }
    let page = page(&run.dir);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    let text = text(&page);
    let left_out = text
        .matches("Not drawn: it passed, and this page has 4 MB by now")
        .count();
    assert!(
        (1..names.len()).contains(&left_out),
        "{left_out} of {}",
        names.len()
    );
    assert!(text.contains("flow.many_39 draws it"), "{text}");
    assert!(
        text.contains("1 fail") && text.contains("30 pass"),
        "the counts are of all"
    );
}

#[test]
fn ten_thousand_lost_reports_are_all_named() {
    let out = TempDir::new().unwrap();
    let run = run(path(&out));
    let mut told = Told::new("flow::lost");
    told.step = 20_000;
    let mut findings = Vec::new();
    for seq in 1..=10_000_u64 {
        let key = told.inject(seq);
        let n = told.events.len() as u64;
        let what =
            format!("report {seq} was confirmed and is nowhere; confirmed at #{n}, never delivered to tags");
        findings.push(
            Finding::new(Kind::Fail, "no-loss", what)
                .about([key])
                .shown_by([n]),
        );
    }
    told.store(&run, findings);
    let page = page(&run.dir);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    let text = text(&page);
    assert!(
        text.contains("1-10000"),
        "the line of those that died alike names them all"
    );
    assert!(
        text.contains("report 10000 was confirmed"),
        "and each finding has its sentence"
    );
}

#[test]
fn the_command_writes_it_and_says_where() {
    let out = TempDir::new().unwrap();
    let none = harness(&out, "report");
    assert_eq!(none.exit, Exit::Refused);
    assert_eq!(harness(&out, "--seed 1 judge::").exit, Exit::Failed);
    let said = harness(&out, "report");
    assert_eq!((said.exit, &*said.err), (Exit::Passed, ""));
    let run = path(&out).join("latest").canonicalize_utf8().unwrap();
    assert!(
        said.out.starts_with(&format!("{run}/report.html  (3 trials, ")),
        "{}",
        said.out
    );
    let text = text(&fs::read_to_string(run.join("report.html")).unwrap());
    assert!(text.contains("1 fail 1 infra 1 pass"), "worst first: {text}");
    assert!(
        text.contains("Everything is well."),
        "the scenario's own words: {text}"
    );

    let one = harness(
        &out,
        &format!("report {run}/judge.loses --out {}/one.html", path(&out)),
    );
    assert_eq!(one.exit, Exit::Passed, "{}", one.err);
    assert!(
        one.out
            .starts_with(&format!("{}/one.html  (1 trial, ", path(&out))),
        "{}",
        one.out
    );

    fs::create_dir(path(&out).join("empty")).unwrap();
    let empty = harness(&out, &format!("report {}/empty", path(&out)));
    assert_eq!(empty.exit, Exit::NothingSelected);
    let nowhere = harness(&out, &format!("report {run} --out /proc/nowhere/x.html"));
    assert_eq!(nowhere.exit, Exit::Refused);
    assert!(
        nowhere.err.contains("hint: name another file with --out"),
        "{}",
        nowhere.err
    );
}

/// How long a browser may take to open the largest page.
pub(super) const OPENS: Duration = Duration::from_secs(2);
