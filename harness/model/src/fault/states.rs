//! Which messages a service works on, event by event: for readers of a whole ledger.
//!
//! A [`Matcher`](super::Matcher) waits for one state; this asks for all states between delivery and acknowledgement at
//! once. What they mean is said in the matcher's memory and only there.

use super::matcher::Memory;
use super::trigger::MessageState;
use crate::event::Event;
use crate::name::Key;

/// The states that are seen on a service's link to the database.
const STATES: [MessageState; 3] = [MessageState::W, MessageState::C0, MessageState::C1];

/// One service at work.
#[derive(Debug, Clone, Default)]
pub struct Work([Memory; STATES.len()]);

impl Work {
    /// The messages that come into `W`, `C0` or `C1` with the next event of the service. Every event of it has to be
    /// shown, and none of another.
    pub fn see(&mut self, event: &Event) -> Vec<(MessageState, Key)> {
        let each = STATES.into_iter().zip(&mut self.0);
        let found = each.flat_map(|(state, memory)| {
            let keys = memory.state(state, event);
            keys.into_iter().map(move |key| (state, key))
        });
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Work;
    use crate::event::{Event, Message, Step, Verb};
    use crate::fault::MessageState::{C0, C1, W};

    #[test]
    fn each_state_of_the_work_is_seen_once_and_in_order() {
        let statement = |verb, keys: &[&str]| Step::Statement {
            verb,
            sql: String::new(),
            prepared: false,
            keys: keys.iter().map(|key| (*key).into()).collect(),
        };
        let answer = |verb, in_tx| Step::DbOk { verb, rows: 1, in_tx };
        let message = Message {
            key: Some("7".into()),
            ..Message::default()
        };
        let steps = [
            Step::Deliver {
                tag: 1,
                consumer: "c".into(),
                queue: None,
                redelivered: false,
                message,
            },
            statement(Verb::Begin, &[]),
            answer(Verb::Begin, true),
            statement(Verb::Insert, &["7"]),
            answer(Verb::Insert, true),
            statement(Verb::Commit, &[]),
            answer(Verb::Commit, false),
            statement(Verb::Select, &["7"]),
        ];
        let mut work = Work::default();
        let mut seen = Vec::new();
        for (step, n) in steps.into_iter().zip(1..) {
            let event = Event {
                n,
                at: n,
                svc: Some("tags".into()),
                conn: Some(1),
                chan: None,
                step,
            };
            seen.extend(work.see(&event).into_iter().map(|(state, key)| (n, state, key)));
        }
        assert_eq!(
            seen,
            [(4, W, "7".into()), (6, C0, "7".into()), (7, C1, "7".into())]
        );
    }
}
