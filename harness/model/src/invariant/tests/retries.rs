//! `retries-bounded` and `sibling-isolation`.

use crate::invariant::testing::{Trial, accepted, found, rejected};

const BOUNDED: &str = "retries-bounded";
const ISOLATION: &str = "sibling-isolation";

/// A report that the analyzer has, and that the tags service has done.
fn delivered(trial: &mut Trial) -> u64 {
    trial.plan_report(1, &[]);
    trial.inject(1);
    trial.tagged(1);
    trial.deliver("analysis", 1)
}

#[test]
fn retried_until_it_succeeds() {
    let mut trial = Trial::new();
    let mut delivery = delivered(&mut trial);
    for count in 1..=3 {
        trial.retry("analyzer", "analysis", 1, count);
        trial.ack(delivery);
        trial.wait_ms(1000);
        delivery = trial.deliver_retry("analysis", 1, Some(count));
    }
    trial.write("analyzer", 1);
    trial.rows(1);
    let event = trial.announce(1);
    trial.confirm(event);
    trial.ack(delivery);
    trial.rendered(1);
    accepted(&trial);
}

#[test]
fn killed_between_the_retry_and_its_acknowledgement() {
    let mut trial = Trial::new();
    delivered(&mut trial);
    trial.retry("analyzer", "analysis", 1, 1);
    trial.cut("analyzer");
    // The original comes again and succeeds; the retry finds everything done.
    trial.analysed(1);
    trial.wait_ms(1000);
    let second = trial.deliver_retry("analysis", 1, Some(1));
    trial.ack(second);
    trial.rendered(1);
    accepted(&trial);
}

#[test]
fn one_retry_too_many() {
    let mut trial = Trial::new();
    let delivery = delivered(&mut trial);
    let retry = trial.retry("analyzer", "analysis", 1, 4);
    trial.ack(delivery);
    rejected(
        BOUNDED,
        &trial,
        &["1"],
        &format!(
            "report 1: analyzer published it for retry 4 at #{retry}; after 3 it belongs into the dead-letter queue of \
             analysis"
        ),
    );
}

#[test]
fn a_counter_that_does_not_rise() {
    let mut trial = Trial::new();
    let delivery = delivered(&mut trial);
    trial.retry("analyzer", "analysis", 1, 1);
    trial.ack(delivery);
    trial.wait_ms(1000);
    trial.deliver_retry("analysis", 1, Some(1));
    let stuck = trial.retry("analyzer", "analysis", 1, 1);
    rejected(
        BOUNDED,
        &trial,
        &["1"],
        &format!(
            "report 1: analyzer retried it at #{stuck} with count 1, and it was delivered with count 1; the count must \
             rise"
        ),
    );
}

#[test]
fn a_retry_that_does_not_wait() {
    let mut trial = Trial::new();
    let delivery = delivered(&mut trial);
    let retry = trial.retry("analyzer", "analysis", 1, 1);
    trial.ack(delivery);
    trial.wait_ms(500);
    let second = trial.deliver_retry("analysis", 1, Some(1));
    rejected(
        BOUNDED,
        &trial,
        &["1"],
        &format!(
            "report 1: retry 1 came back from analysis at #{second} only 503 ms after it was published at #{retry}; \
             1000 ms are declared"
        ),
    );
}

/// Retries a delivery of the analyzer until it is dead.
fn exhausted(trial: &mut Trial, mut delivery: u64) {
    for count in 1..=3 {
        trial.retry("analyzer", "analysis", 1, count);
        trial.ack(delivery);
        trial.wait_ms(1000);
        delivery = trial.deliver_retry("analysis", 1, Some(count));
    }
    trial.nack(delivery, false);
}

#[test]
fn given_back_by_a_service_that_stops() {
    for channel in [false, true] {
        let mut trial = Trial::new();
        let unbegun = delivered(&mut trial);
        if channel {
            trial.reopen("analyzer");
        } else {
            trial.nack(unbegun, true);
        }
        trial.leave("analyzer");
        let delivery = trial.deliver("analysis", 1);
        exhausted(&mut trial, delivery);
        assert_eq!(found(BOUNDED, &trial), [], "channel: {channel}");
    }
}

#[test]
fn put_back_with_its_channel_and_for_ever() {
    let mut trial = Trial::new();
    delivered(&mut trial);
    for _ in 0..40 {
        trial.reopen("analyzer");
        trial.deliver("analysis", 1);
    }
    rejected(
        BOUNDED,
        &trial,
        &["1"],
        "report 1: delivered to analyzer 41 times, and put back by it at once 40 times; 3 retries of one copy allow 4",
    );
}

