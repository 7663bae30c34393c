//! A trigger at work: it is shown every event of the ledger, in order, and says which ones count.
//!
//! Pure, so that a stored ledger can be asked as well where a trigger would have fired. What a [`MessageState`] means in
//! terms of the protocols is said here and nowhere else:
//!
//! - a report is *in work* with the first statement that mentions it since it was delivered to the service;
//! - it is *about to be committed* with the COMMIT of a connection on which a write has mentioned it, or, outside a
//!   transaction (as the server's last answer said), with such a write itself;
//! - it is *committed* with the server's answer to that.

use std::collections::{BTreeMap, BTreeSet};

use super::trigger::{MessageState, On, Phase, Trigger};
use crate::event::{Event, FaultChange, Step, Verb};
use crate::name::{Key, Name};

/// A trigger with what it has seen.
#[derive(Debug, Clone)]
pub struct Matcher {
    trigger: Trigger,
    count: u64,
    fired: bool,
    earlier: Option<Box<Self>>,
    memory: Memory,
}

/// What one event meant to a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// How often it counted; 0 if it did not.
    pub count: u64,
    /// It is the event in which the nth match occurred.
    pub fires: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// Reports that the service was given and has not mentioned to the database since.
    fresh: BTreeSet<Key>,
    databases: BTreeMap<u32, Session>,
    /// Publishes to a retry exchange, by connection, channel and tag.
    retries: BTreeSet<(u32, u16, u64)>,
    /// Unacknowledged delivery tags, by connection and channel.
    unacked: BTreeMap<(u32, u16), BTreeSet<u64>>,
}

#[derive(Debug, Clone, Default)]
struct Session {
    in_tx: bool,
    /// Reports that a write has mentioned since the last commit or rollback.
    written: BTreeSet<Key>,
    /// Reports that the statement whose answer is awaited commits.
    committing: BTreeSet<Key>,
}

impl Matcher {
    /// A trigger that has seen nothing.
    pub fn new(trigger: Trigger) -> Self {
        let earlier = trigger.after.as_deref().cloned();
        Self {
            trigger,
            count: 0,
            fired: false,
            earlier: earlier.map(|earlier| Box::new(Self::new(earlier))),
            memory: Memory::default(),
        }
    }

    /// The trigger.
    pub fn trigger(&self) -> &Trigger {
        &self.trigger
    }

    /// Matches so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether the nth match has been seen.
    pub fn fired(&self) -> bool {
        self.fired
    }

    /// Takes in what has happened before it was armed: it does not count, but says where messages and sessions are.
    pub fn remember<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) {
        for event in events {
            self.matches(event);
            if let Some(earlier) = &mut self.earlier {
                earlier.remember([event]);
            }
        }
    }

    /// Looks at the next event.
    pub fn see(&mut self, event: &Event) -> Seen {
        let matches = self.matches(event);
        let open = self.earlier.as_ref().is_none_or(|earlier| earlier.fired);
        if let Some(earlier) = &mut self.earlier
            && !open
        {
            earlier.see(event);
        }
        let count = if open { matches } else { 0 };
        self.count += count;
        let fires = count > 0 && !self.fired && self.count >= self.trigger.nth;
        self.fired |= fires;
        Seen { count, fires }
    }

    /// How often an event would count if counting had begun.
    fn matches(&mut self, event: &Event) -> u64 {
        match &self.trigger.on {
            On::Step(pattern) => pattern.count(event),
            On::State { state, by, key } => {
                // A publisher's states need no memory of a consumer's links; every other one is about links of `by`.
                let found = if event.svc.as_ref() == Some(by) {
                    self.memory.state(*state, event)
                } else {
                    Vec::new()
                };
                let wanted = |found: &&Key| key.is_none() || key.as_ref() == Some(*found);
                found.iter().filter(wanted).count() as u64
            }
            On::Unacked { unacked, by } => {
                let level = (event.svc.as_ref() == Some(by)).then(|| self.memory.level(event));
                u64::from(level.flatten().is_some_and(|level| level >= *unacked))
            }
            On::Depth { depth, queue } => u64::from(
                matches!(&event.step, Step::Depth { queue: of, ready, .. } if of == queue && ready >= depth),
            ),
            On::Fault { fault, phase } => u64::from(is_phase(&event.step, fault, *phase)),
        }
    }
}

