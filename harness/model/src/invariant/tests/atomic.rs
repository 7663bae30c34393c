//! `atomic`.

use crate::event::{Fate, Verb};
use crate::fault::FaultKind;
use crate::invariant::testing::{Trial, accepted, found, rejected};

const RULE: &str = "atomic";

/// A report that the tags service has done, and the analyzer has in its hands.
fn delivered(trial: &mut Trial) -> u64 {
    trial.plan_report(1, &[]);
    trial.inject(1);
    trial.tagged(1);
    trial.deliver("analysis", 1)
}

#[test]
fn rows_in_some_languages_only() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.end.analysis.retain(|row| row.language != "de");
    rejected(
        RULE,
        &trial,
        &["1"],
        "report 1: confirmed at #4, delivered to analyzer at #7, acknowledged at #17; it has analysis rows in en and its \
         event, published at #15, but no rows in de",
    );
}

#[test]
fn rows_without_an_event() {
    let mut trial = Trial::new();
    let delivery = delivered(&mut trial);
    trial.write("analyzer", 1);
    trial.rows(1);
    let ack = trial.ack(delivery);
    rejected(
        RULE,
        &trial,
        &["1"],
        &format!(
            "report 1: confirmed at #4, delivered to analyzer at #{delivery}, acknowledged at #{ack}; it has analysis \
             rows in de and en, but no event: none was ever published"
        ),
    );
    // Nobody asks for the event of a report that is not public.
    trial.expect(1, false, false);
    accepted(&trial);
}

#[test]
fn an_event_that_the_broker_never_took() {
    let mut trial = Trial::new();
    let delivery = delivered(&mut trial);
    trial.rows(1);
    let event = trial.announce(1);
    trial.ack(delivery);
    let why = format!("no event: published at #{event}, never confirmed (#{event}), and delivered to nobody");
    let told = found(RULE, &trial);
    assert!(told[0].what.ends_with(&why), "{told:?}");
    assert!(told[0].events.contains(&event));

    let returned = trial.give_back(event);
    trial.end.published.clear();
    let why = format!(
        "no event: published at #{event}, returned as unroutable at #{returned}, and delivered to nobody"
    );
    let told = found(RULE, &trial);
    assert!(told[0].what.ends_with(&why), "{told:?}");
}

#[test]
fn an_event_that_was_delivered_is_there_though_its_confirm_is_not() {
    let mut trial = Trial::new();
    let delivery = delivered(&mut trial);
    trial.rows(1);
    trial.announce(1);
    trial.rendered(1);
    trial.ack(delivery);
    trial.end.published.insert(1);
    assert!(found(RULE, &trial).is_empty());
}

#[test]
fn an_event_without_rows() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.end.analysis.clear();
    rejected(
        RULE,
        &trial,
        &["1"],
        "report 1: confirmed at #4, delivered to analyzer at #7, acknowledged at #17; it has its event, published at #15, \
         but no analysis rows",
    );
}

#[test]
fn the_time_of_publication_belongs_to_the_event() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.end.published.clear();
    rejected(
        RULE,
        &trial,
        &["1"],
        "report 1: confirmed at #4, delivered to analyzer at #7, acknowledged at #17; it has analysis rows in de and en \
         and its event, published at #15, but no analysed_published_at in report_raw",
    );

    let mut trial = Trial::new();
    let delivery = delivered(&mut trial);
    trial.expect(1, false, false);
    trial.write("analyzer", 1);
    trial.rows(1);
    let ack = trial.ack(delivery);
    accepted(&trial);
    trial.end.published.insert(1);
    rejected(
        RULE,
        &trial,
        &["1"],
        &format!(
            "report 1: confirmed at #4, delivered to analyzer at #{delivery}, acknowledged at #{ack}; it has analysis \
             rows in de and en and analysed_published_at in report_raw, but no event: none was ever published"
        ),
    );
    // A pipeline that keeps no such time is not asked for it.
    trial.plan.topology.effects.published = None;
    accepted(&trial);
}

#[test]
fn what_was_never_promised_may_be_half_done_until_it_is_acknowledged() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.publish(1);
    trial.tagged(1);
    let delivery = trial.deliver("analysis", 1);
    trial.write("analyzer", 1);
    trial.rows(1);
    trial.end.analysis.pop();
    assert!(found(RULE, &trial).is_empty());
    trial.ack(delivery);
    assert_eq!(found(RULE, &trial).len(), 1);
}

#[test]
fn what_a_purge_threw_away_may_be_half_done() {
    let mut trial = Trial::new();
    delivered(&mut trial);
    trial.write("analyzer", 1);
    trial.rows(1);
    trial.cut("analyzer");
    for rule in [RULE, "no-loss"] {
        assert_eq!(found(rule, &trial).len(), 1, "{rule}");
    }
    trial.begin(
        "f",
        FaultKind::PurgeQueue {
            queue: "analysis".into(),
        },
    );
    trial.healed("f");
    trial.recovered(1);
    accepted(&trial);
}

#[test]
fn an_event_that_was_repeated_after_its_confirm_was_lost() {
    let mut trial = Trial::new();
    let delivery = delivered(&mut trial);
    trial.write("analyzer", 1);
    trial.rows(1);
    let event = trial.announce(1);
    let confirm = trial.confirm(event);
    trial.fate(confirm, Fate::Dropped);
    let event = trial.announce(1);
    trial.confirm(event);
    trial.ack(delivery);
    trial.rendered(1);
    let again = trial.deliver("renderer", 1);
    trial.ack(again);
    accepted(&trial);
}

#[test]
fn an_event_before_its_rows() {
    let story = |again: bool| {
        let mut trial = Trial::new();
        let mut delivery = delivered(&mut trial);
        if again {
            trial.write("analyzer", 1);
            trial.cut("analyzer");
            delivery = trial.deliver("analysis", 1);
        }
        trial.query("analyzer", Verb::Begin, &[], true);
        trial.query("analyzer", Verb::Insert, &[1], true);
        trial.rows(1);
        let event = trial.announce(1);
        trial.confirm(event);
        trial.query("analyzer", Verb::Commit, &[], false);
        trial.ack(delivery);
        trial.rendered(1);
        (trial, delivery, event)
    };
    let (trial, delivery, event) = story(false);
    rejected(
        RULE,
        &trial,
        &["1"],
        &format!(
            "report 1: analyzer published its event at #{event}, and had written nothing of it to the database since its \
             delivery at #{delivery}; an event does not come before its rows"
        ),
    );
    // The second time, they may be there already.
    let (trial, ..) = story(true);
    accepted(&trial);
}

#[test]
fn an_event_of_work_that_outlives_its_channel_may_belong_to_writes_that_nobody_can_tell() {
    let mut trial = Trial::new();
    delivered(&mut trial);
    trial.cut("analyzer");
    trial.query("analyzer", Verb::Insert, &[], false);
    trial.rows(1);
    let event = trial.announce(1);
    trial.confirm(event);
    let again = trial.deliver("analysis", 1);
    trial.write("analyzer", 1);
    trial.ack(again);
    trial.rendered(1);
    accepted(&trial);
}
