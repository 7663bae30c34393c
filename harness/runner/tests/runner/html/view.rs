//! What is shown, as values: deaths, lanes, bars, levels, topology.

use harness_model::event::Step;
use harness_model::fault::MessageState;
use harness_model::invariant::Account;
use harness_model::verdict::{Finding, Kind};
use harness_runner::html::deaths::{deaths, groups};
use harness_runner::html::lanes::{Lane, idle, lanes};
use harness_runner::html::lives::{EACH, OPEN, list, rows};
use harness_runner::html::plots::{BINS, latencies, plots};
use harness_runner::html::span::Span;
use harness_runner::html::wiring;

use super::told::{MS, Told, lost};

fn looks(lane: &Lane) -> Vec<&str> {
    lane.bars.iter().map(|bar| bar.look).collect()
}

#[test]
fn a_death_says_which_report_which_step_and_which_fault() {
    let (told, finding) = lost();
    let evidence = told.evidence();
    let account = Account::of(&evidence);
    let ack = finding.events[0];
    let found = deaths(&evidence, &account, &[finding]);
    assert_eq!(found.len(), 1, "{found:#?}");
    let death = &found[0];
    assert_eq!((death.key.as_str(), death.step.as_str()), ("2", "ack"));
    assert_eq!(death.point.map(|point| point.n), Some(ack));
    assert_eq!(
        (death.queue.as_deref(), death.by.as_deref()),
        (Some("tags"), Some("tags"))
    );
    assert_eq!(death.state, Some(MessageState::A0), "its ack was cut");
    let fault = death.fault.as_deref().unwrap();
    assert!(
        fault.contains("SIGKILL of tags (kill-tags, bitten at #"),
        "{fault}"
    );
    // Without a finding it still is the one that came to no end, and nobody is blamed.
    let open = deaths(&evidence, &account, &[]);
    assert_eq!((open.len(), open[0].rules.len()), (1, 0));
    // What is about the harness blames no report.
    let invalid = Finding::new(Kind::Invalid, "body", "did not bite").about(["1".into()]);
    assert_eq!(deaths(&evidence, &account, &[invalid]).len(), 1);
}

#[test]
fn a_blamed_report_that_nobody_ever_saw_is_there() {
    let told = Told::new("flow::empty");
    let evidence = told.evidence();
    let account = Account::of(&evidence);
    let finding = Finding::new(Kind::Fail, "no-loss", "report 9 is nowhere").about(["9".into()]);
    let found = deaths(&evidence, &account, &[finding]);
    assert_eq!((found[0].step.as_str(), found[0].point), ("never seen", None));
    let rows = rows(&account, &found, Span::of(&told.events));
    assert_eq!(rows.single.len(), 1);
}

#[test]
fn what_died_alike_is_one_group_with_all_its_keys() {
    let mut told = Told::new("flow::stuck");
    for key in 1..=100 {
        let key = told.inject(key);
        if key.seq() > Some(60) {
            told.deliver("tags", &key);
        }
    }
    let evidence = told.evidence();
    let account = Account::of(&evidence);
    let found = deaths(&evidence, &account, &[]);
    let groups = groups(&found);
    let sizes: Vec<_> = groups.iter().map(|group| group.keys.len()).collect();
    assert_eq!(sizes, [60, 40], "{groups:#?}");
    assert!(groups[0].until > groups[0].like.point);
}

