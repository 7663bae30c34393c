//! What a person reads: one bad trial for each rule, with all that all rules find in it.
//!
//! The texts are reviewed, one file for each rule, below `tests/goldens`. `cargo insta review` shows what has changed.

use std::fmt::Write as _;
use std::path::Path;

use crate::event::{Backend, FaultChange, Step, StepKind, Verb};
use crate::fault::{Cut, FaultKind, FaultPlan, Pattern, Target, Trigger};
use crate::invariant::testing::Trial;
use crate::invariant::{ALL, judge};
use crate::name::Key;
use crate::verdict::Verdict;

/// A bad trial.
type Story = fn() -> Trial;

const STORIES: &[(&str, Story)] = &[
    ("no-loss", || {
        // The broker dies with a report that it had promised to keep.
        let mut trial = begun(17);
        trial.tagged(17);
        trial.deliver("analysis", 17);
        kill_broker(&mut trial);
        trial
    }),
    ("dlq-exact", || {
        let mut trial = begun(17);
        trial.begin("fault-1", FaultKind::ReadOnly);
        let delivery = trial.deliver("tags", 17);
        trial.nack(delivery, false);
        trial.bury("tags", 17);
        end(&mut trial);
        trial.analysed(17);
        trial.rendered(17);
        trial
    }),
    ("effects-once", || {
        let mut trial = begun(17);
        trial.tagged(17);
        trial.deliver("analysis", 17);
        trial.write("analyzer", 17);
        trial.rows(17);
        trial.begin("fault-1", link("analyzer", Cut::Rst));
        trial.cut("analyzer");
        end(&mut trial);
        trial.analysed(17);
        trial.rendered(17);
        trial
    }),
    ("atomic", || {
        let mut trial = begun(17);
        trial.tagged(17);
        let delivery = trial.deliver("analysis", 17);
        trial.write("analyzer", 17);
        trial.rows(17);
        trial.begin("fault-1", FaultKind::CloseConnections);
        trial.announce(17);
        trial.ack(delivery);
        end(&mut trial);
        trial
    }),
    ("no-phantoms", || {
        let mut trial = begun(17);
        trial.begin("fault-1", FaultKind::CloseConnections);
        trial.processed(17);
        end(&mut trial);
        trial.end.links.push((18, "bin".into()));
        *trial.end.tags.get_mut("bin").unwrap() += 1;
        trial
    }),
    ("source-unchanged", || {
        let mut trial = begun(17);
        trial.begin("fault-1", FaultKind::LockRows);
        trial.processed(17);
        end(&mut trial);
        trial.end.source_after.insert(17, "another".into());
        trial
    }),
    ("event-fidelity", || {
        let mut trial = begun(17);
        trial.begin("fault-1", FaultKind::CloseConnections);
        trial.processed(17);
        end(&mut trial);
        let row = trial.end.source.get_mut(&17).unwrap();
        row.insert("description".into(), "another bin".into());
        trial
    }),
    ("explained-duplicates", || {
        let mut trial = begun(17);
        trial.processed(17);
        trial.begin("fault-1", link("analyzer", Cut::HalfOpen));
        let again = trial.deliver("tags", 17);
        trial.ack(again);
        end(&mut trial);
        trial
    }),
    ("ack-after-effect", || {
        let mut trial = begun(17);
        let delivery = trial.deliver("tags", 17);
        trial.begin("fault-1", FaultKind::LockTable);
        trial.ack(delivery);
        trial.write("tags", 17);
        end(&mut trial);
        trial.end.links.push((17, "bin".into()));
        trial.end.tags.insert("bin".into(), 1);
        trial.analysed(17);
        trial.rendered(17);
        trial
    }),
    ("publisher-honest", || {
        let mut trial = begun(17);
        trial.tagged(17);
        let delivery = trial.deliver("analysis", 17);
        trial.begin("fault-1", FaultKind::LockTable);
        trial.retry_unconfirmed("analyzer", "analysis", 17, 1);
        trial.ack(delivery);
        end(&mut trial);
        trial.wait_ms(1_000);
        let delivery = trial.deliver_retry("analysis", 17, Some(1));
        trial.write("analyzer", 17);
        trial.rows(17);
        let event = trial.announce(17);
        trial.confirm(event);
        trial.ack(delivery);
        trial.rendered(17);
        trial
    }),
    ("retries-bounded", || {
        let mut trial = begun(17);
        trial.begin("fault-1", FaultKind::ReadOnly);
        for _ in 0..50 {
            let delivery = trial.deliver("tags", 17);
            trial.nack(delivery, true);
        }
        end(&mut trial);
        trial.processed(17);
        trial
    }),
    ("sibling-isolation", || {
        let mut trial = begun(17);
        trial.begin("fault-1", FaultKind::ReadOnly);
        let delivery = trial.deliver("analysis", 17);
        trial.retry("analyzer", "analysis", 17, 1);
        trial.ack(delivery);
        trial.wait_ms(1_000);
        trial.tagged(17);
        let copy = trial.deliver_retry("tags", 17, Some(1));
        trial.ack(copy);
        end(&mut trial);
        let delivery = trial.deliver_retry("analysis", 17, Some(1));
        trial.write("analyzer", 17);
        trial.rows(17);
        let event = trial.announce(17);
        trial.confirm(event);
        trial.ack(delivery);
        trial.rendered(17);
        trial
    }),
    ("progress", || {
        let mut trial = begun(17);
        trial.begin("fault-1", link("analyzer", Cut::HalfOpen));
        trial.wait_ms(12_000);
        trial.tagged(17);
        end(&mut trial);
        trial.analysed(17);
        trial.rendered(17);
        trial
    }),
    ("prefetch-bounded", || {
        let mut trial = Trial::new();
        trial.begin("fault-1", FaultKind::CloseConnections);
        let deliveries: Vec<_> = (1..=9)
            .map(|seq| {
                trial.plan_report(seq, &[]);
                trial.inject(seq);
                trial.deliver("tags", seq)
            })
            .collect();
        trial.ack_all(&deliveries);
        end(&mut trial);
        for seq in 1..=9 {
            trial.analysed(seq);
            trial.rendered(seq);
        }
        trial
    }),
    ("durable-topology", || {
        let mut trial = begun(17);
        trial.begin("fault-1", FaultKind::CloseConnections);
        trial.processed(17);
        end(&mut trial);
        for n in 1..=trial.last() {
            trial.change(n, |step| {
                if let Step::Publish { message, .. } = step {
                    message.persistent = message.routing_key != "report.analysed";
                }
            });
        }
        trial
    }),
    ("process-alive", || {
        let mut trial = begun(17);
        trial.processed(17);
        kill_broker(&mut trial);
        trial.container("tags", "exited", Some(101));
        trial.end.services.get_mut("tags").unwrap().running = false;
        trial
    }),
    ("health-truth", || {
        let mut trial = Trial::new();
        trial.on(
            "tags",
            Step::Consume {
                queue: "report-tags".into(),
                consumer: "c".into(),
                no_ack: false,
            },
        );
        trial.health("tags", 200);
        trial.plan_kill("fault-1", Target::Broker, None);
        trial.fault("fault-1", FaultChange::Armed);
        trial.kill_broker();
        trial.bitten("fault-1");
        trial.wait_ms(20_000);
        trial.container("broker", "started", None);
        trial.on("tags", Step::Unblocked);
        end(&mut trial);
        trial
    }),
    ("graceful-stop", || {
        let mut trial = begun(17);
        trial.plan.faults.push(FaultPlan {
            id: "fault-1".into(),
            what: FaultKind::Restart {
                target: Target::Service("tags".into()),
            },
            when: Some(Trigger::nth(1, Pattern::new(StepKind::Statement))),
        });
        trial.fault("fault-1", FaultChange::Armed);
        trial.deliver("tags", 17);
        let statement = trial.db(
            "tags",
            Step::Statement {
                verb: Verb::Select,
                sql: "SELECT ts FROM reports WHERE seq = ?".into(),
                prepared: true,
                keys: vec![Key::from(17)],
            },
        );
        trial.fault("fault-1", FaultChange::Fired { by: statement });
        trial.leave("tags");
        trial.container("tags", "stopped", Some(0));
        trial.bitten("fault-1");
        trial.container("tags", "started", None);
        end(&mut trial);
        trial.processed(17);
        trial
    }),
    ("reconnects-bounded", || {
        let mut trial = begun(17);
        trial.processed(17);
        trial.plan_kill("fault-1", Target::Broker, None);
        trial.fault("fault-1", FaultChange::Armed);
        trial.kill_broker();
        trial.bitten("fault-1");
        for _ in 0..200 {
            trial.dial_in_vain("analyzer", Backend::Broker);
        }
        trial.container("broker", "started", None);
        end(&mut trial);
        trial
    }),
    ("recovered", || {
        let mut trial = begun(17);
        trial.processed(17);
        kill_broker(&mut trial);
        trial.end.queues.get_mut("report-tags").unwrap().consumers = 0;
        trial
    }),
    ("at-rest", || {
        let mut trial = begun(17);
        trial.begin("fault-1", FaultKind::LockRows);
        trial.tagged(17);
        trial.deliver("analysis", 17);
        trial.write("analyzer", 17);
        trial.rows(17);
        let event = trial.announce(17);
        trial.confirm(event);
        trial.rendered(17);
        end(&mut trial);
        trial
    }),
    ("not-vacuous", || {
        let mut trial = begun(17);
        trial.processed(17);
        trial.plan.faults.push(FaultPlan {
            id: "fault-1".into(),
            what: link("tags", Cut::Rst),
            when: Some(Trigger::nth(30, Pattern::new(StepKind::Ack))),
        });
        trial.fault("fault-1", FaultChange::Armed);
        trial.recovered(1);
        trial
    }),
];

