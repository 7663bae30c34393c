//! What no service can be blamed for: queues that nobody consumes, the harness' own traffic, and acknowledgements that
//! the broker may not have read before their connection was gone.

use crate::event::{Backend, Ending, Message, Side, Step};
use crate::fault::{Cut, FaultKind};
use crate::invariant::testing::{Trial, accepted, found};
use crate::name::{Key, Name};

/// A trial with a queue that nobody consumes, bound like the others.
fn with_sink() -> Trial {
    let mut trial = Trial::new();
    let mut sink = trial.plan.topology.queues["tags"].clone();
    sink.name = "ownership".into();
    sink.bind = vec!["raw".into(), "analysed".into()];
    (sink.sink, sink.retry, sink.dead_letter) = (true, None, None);
    trial.plan.topology.queues.insert("ownership".into(), sink);
    let mut state = trial.end.queues["report-tags"].clone();
    (state.ready, state.consumers) = (2, 0);
    trial.end.queues.insert("ownership".into(), state);
    trial
}

#[test]
fn a_sink_keeps_its_messages_and_has_no_consumers() {
    let mut trial = with_sink();
    trial.report(1);
    accepted(&trial);
    trial.end.queues.get_mut("ownership").unwrap().stable = false;
    accepted(&trial);
}

#[test]
fn a_sink_beside_them_excuses_no_other_queue() {
    let mut trial = with_sink();
    trial.report(1);
    let queue = trial.end.queues.get_mut("report-tags").unwrap();
    (queue.ready, queue.consumers) = (1, 0);
    trial.end.links.clear();
    trial.end.tags.clear();
    for rule in ["at-rest", "recovered", "no-loss"] {
        assert_eq!(found(rule, &trial).len(), 1, "{rule}");
    }
    // It has to be read like any other, or nobody could say how much is in it.
    trial.end.queues.remove("ownership");
    let told = found("not-vacuous", &trial);
    assert_eq!(told[0].what, "not collected: queue ownership");
}

/// Takes a message out of a queue on the harness' link, as `basic.get` does.
fn take(trial: &mut Trial, queue: &str, seq: u64) -> u64 {
    let message = Message {
        key: Some(Key::from(seq)),
        persistent: true,
        ..Message::default()
    };
    let step = Step::Deliver {
        tag: 1000 + trial.last(),
        consumer: Name::from(""),
        queue: Some(queue.into()),
        redelivered: false,
        message,
    };
    trial.on("harness", step)
}

#[test]
fn what_the_harness_looks_at_is_no_delivery_to_a_service() {
    let mut trial = Trial::new();
    trial.plan_report(1, &["bin"]);
    trial.inject(1);
    // More often than a service might, each time put back, and once kept until its channel is gone.
    for _ in 0..9 {
        let delivery = take(&mut trial, "report-tags", 1);
        trial.nack(delivery, true);
    }
    take(&mut trial, "report-tags", 1);
    trial.leave("harness");
    trial.processed(1);
    accepted(&trial);
}

#[test]
fn an_acknowledgement_of_the_harness_is_no_proof_of_work() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.inject(1);
    trial.analysed(1);
    trial.rendered(1);
    let delivery = take(&mut trial, "report-tags", 1);
    trial.ack(delivery);
    let told = found("no-loss", &trial);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0].what.contains("never delivered to tags"),
        "{}",
        told[0].what
    );
    trial.tagged(1);
    accepted(&trial);
}

#[test]
fn a_delivery_to_the_harness_explains_no_second_one_to_a_service() {
    let mut trial = Trial::new();
    trial.report(1);
    let delivery = take(&mut trial, "report-tags", 1);
    trial.nack(delivery, true);
    let delivery = trial.deliver("tags", 1);
    trial.ack(delivery);
    assert_eq!(found("explained-duplicates", &trial).len(), 1);
}

#[test]
fn what_the_harness_acknowledges_needs_no_effect_before() {
    let mut trial = Trial::new();
    trial.plan_report(1, &["bin"]);
    trial.inject(1);
    let delivery = take(&mut trial, "report-analyze", 1);
    trial.ack(delivery);
    trial.inject(1);
    trial.processed(1);
    let delivery = trial.deliver("tags", 1);
    trial.ack(delivery);
    accepted(&trial);
}

#[test]
fn what_the_harness_sends_past_the_services_is_no_retry_of_theirs() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.inject(1);
    // Far beyond what a consumer may count to, and more often than it may retry.
    for _ in 0..5 {
        trial.retry("harness", "tags", 1, 99);
    }
    trial.processed(1);
    trial.wait_ms(1000);
    for _ in 0..5 {
        let delivery = trial.deliver_retry("tags", 1, Some(99));
        trial.ack(delivery);
    }
    accepted(&trial);
}

#[test]
fn what_the_harness_declares_may_be_transient() {
    let mut trial = Trial::new();
    let declare = Step::Declare {
        what: "queue".into(),
        name: "report-tags".into(),
        durable: false,
        passive: false,
    };
    trial.on("harness", declare.clone());
    accepted(&trial);
    trial.on("tags", declare);
    assert_eq!(found("durable-topology", &trial).len(), 1);
}

/// How a service's link to the broker may end without a word.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Rst,
    Fin,
    Kill,
}

fn lose(trial: &mut Trial, loss: Loss) {
    let cut = |how| Step::Disconnect {
        to: Backend::Broker,
        by: Side::Tap,
        how,
    };
    match loss {
        Loss::Rst => drop(trial.cut("tags")),
        Loss::Fin => {
            trial.on("tags", cut(Ending::Fin));
            trial.cut("tags");
        }
        Loss::Kill => drop(trial.kill_broker()),
    }
}