#[test]
fn put_back_at_once_and_for_ever() {
    let mut trial = Trial::new();
    let mut delivery = delivered(&mut trial);
    for _ in 0..40 {
        trial.nack(delivery, true);
        delivery = trial.deliver("analysis", 1);
    }
    rejected(
        BOUNDED,
        &trial,
        &["1"],
        "report 1: delivered to analyzer 41 times, and put back by it at once 40 times; 3 retries of one copy allow 4",
    );
}

#[test]
fn redeliveries_by_force_are_not_counted_as_retries() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.inject(1);
    trial.tagged(1);
    for _ in 0..10 {
        trial.deliver("analysis", 1);
        trial.cut("analyzer");
    }
    trial.analysed(1);
    trial.rendered(1);
    accepted(&trial);
}

#[test]
fn a_retry_that_a_sibling_sees() {
    let mut trial = Trial::new();
    delivered(&mut trial);
    let retry = trial.retry("analyzer", "analysis", 1, 1);
    let stray = trial.deliver_retry("tags", 1, Some(1));
    rejected(
        ISOLATION,
        &trial,
        &["1"],
        &format!(
            "report 1: delivered to tags (queue tags) at #{stray} with retry count 1, but this is no retry of that queue: \
             it is analyzer's, of #{retry}"
        ),
    );
}

#[test]
fn a_retry_that_a_sibling_sees_among_its_own() {
    let story = |strays: bool| {
        let mut trial = Trial::new();
        let analysis = delivered(&mut trial);
        let tags = trial.deliver("tags", 1);
        let theirs = trial.retry("analyzer", "analysis", 1, 1);
        trial.ack(analysis);
        trial.retry("tags", "tags", 1, 1);
        trial.ack(tags);
        trial.wait_ms(1000);
        let own = trial.deliver_retry("tags", 1, Some(1));
        trial.ack(own);
        let extra = strays.then(|| trial.deliver_retry("tags", 1, Some(1)));
        (trial, theirs, extra)
    };
    let (trial, ..) = story(false);
    assert!(found(ISOLATION, &trial).is_empty());
    let (trial, theirs, extra) = story(true);
    rejected(
        ISOLATION,
        &trial,
        &["1"],
        &format!(
            "report 1: delivered to tags (queue tags) 2 times with retry count 1, too often at #{}: what was published to that \
             queue explains 1, and analyzer has published the same retry at #{theirs}",
            extra.unwrap()
        ),
    );
}

#[test]
fn a_retry_that_comes_back_from_a_dead_connection_is_no_siblings() {
    let mut trial = Trial::new();
    let analysis = delivered(&mut trial);
    let tags = trial.deliver("tags", 1);
    trial.retry("analyzer", "analysis", 1, 1);
    trial.ack(analysis);
    trial.retry("tags", "tags", 1, 1);
    trial.ack(tags);
    trial.wait_ms(1000);
    trial.deliver_retry("tags", 1, Some(1));
    trial.cut("tags");
    trial.deliver_retry("tags", 1, Some(1));
    assert!(found(ISOLATION, &trial).is_empty());
}

#[test]
fn a_retry_through_the_shared_route() {
    let mut trial = Trial::new();
    delivered(&mut trial);
    // Like the harness' own publish, but by the analyzer and with a counter: it leads to both queues.
    let retry = trial.retry("analyzer", "analysis", 1, 1);
    trial.change(retry, |step| {
        if let crate::event::Step::Publish { message, .. } = step {
            message.exchange = "cleanapp".into();
        }
    });
    trial.deliver_retry("tags", 1, Some(1));
    let findings = found(ISOLATION, &trial);
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0]
            .what
            .ends_with(&format!("it is analyzer's, of #{retry}")),
        "{}",
        findings[0].what
    );
}

#[test]
fn a_counter_that_the_harness_sent_is_nobodys_retry() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    let publish = trial.inject(1);
    trial.change(publish, |step| {
        if let crate::event::Step::Publish { message, .. } = step {
            message.retry = Some(2);
        }
    });
    for queue in ["analysis", "tags"] {
        let delivery = trial.deliver_retry(queue, 1, Some(2));
        if queue == "analysis" {
            trial.write("analyzer", 1);
            trial.rows(1);
            let event = trial.announce(1);
            trial.confirm(event);
        }
        trial.ack(delivery);
    }
    trial.rendered(1);
    accepted(&trial);
}