fn is_phase(step: &Step, fault: &Name, phase: Phase) -> bool {
    let Step::Fault { id, change } = step else {
        return false;
    };
    id == fault
        && matches!(
            (phase, change),
            (Phase::Fired, FaultChange::Fired { .. })
                | (Phase::Bitten, FaultChange::Bitten { .. })
                | (Phase::Healed, FaultChange::Healed { .. })
        )
}

impl Memory {
    /// The messages that come into `state` with this event of the service. Every event has to be shown, whatever it is.
    pub(super) fn state(&mut self, state: MessageState, event: &Event) -> Vec<Key> {
        use MessageState as M;
        let channel = (event.conn.unwrap_or_default(), event.chan.unwrap_or_default());
        match &event.step {
            Step::Publish { tag, message, .. } => {
                let retry = message.retry.is_some();
                if retry {
                    self.retries.insert((channel.0, channel.1, *tag));
                }
                let wanted = if retry { M::R0 } else { M::P0 };
                keep(state == wanted, message.key.iter())
            }
            Step::Confirm { ok: true, covers } => {
                let mut found = Vec::new();
                for covered in covers {
                    let retry = self.retries.remove(&(channel.0, channel.1, covered.tag));
                    let wanted = if retry { M::R1 } else { M::P1 };
                    found.extend(keep(state == wanted, covered.key.iter()));
                }
                found
            }
            Step::Deliver { message, .. } => {
                self.fresh.extend(message.key.clone());
                keep(state == M::D, message.key.iter())
            }
            Step::Ack { covers } => {
                let keys = covers.iter().filter_map(|covered| covered.key.as_ref());
                keep(matches!(state, M::A0 | M::A1), keys)
            }
            Step::Nack {
                requeue: false,
                covers,
            } => {
                let keys = covers.iter().filter_map(|covered| covered.key.as_ref());
                keep(matches!(state, M::N0 | M::X0), keys)
            }
            step => self.database(state, channel.0, step),
        }
    }