#[test]
fn each_thing_has_a_lane_that_says_how_it_fared() {
    let (told, _) = lost();
    let evidence = told.evidence();
    let account = Account::of(&evidence);
    let lanes = lanes(&told.events, Some(&told.plan), &account.faults);
    let lane = |kind: &str, name: &str| {
        let found = lanes.iter().find(|lane| lane.kind == kind && lane.name == name);
        found.unwrap_or_else(|| panic!("no lane {kind} {name}"))
    };
    let names: Vec<_> = lanes.iter().map(|lane| (lane.kind, lane.name.as_str())).collect();
    assert_eq!(
        names,
        [
            ("phase", "phases"),
            ("fault", "kill-tags"),
            ("service", "analyzer"),
            ("service", "renderer"),
            ("service", "tags"),
            ("queue", "analysis"),
            ("queue", "renderer"),
            ("queue", "tags"),
            ("backend", "broker"),
            ("backend", "database"),
        ]
    );
    let fault = lane("fault", "kill-tags");
    assert_eq!(looks(fault), ["armed", "fired", "force", "recovery"]);
    assert!(
        fault
            .note
            .starts_with("SIGKILL of tags, at ack number 2 by tags: bitten at "),
        "{}",
        fault.note
    );
    assert_eq!(
        looks(lane("service", "tags")),
        ["off", "cut", "up", "down", "cut", "up"]
    );
    assert_eq!(looks(lane("service", "analyzer")), ["cut", "up"]);
    assert_eq!(looks(lane("queue", "tags")), ["off", "up", "cut", "up"]);
    assert_eq!(looks(lane("backend", "broker")), ["up"]);
    let held = lane("service", "tags")
        .marks
        .iter()
        .filter(|mark| mark.look == "held");
    assert_eq!(held.count(), 1);
    // Bars of a lane follow each other without holes.
    for lane in lanes.iter().filter(|lane| lane.kind == "service") {
        let whole: u64 = lane.bars.iter().map(|bar| bar.span.length()).sum();
        assert_eq!(whole, Span::of(&told.events).length(), "{}", lane.name);
    }
    assert_eq!(
        lane("queue", "analysis")
            .density(Span::of(&told.events))
            .iter()
            .sum::<u32>(),
        1
    );
}