#[test]
fn an_acknowledgement_just_before_the_end_may_not_have_been_read() {
    for loss in [Loss::Rst, Loss::Fin, Loss::Kill] {
        for mut trial in [Trial::new(), Trial::quorum()] {
            let kind = trial.plan.topology.queues["tags"].kind;
            trial.plan_report(1, &["bin"]);
            trial.inject(1);
            trial.processed(1);
            lose(&mut trial, loss);
            let again = trial.deliver("tags", 1);
            trial.ack(again);
            accepted(&trial);
            // It explains one more delivery, and no second one on a link that stands.
            trial.deliver("tags", 1);
            let told = found("explained-duplicates", &trial);
            assert_eq!(told.len(), 1, "{loss:?} on {kind:?}");
        }
    }
}

#[test]
fn a_rejection_just_before_the_end_may_not_have_been_read_either() {
    for loss in [Loss::Rst, Loss::Fin, Loss::Kill] {
        for mut trial in [Trial::new(), Trial::quorum()] {
            trial.plan_poison("p", &["tags"]);
            trial.inject("p");
            let delivery = trial.deliver("tags", "p");
            trial.nack(delivery, false);
            lose(&mut trial, loss);
            let delivery = trial.deliver("tags", "p");
            trial.nack(delivery, false);
            trial.bury("tags", "p");
            assert!(found("explained-duplicates", &trial).is_empty(), "{loss:?}");
            assert!(found("dlq-exact", &trial).is_empty(), "{loss:?}");
        }
    }
}

/// The tags service acknowledges, then nothing happens for so long, and its link is lost.
fn idle(ms: u64) -> Trial {
    let mut trial = Trial::new();
    trial.plan_report(1, &["bin"]);
    trial.inject(1);
    trial.processed(1);
    trial.wait_ms(ms);
    trial.cut("tags");
    let again = trial.deliver("tags", 1);
    trial.ack(again);
    trial
}

#[test]
fn an_acknowledgement_long_before_the_end_was_read() {
    accepted(&idle(4_900));
    assert_eq!(found("explained-duplicates", &idle(5_100)).len(), 1);
}

#[test]
fn nothing_is_read_while_something_is_wrong() {
    let half_open = || FaultKind::CutLink {
        service: "tags".into(),
        backend: Backend::Broker,
        how: Cut::HalfOpen,
    };
    let other = || FaultKind::CutLink {
        service: "analyzer".into(),
        backend: Backend::Broker,
        how: Cut::HalfOpen,
    };
    for (what, doubts) in [(half_open(), 0), (other(), 1)] {
        let mut trial = Trial::new();
        trial.plan_report(1, &["bin"]);
        trial.inject(1);
        trial.processed(1);
        trial.wait_ms(1_000);
        trial.begin("f", what);
        trial.wait_ms(30_000);
        trial.cut("tags");
        trial.healed("f");
        let again = trial.deliver("tags", 1);
        trial.ack(again);
        assert_eq!(found("explained-duplicates", &trial).len(), doubts);
    }
}

#[test]
fn a_blocked_connection_is_not_read() {
    let mut trial = Trial::new();
    trial.plan_report(1, &["bin"]);
    trial.inject(1);
    trial.on(
        "tags",
        Step::Blocked {
            reason: "low on memory".into(),
        },
    );
    trial.processed(1);
    trial.wait_ms(30_000);
    trial.cut("tags");
    let again = trial.deliver("tags", 1);
    trial.ack(again);
    accepted(&trial);
}

#[test]
fn what_a_fault_throws_away_is_not_lost_by_the_pipeline() {
    let purge = FaultKind::PurgeQueue { queue: "tags".into() };
    let policy = FaultKind::DropPolicy { queue: "tags".into() };
    for (what, rejected) in [(purge, false), (policy, true)] {
        let mut trial = Trial::new();
        trial.plan_poison("p", &["tags"]);
        trial.inject("p");
        trial.begin("f", what);
        if rejected {
            let delivery = trial.deliver("tags", "p");
            trial.nack(delivery, false);
        }
        trial.healed("f");
        trial.recovered(1);
        accepted(&trial);
        // What comes later is kept.
        trial.plan_poison("q", &["tags"]);
        trial.inject("q");
        assert_eq!(found("dlq-exact", &trial).len(), 1);
        assert_eq!(found("no-loss", &trial).len(), 1);
    }
}

#[test]
fn a_purge_takes_neither_what_a_consumer_holds_nor_what_comes_out_afterwards() {
    for held in [true, false] {
        let mut trial = Trial::new();
        trial.plan_report(1, &["park"]);
        trial.inject(1);
        trial.analysed(1);
        let before = held.then(|| trial.deliver("tags", 1));
        trial.begin("f", FaultKind::PurgeQueue { queue: "tags".into() });
        trial.healed("f");
        let delivery = before.unwrap_or_else(|| trial.deliver("tags", 1));
        trial.ack(delivery);
        trial.recovered(1);
        // It was acknowledged without its tags.
        let lost = found("no-loss", &trial);
        let of_tags = lost.iter().filter(|lost| lost.what.contains("tags"));
        assert_eq!(of_tags.count(), 1, "held: {held}: {lost:?}");
    }
}

#[test]
fn a_broker_that_stands_still_ends_no_connection() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.container("broker", "paused", None);
    trial.container("broker", "resumed", None);
    let again = trial.deliver("tags", 1);
    trial.ack(again);
    assert_eq!(found("explained-duplicates", &trial).len(), 1);
}