    fn database(&mut self, state: MessageState, conn: u32, step: &Step) -> Vec<Key> {
        use MessageState as M;
        match step {
            // A setting may have a report's number for its value by chance.
            Step::Statement { verb: Verb::Set, .. } => Vec::new(),
            Step::Statement { verb, keys, .. } => {
                let first: Vec<_> = keys
                    .iter()
                    .filter(|key| self.fresh.remove(*key))
                    .cloned()
                    .collect();
                let session = self.databases.entry(conn).or_default();
                if verb.is_write() {
                    session.written.extend(keys.iter().cloned());
                }
                let commits = *verb == Verb::Commit || (verb.is_write() && !session.in_tx);
                if commits {
                    session.committing = std::mem::take(&mut session.written);
                }
                match state {
                    M::W => first,
                    M::C0 if commits => session.committing.iter().cloned().collect(),
                    _ => Vec::new(),
                }
            }
            Step::DbOk { in_tx, verb, .. } => {
                let session = self.databases.entry(conn).or_default();
                session.in_tx = *in_tx;
                if *verb == Verb::Rollback {
                    session.written.clear();
                }
                let committed = std::mem::take(&mut session.committing);
                keep(matches!(state, M::C1 | M::C2), committed.iter())
            }
            Step::DbErr { .. } => {
                self.databases.entry(conn).or_default().committing.clear();
                Vec::new()
            }
            Step::Disconnect { .. } => {
                self.databases.remove(&conn);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The number of unacknowledged deliveries on the channel of a delivery, that one included.
    fn level(&mut self, event: &Event) -> Option<u64> {
        let channel = (event.conn?, event.chan.unwrap_or_default());
        match &event.step {
            Step::Deliver { tag, .. } => {
                let tags = self.unacked.entry(channel).or_default();
                tags.insert(*tag);
                Some(tags.len() as u64)
            }
            Step::Ack { covers } | Step::Nack { covers, .. } => {
                if let Some(tags) = self.unacked.get_mut(&channel) {
                    for covered in covers {
                        tags.remove(&covered.tag);
                    }
                }
                None
            }
            Step::ChannelClosed { .. } => {
                self.unacked.remove(&channel);
                None
            }
            Step::Disconnect { .. } => {
                self.unacked.retain(|(conn, _), _| *conn != channel.0);
                None
            }
            _ => None,
        }
    }
}

fn keep<'a>(wanted: bool, keys: impl Iterator<Item = &'a Key>) -> Vec<Key> {
    if wanted {
        keys.cloned().collect()
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Matcher;
    use crate::event::{Backend, Covered, Ending, Event, FaultChange, Message, Side, Step, StepKind, Verb};
    use crate::fault::{MessageState, On, Pattern, Phase, Trigger};

    /// Events of one service, numbered as they come.
    struct Story(Vec<Event>);

    impl Story {
        fn on(&mut self, conn: u32, step: Step) -> &mut Self {
            let n = self.0.len() as u64 + 1;
            self.0.push(Event {
                n,
                at: n,
                svc: Some("tags".into()),
                conn: Some(conn),
                chan: (conn == 1).then_some(1),
                step,
            });
            self
        }

        /// Numbers of the events that count.
        fn matches(&self, on: On) -> Vec<u64> {
            let mut matcher = Matcher::new(Trigger {
                nth: 1,
                on,
                after: None,
            });
            let counts = |event: &&Event| matcher.see(event).count > 0;
            self.0.iter().filter(counts).map(|event| event.n).collect()
        }

        fn state(&self, state: MessageState) -> Vec<u64> {
            self.matches(On::State {
                state,
                by: "tags".into(),
                key: Some("7".into()),
            })
        }
    }

    fn message(key: &str, retry: Option<i64>) -> Message {
        Message {
            key: Some(key.into()),
            retry,
            ..Message::default()
        }
    }

    fn deliver(tag: u64, key: &str) -> Step {
        Step::Deliver {
            tag,
            consumer: "c".into(),
            queue: Some("q".into()),
            redelivered: false,
            message: message(key, None),
        }
    }

    fn statement(verb: Verb, keys: &[&str]) -> Step {
        Step::Statement {
            verb,
            sql: String::new(),
            prepared: true,
            keys: keys.iter().map(|key| (*key).into()).collect(),
        }
    }

    fn answer(verb: Verb, in_tx: bool) -> Step {
        Step::DbOk { verb, rows: 1, in_tx }
    }

    fn covers(tag: u64, key: &str) -> Vec<Covered> {
        vec![Covered {
            tag,
            key: Some(key.into()),
            queue: Some("q".into()),
        }]
    }

    fn publish(tag: u64, key: &str, retry: Option<i64>) -> Step {
        Step::Publish {
            tag,
            mandatory: true,
            message: message(key, retry),
        }
    }

    #[test]
    fn a_life_in_a_transaction_has_each_state_once() {
        let mut story = Story(Vec::new());
        story
            .on(1, deliver(1, "7")) // 1
            .on(1, deliver(2, "8"))
            .on(2, statement(Verb::Begin, &[]))
            .on(2, answer(Verb::Begin, true))
            .on(2, statement(Verb::Select, &["7"])) // 5
            .on(2, answer(Verb::Select, true))
            .on(2, statement(Verb::Insert, &["7"])) // 7
            .on(2, answer(Verb::Insert, true))
            .on(3, statement(Verb::Commit, &[])) // another connection's
            .on(2, statement(Verb::Commit, &[])) // 10
            .on(2, answer(Verb::Commit, false)) // 11
            .on(1, publish(1, "7", None)) // 12
            .on(
                1,
                Step::Confirm {
                    ok: true,
                    covers: covers(1, "7"),
                },
            ) // 13
            .on(
                1,
                Step::Ack {
                    covers: covers(1, "7"),
                },
            ); // 14
        let expected = [
            (MessageState::D, 1),
            (MessageState::W, 5),
            (MessageState::C0, 10),
            (MessageState::C1, 11),
            (MessageState::C2, 11),
            (MessageState::P0, 12),
            (MessageState::P1, 13),
            (MessageState::A0, 14),
            (MessageState::A1, 14),
        ];
        for (state, n) in expected {
            assert_eq!(story.state(state), [n], "{state}");
        }
        for state in [
            MessageState::R0,
            MessageState::R1,
            MessageState::N0,
            MessageState::X0,
        ] {
            assert_eq!(story.state(state), [0; 0], "{state}");
        }
    }

    #[test]
    fn outside_a_transaction_a_write_commits_itself() {
        let mut story = Story(Vec::new());
        story
            .on(1, deliver(1, "7"))
            .on(2, statement(Verb::Replace, &["7"])) // 2
            .on(2, answer(Verb::Replace, false)) // 3
            .on(2, statement(Verb::Select, &["7"]))
            .on(2, answer(Verb::Select, false));
        assert_eq!(story.state(MessageState::C0), [2]);
        assert_eq!(story.state(MessageState::C1), [3]);
        assert_eq!(story.state(MessageState::W), [2], "the first mention only");
    }

    #[test]
    fn what_was_rolled_back_or_refused_is_not_committed() {
        let mut story = Story(Vec::new());
        story
            .on(2, answer(Verb::Begin, true))
            .on(2, statement(Verb::Insert, &["7"]))
            .on(2, answer(Verb::Insert, true))
            .on(2, statement(Verb::Rollback, &[]))
            .on(2, answer(Verb::Rollback, false))
            .on(2, statement(Verb::Commit, &[]))
            .on(2, answer(Verb::Commit, false))
            .on(3, statement(Verb::Insert, &["7"])) // 8
            .on(
                3,
                Step::DbErr {
                    verb: Verb::Insert,
                    code: 1290,
                    text: String::new(),
                },
            )
            .on(3, answer(Verb::Select, false));
        assert_eq!(story.state(MessageState::C0), [8]);
        assert_eq!(story.state(MessageState::C1), [0; 0]);
    }

    #[test]
    fn a_retry_and_a_rejection_have_states_of_their_own() {
        let mut story = Story(Vec::new());
        story
            .on(1, deliver(1, "7"))
            .on(1, publish(5, "7", Some(1))) // 2
            .on(
                1,
                Step::Confirm {
                    ok: true,
                    covers: covers(5, "7"),
                },
            ) // 3
            .on(
                1,
                Step::Nack {
                    requeue: false,
                    covers: covers(1, "7"),
                },
            ); // 4
        assert_eq!(story.state(MessageState::R0), [2]);
        assert_eq!(story.state(MessageState::R1), [3]);
        assert_eq!(story.state(MessageState::N0), [4]);
        assert_eq!(story.state(MessageState::X0), [4]);
        assert_eq!(story.state(MessageState::P0), [0; 0]);
    }

    #[test]
    fn a_level_is_reached_by_the_delivery_that_reaches_it() {
        let full = On::Unacked {
            unacked: 2,
            by: "tags".into(),
        };
        let mut story = Story(Vec::new());
        story
            .on(1, deliver(1, "7"))
            .on(
                1,
                Step::Ack {
                    covers: covers(1, "7"),
                },
            )
            .on(1, deliver(2, "8"))
            .on(
                1,
                Step::Disconnect {
                    to: Backend::Broker,
                    by: Side::Server,
                    how: Ending::Rst,
                },
            )
            .on(1, deliver(1, "9"))
            .on(1, deliver(2, "10")); // 6
        assert_eq!(story.matches(full), [6]);
    }

    #[test]
    fn the_past_is_remembered_but_does_not_count() {
        let mut story = Story(Vec::new());
        story
            .on(1, deliver(1, "7"))
            .on(2, answer(Verb::Begin, true))
            .on(2, statement(Verb::Insert, &["7"]))
            .on(2, answer(Verb::Insert, true))
            .on(2, statement(Verb::Commit, &[])); // 5
        let mut matcher = Matcher::new(Trigger {
            nth: 1,
            on: On::State {
                state: MessageState::C0,
                by: "tags".into(),
                key: None,
            },
            after: None,
        });
        matcher.remember(&story.0[..4]);
        assert_eq!(matcher.count(), 0);
        assert!(matcher.see(&story.0[4]).fires);
    }

    #[test]
    fn counting_begins_after_the_earlier_trigger_has_fired() {
        let acks = On::Step(Pattern::new(StepKind::Ack));
        let healed = Trigger {
            nth: 1,
            on: On::Fault {
                fault: "fault-1".into(),
                phase: Phase::Healed,
            },
            after: None,
        };
        let mut matcher = Matcher::new(Trigger {
            nth: 2,
            on: acks,
            after: Some(Box::new(healed)),
        });
        let mut story = Story(Vec::new());
        story
            .on(
                1,
                Step::Ack {
                    covers: covers(1, "1"),
                },
            )
            .on(
                1,
                Step::Fault {
                    id: "fault-1".into(),
                    change: FaultChange::Healed { proof: String::new() },
                },
            )
            .on(
                1,
                Step::Ack {
                    covers: covers(2, "2"),
                },
            )
            .on(
                1,
                Step::Ack {
                    covers: covers(3, "3"),
                },
            ) // 4
            .on(
                1,
                Step::Ack {
                    covers: covers(4, "4"),
                },
            );
        let fired: Vec<_> = story
            .0
            .iter()
            .filter(|event| matcher.see(event).fires)
            .map(|event| event.n)
            .collect();
        assert_eq!((fired, matcher.count()), (vec![4], 3));
    }
}