#[test]
fn lanes_are_told_without_a_plan_and_of_faults_that_never_fired() {
    let mut told = Told::new("service::killed");
    told.plan_kill("kill-tags", 99);
    told.report(1);
    let lanes_of = |plan| {
        lanes(&told.events, plan, &[])
            .into_iter()
            .map(|lane| lane.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(lanes_of(Some(&told.plan)).len(), 10);
    assert!(
        lanes_of(None).contains(&"report-tags".to_owned()),
        "queues have the names of the broker"
    );
    let idle = idle(&told.events, Some(&told.plan), &[]);
    assert_eq!(idle.len(), 1);
    assert!(
        idle[0]
            .words
            .starts_with("SIGKILL of tags, at ack number 99 by tags: armed at "),
        "{}",
        idle[0].words
    );
}

#[test]
fn few_reports_have_a_row_each_and_many_are_bands() {
    let mut told = Told::new("flow::many");
    let many = EACH as u64 * 4;
    for key in 1..=many {
        told.report(key);
    }
    let stuck = told.inject(many + 1);
    told.deliver("tags", &stuck);
    let evidence = told.evidence();
    let account = Account::of(&evidence);
    let whole = Span::of(&told.events);
    let found = deaths(&evidence, &account, &[]);
    let all = rows(&account, &found, whole);
    assert_eq!((all.single.len(), all.unwell.len()), (1, 0));
    assert_eq!(all.single[0].keys, [&stuck]);
    assert_eq!(
        all.well.iter().map(|row| row.keys.len()).sum::<usize>() as u64,
        many
    );
    assert_eq!(all.queues, ["analysis", "renderer", "tags"]);
    // A band reaches from the first of its reports to the last.
    let band = &all.well[0].strands[0];
    let first = account
        .lives
        .iter()
        .find(|life| life.key == *all.well[0].keys[0])
        .unwrap();
    assert!(
        band.parts
            .iter()
            .any(|part| part.span.from == first.stages[0].point.at)
    );
    // An open bar lasts to the end of the trial.
    let open = all.single[0]
        .strands
        .iter()
        .find(|strand| strand.queue == "tags")
        .unwrap();
    assert_eq!(
        open.parts.last().map(|part| (part.look, part.span.to)),
        Some(("open", whole.to))
    );
    assert_eq!(open.ended, None);
    // And everyone has a line.
    let text = list(&account, &found);
    assert_eq!(text.lines().count() as u64, many + 1);
    assert!(
        text.lines().last().unwrap().starts_with(&format!("!{stuck}")),
        "{text}"
    );
    assert!(text.lines().last().unwrap().contains("tags D "), "{text}");
}

#[test]
fn too_many_that_did_badly_are_bands_too_and_none_is_forgotten() {
    let mut told = Told::new("flow::stuck");
    let many = OPEN as u64 + 50;
    for key in 1..=many {
        told.inject(key);
    }
    let evidence = told.evidence();
    let account = Account::of(&evidence);
    let found = deaths(&evidence, &account, &[]);
    let all = rows(&account, &found, Span::of(&told.events));
    assert_eq!((all.single.len(), all.well.len()), (0, 0));
    assert_eq!(
        all.unwell.iter().map(|row| row.keys.len()).sum::<usize>() as u64,
        many
    );
}

#[test]
fn plots_count_what_the_ledger_holds() {
    let mut told = Told::new("flow::two");
    told.step = 0;
    let base = told.now();
    told.wait(100);
    let one = told.inject(1);
    told.wait(100);
    let first = told.deliver("tags", &one);
    let two = told.inject(2);
    told.wait(100);
    told.ack("tags", &one, first);
    told.wait(100);
    let second = told.deliver("tags", &two);
    told.wait(300);
    told.ack("tags", &two, second);
    told.wait(100);
    told.phase("heal");
    let evidence = told.evidence();
    let account = Account::of(&evidence);
    let span = Span::new(base, told.now());
    let plots = plots(&account, span);
    let values = |title: &str, line: &str| {
        let plot = plots.iter().find(|plot| plot.title == title).unwrap();
        plot.lines
            .iter()
            .find(|found| found.name == line)
            .unwrap()
            .values
            .clone()
    };
    let at = |ms: u64| span.bin(base + ms * MS, BINS).unwrap();
    let (depth, unacked) = (values("Depth", "tags"), values("Unacknowledged", "tags"));
    for (ms, ready, held) in [
        (50, 0.0, 0.0),
        (150, 1.0, 0.0),
        (250, 1.0, 1.0),
        (350, 1.0, 0.0),
        (500, 0.0, 1.0),
        (790, 0.0, 0.0),
    ] {
        assert_eq!(
            (depth[at(ms)], unacked[at(ms)]),
            (Some(ready), Some(held)),
            "at {ms} ms"
        );
    }
    let rate: f64 = values("Deliveries", "tags").into_iter().flatten().sum();
    let part = span.length() as f64 / BINS as f64 / 1e9;
    assert!((rate * part - 2.0).abs() < 1e-6, "{rate}");
    assert_eq!(values("Latency, p50", "tags")[at(300)], Some(200.0));
    assert_eq!(values("Latency, p99", "tags")[at(700)], Some(500.0));
    let latencies = latencies(&account);
    assert_eq!((latencies.len(), latencies[0].count), (1, 2));
    assert_eq!(
        (latencies[0].p50, latencies[0].p99, latencies[0].max),
        (200 * MS, 500 * MS, 500 * MS)
    );
}

#[test]
fn what_is_not_as_it_was_asked_for_is_odd() {
    let (mut told, _) = lost();
    told.end.services.get_mut("renderer").unwrap().running = false;
    told.end.services.get_mut("renderer").unwrap().exit = Some(2);
    told.end.queues.get_mut("report-analyze").unwrap().ready = 4;
    told.end.queues.remove("report-renderer.retry");
    let evidence = told.evidence();
    let queues = wiring::queues(&evidence);
    let odd: Vec<_> = queues
        .iter()
        .filter(|row| row.ready.odd || row.consumers.odd)
        .map(|row| {
            (
                row.name.as_str(),
                row.ready.text.as_str(),
                row.consumers.text.as_str(),
            )
        })
        .collect();
    assert_eq!(
        odd,
        [
            ("report-analyze", "4", "1"),
            ("report-renderer.retry", "not seen", "not seen"),
            ("report-tags", "0", "0"),
        ]
    );
    assert_eq!(queues[0].before, "cleanapp/report.raw → analyzer");
    let services = wiring::services(&evidence);
    let odd: Vec<_> = services
        .iter()
        .filter(|row| row.state.odd)
        .map(|row| row.state.text.as_str())
        .collect();
    assert_eq!(odd, ["ended with 2"]);
}

#[test]
fn a_queue_that_waits_shows_no_level_below_zero() {
    let mut told = Told::new("flow::seen");
    let key = "7".into();
    // A delivery of what nobody saw published.
    told.deliver("tags", &key);
    told.say(Step::Note {
        text: "end".to_owned(),
    });
    let evidence = told.evidence();
    let account = Account::of(&evidence);
    let plots = plots(&account, Span::of(&told.events));
    let values = plots
        .iter()
        .flat_map(|plot| &plot.lines)
        .flat_map(|line| line.values.iter().flatten());
    assert!(values.copied().all(|value| value >= 0.0));
}