/// A report that is in the queues of analyzer and tags.
fn begun(seq: u64) -> Trial {
    let mut trial = Trial::new();
    trial.plan_report(seq, &["bin"]);
    trial.inject(seq);
    trial
}

fn link(service: &str, how: Cut) -> FaultKind {
    FaultKind::CutLink {
        service: service.into(),
        backend: Backend::Broker,
        how,
    }
}

fn kill_broker(trial: &mut Trial) {
    trial.plan_kill("fault-1", Target::Broker, None);
    trial.fault("fault-1", FaultChange::Armed);
    trial.kill_broker();
    trial.bitten("fault-1");
    trial.container("broker", "started", None);
    end(trial);
}

/// The fault is healed and the canary comes through.
fn end(trial: &mut Trial) {
    trial.healed("fault-1");
    trial.recovered(800);
}

/// The findings as a person reads them.
fn read(trial: &Trial) -> String {
    let mut text = String::new();
    for finding in Verdict::of(judge(&trial.evidence())).findings {
        writeln!(text, "{} {}: {}", finding.kind.word(), finding.rule, finding.what).unwrap();
        if !finding.keys.is_empty() {
            let keys: Vec<_> = finding.keys.iter().map(Key::as_str).collect();
            writeln!(text, "  reports {}", keys.join(", ")).unwrap();
        }
        if !finding.events.is_empty() {
            let events: Vec<_> = finding.events.iter().map(|n| format!("#{n}")).collect();
            writeln!(text, "  events {}", events.join(" ")).unwrap();
        }
    }
    text
}

#[test]
fn findings_read_as_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (rule, story) in STORIES {
        let text = read(&story());
        assert!(text.contains(&format!(" {rule}: ")), "{rule}:\n{text}");
        // The fault is called what it does. What makes a trial invalid is no story of the pipeline.
        assert!(
            *rule == "not-vacuous" || text.contains("fault-1"),
            "{rule}:\n{text}"
        );
        settings.bind(|| insta::assert_snapshot!(*rule, text));
    }
}

#[test]
fn each_rule_has_a_story() {
    let told: Vec<_> = STORIES.iter().map(|(rule, _)| *rule).collect();
    for invariant in ALL {
        assert!(told.contains(&invariant.id), "{}", invariant.id);
    }
    assert_eq!(told.len(), ALL.len());
}
