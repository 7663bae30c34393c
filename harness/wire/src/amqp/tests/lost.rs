//! Settlements that are lost on their way: the broker's view is what the ledger keeps, that of the service is what is in
//! flight.

use super::*;

/// A consumer that has these deliveries in hand.
fn delivered(tags: std::ops::RangeInclusive<u64>) -> Talk {
    let mut talk = Talk::new(|_| ());
    talk.consume("q", false);
    for tag in tags {
        talk.steps(Direction::ToClient, &deliver(1, tag, &tag.to_string()));
    }
    talk
}

fn basic(class: basic::AMQPMethod) -> AMQPFrame {
    method(1, AMQPClass::Basic(class))
}

fn close() -> AMQPFrame {
    let close = channel::Close {
        reply_code: 200,
        reply_text: "".into(),
        class_id: 0,
        method_id: 0,
    };
    method(1, AMQPClass::Channel(channel::AMQPMethod::Close(close)))
}

fn close_ok() -> AMQPFrame {
    let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
    method(1, AMQPClass::Channel(ok))
}

fn tags(step: Option<&Step>) -> Vec<u64> {
    match step {
        Some(Step::Ack { covers } | Step::Nack { covers, .. } | Step::Confirm { covers, .. }) => {
            covers.iter().map(|covered| covered.tag).collect()
        }
        other => panic!("{other:?} covers nothing"),
    }
}

impl Talk {
    /// Sends frames in one read of which the first is lost, and gives the tags that the others cover.
    fn lose_first(&mut self, direction: Direction, frames: &[AMQPFrame]) -> Vec<Vec<u64>> {
        let mut units = self.units(direction, frames);
        let (lost, behind) = units.split_first_mut().unwrap();
        self.codec.lost(direction, lost, behind);
        let settlements = behind.iter().filter(|unit| unit.step.is_some());
        settlements.map(|unit| tags(unit.step.as_ref())).collect()
    }
}

#[test]
fn a_later_settlement_covers_what_a_lost_one_did_not_settle() {
    for (lost, covered) in [
        (ack(2, false), &[1, 2, 3][..]),
        (ack(2, true), &[1, 2, 3]),
        (nack(3, false, true), &[1, 2, 3]),
        (nack(2, true, false), &[1, 2, 3]),
        // It is not up to this one.
        (ack(4, false), &[1, 2, 3]),
    ] {
        for later in [ack(3, true), nack(3, true, false), nack(3, true, true)] {
            let [lost, later] = [&lost, &later].map(|method| basic(method.clone()));
            let mut talk = delivered(1..=5);
            let at_once = talk.lose_first(Direction::ToServer, &[lost.clone(), later.clone()]);
            assert_eq!(at_once, [covered], "{lost:?} {later:?} in one read");

            let mut talk = delivered(1..=5);
            talk.lose_first(Direction::ToServer, std::slice::from_ref(&lost));
            let step = talk
                .steps(Direction::ToServer, std::slice::from_ref(&later))
                .remove(0);
            assert_eq!(tags(Some(&step)), covered, "{lost:?} {later:?}");
            let rest = talk.settle(ack(0, true));
            assert_eq!(tags(Some(&rest)), [4, 5], "nothing is open twice, or lost");
        }
    }
}

#[test]
fn what_a_lost_settlement_was_about_is_known_when_it_comes_again() {
    let again = |talk: &mut Talk| talk.settle(ack(2, false));
    let expected = Step::Ack {
        covers: covers(&[(2, "2")], Some("q")),
    };
    let mut talk = delivered(1..=3);
    talk.lose_first(Direction::ToServer, &[basic(ack(2, false))]);
    assert_eq!(again(&mut talk), expected);
    // Once is enough.
    assert_ne!(again(&mut talk), expected);

    let mut talk = delivered(1..=3);
    let mut units = talk.units(Direction::ToServer, &[basic(ack(2, false)), basic(ack(2, false))]);
    let (lost, behind) = units.split_first_mut().unwrap();
    talk.codec.lost(Direction::ToServer, lost, behind);
    assert_eq!(behind[0].step, Some(expected));
}

#[test]
fn a_settlement_that_was_lost_twice_is_still_open() {
    let mut talk = delivered(1..=3);
    talk.lose_first(Direction::ToServer, &[basic(ack(1, false))]);
    let later = talk.lose_first(Direction::ToServer, &[basic(ack(2, true)), basic(ack(3, true))]);
    assert_eq!(later, [[1, 2, 3]]);
}

#[test]
fn a_tag_that_was_not_open_does_not_come_open() {
    let mut talk = delivered(1..=1);
    talk.settle(ack(1, false));
    talk.lose_first(Direction::ToServer, &[basic(ack(1, false))]);
    assert_eq!(tags(Some(&talk.settle(ack(0, true)))), [0; 0]);
}

#[test]
fn what_is_lost_goes_back_to_its_queue_with_its_channel() {
    // The channel ends in the same read, later, or by the broker while the ack was held.
    let mut talk = delivered(1..=2);
    talk.lose_first(Direction::ToServer, &[basic(ack(2, false)), close_ok()]);
    assert_eq!(
        tags(Some(&talk.settle(ack(0, true)))),
        [0; 0],
        "the channel is new"
    );

    let mut talk = delivered(1..=2);
    talk.lose_first(Direction::ToServer, &[basic(ack(2, false))]);
    talk.units(Direction::ToServer, &[close()]);
    assert_eq!(tags(Some(&talk.settle(ack(0, true)))), [0; 0]);
    assert!(talk.in_flight.is_empty());

    let mut talk = delivered(1..=2);
    let mut units = talk.units(Direction::ToServer, &[basic(ack(2, false))]);
    talk.units(Direction::ToClient, &[close()]);
    talk.codec.lost(Direction::ToServer, &units.remove(0), &mut []);
    assert_eq!(tags(Some(&talk.settle(ack(0, true)))), [0; 0]);
}

#[test]
fn for_the_service_it_is_done_with_the_first_ack() {
    let mut talk = delivered(1..=2);
    // The same message, delivered once more.
    talk.steps(Direction::ToClient, &deliver(1, 3, "1"));
    talk.lose_first(Direction::ToServer, &[basic(ack(1, false))]);
    assert_eq!(
        talk.in_flight.keys(),
        ["1", "2"],
        "its second delivery is in hand"
    );
    talk.settle(ack(2, true));
    assert_eq!(
        talk.in_flight.keys(),
        ["1"],
        "what is not in hand is not let go of"
    );
    talk.settle(ack(3, false));
    assert!(talk.in_flight.is_empty());
}

#[test]
fn a_publisher_that_lost_a_confirm_learns_by_a_later_one() {
    for at_once in [true, false] {
        let mut talk = Talk::new(|_| ());
        let select = confirm::AMQPMethod::Select(confirm::Select { nowait: true });
        talk.client(AMQPClass::Confirm(select));
        for _ in 0..4 {
            talk.steps(Direction::ToServer, &publish(1, "x", "k", "no key"));
        }
        let frames = [ack(2, false), ack(3, true)].map(basic);
        if at_once {
            assert_eq!(talk.lose_first(Direction::ToClient, &frames), [[1, 2, 3]]);
        } else {
            talk.lose_first(Direction::ToClient, &frames[..1]);
            let steps = talk.steps(Direction::ToClient, &frames[1..]);
            assert_eq!(tags(steps.first()), [1, 2, 3]);
        }
        assert_eq!(tags(talk.server(AMQPClass::Basic(ack(0, true))).first()), [4]);
    }
}
