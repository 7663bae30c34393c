//! What a fault waits for: counts, the state of a message, levels, other faults, and one after the other.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::{Backend, Event, Step, StepKind, Verb};
use crate::name::{Key, Name};

/// Which events count for a trigger. An absent field matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// The kind of step.
    pub step: StepKind,
    /// The service on whose link it is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Name>,
    /// What the link leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Backend>,
    /// The queue, by its name on the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Name>,
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// The first word of a statement, or of the statement that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<Verb>,
    /// The retry counter of a publish or delivery; a message that was never retried counts as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<i64>,
}

/// Where one message is, as seen on a consumer's links: the frame that takes it there.
///
/// A state with a frame that is *held* is the moment before that frame arrives; one that is *forwarded*, the moment
/// after it was sent on (which does not say that its receiver has worked it off).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MessageState {
    /// Published, not confirmed: the publish is held.
    P0,
    /// In the queue: its confirm is held on the way to the publisher.
    P1,
    /// Delivered: the delivery is held on the way to the consumer.
    D,
    /// In work: the first statement about it since its delivery is held.
    W,
    /// About to be committed: the COMMIT is held; outside a transaction, the write that commits itself.
    C0,
    /// Committed: the answer to the COMMIT is held.
    C1,
    /// Committed, and the consumer is being told: that answer is forwarded.
    C2,
    /// Done: its ack is held.
    A0,
    /// Its ack is forwarded.
    A1,
    /// To be retried: the publish to the retry exchange is held.
    R0,
    /// In the retry queue, and the original not acknowledged: the confirm of the retry is held.
    R1,
    /// Rejected: the nack without requeue is held.
    N0,
    /// On its way to the dead-letter queue: that nack is forwarded.
    X0,
}

impl MessageState {
    /// All of them, in the order of a message's life.
    pub const ALL: [Self; 13] = [
        Self::P0,
        Self::P1,
        Self::D,
        Self::W,
        Self::C0,
        Self::C1,
        Self::C2,
        Self::A0,
        Self::A1,
        Self::R0,
        Self::R1,
        Self::N0,
        Self::X0,
    ];

    /// The frame goes on before the fault is injected.
    pub fn is_forwarded(self) -> bool {
        matches!(self, Self::C2 | Self::A1 | Self::X0)
    }
}

impl fmt::Display for MessageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A point in the life of another fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its trigger has matched.
    Fired,
    /// It has taken effect.
    Bitten,
    /// It has been undone.
    Healed,
}

/// What a trigger counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum On {
    /// Events that match.
    Step(Pattern),
    /// Messages that come into a state.
    State {
        /// Which state.
        state: MessageState,
        /// The service on whose links it is seen; for `P0` and `P1` the publisher.
        by: Name,
        /// One message; absent means any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Key>,
    },
    /// Deliveries with which a service has so many unacknowledged on one channel.
    Unacked {
        /// How many, at least.
        unacked: u64,
        /// The service.
        by: Name,
    },
    /// Readings of a queue with so many ready messages. While such a trigger is armed the harness reads the queue.
    Depth {
        /// How many, at least.
        depth: u64,
        /// The queue, by its name on the broker.
        queue: Name,
    },
    /// A point in the life of another fault of the trial: nothing is held.
    Fault {
        /// Its id.
        fault: Name,
        /// The point.
        phase: Phase,
    },
}

/// Fires at the `nth` match of `on`.
///
/// A frame that settles several deliveries at once (`multiple`) counts once for each of them; it is the frame in which
/// the nth occurs that fires. What is counted is what was sent: a settlement that a fault loses counts, and one that covers
/// the same deliveries again counts them again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Which match, counted from 1.
    pub nth: u64,
    /// What is counted.
    pub on: On,
    /// Counting begins only after this one has fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Box<Self>>,
}

impl Pattern {
    /// All events of one kind.
    pub fn new(step: StepKind) -> Self {
        Self {
            step,
            by: None,
            to: None,
            queue: None,
            key: None,
            verb: None,
            retry: None,
        }
    }

    /// How often `event` counts: the number of messages in it that match, or 1 for a step without messages.
    pub fn count(&self, event: &Event) -> u64 {
        if event.step.kind() != self.step
            || self.by.as_ref().is_some_and(|by| event.svc.as_ref() != Some(by))
            || self.to.is_some_and(|to| event.step.link() != Some(to))
        {
            return 0;
        }
        let queue = |queue: Option<&Name>| self.queue.is_none() || self.queue.as_ref() == queue;
        let key = |key: Option<&Key>| self.key.is_none() || self.key.as_ref() == key;
        let retry = |count: Option<i64>| self.retry.is_none_or(|wanted| count.unwrap_or(0) == wanted);
        let verb = |found: Option<Verb>| self.verb.is_none() || self.verb == found;
        match &event.step {
            Step::Ack { covers } | Step::Nack { covers, .. } | Step::Confirm { covers, .. } => covers
                .iter()
                .filter(|covered| queue(covered.queue.as_ref()) && key(covered.key.as_ref()))
                .count()
                as u64,
            Step::Deliver {
                queue: from, message, ..
            } => u64::from(queue(from.as_ref()) && key(message.key.as_ref()) && retry(message.retry)),
            Step::Publish { message, .. } | Step::Return { message, .. } => {
                u64::from(self.queue.is_none() && key(message.key.as_ref()) && retry(message.retry))
            }
            Step::Consume { queue: from, .. } | Step::Depth { queue: from, .. } => {
                u64::from(queue(Some(from)) && self.key.is_none())
            }
            step => u64::from(
                self.queue.is_none()
                    && verb(step.verb())
                    && (self.key.is_none() || step.keys().into_iter().any(|found| key(Some(found)))),
            ),
        }
    }
}

impl On {
    /// The frame that fires goes on before the fault is injected; what is behind it is held.
    pub fn is_forwarded(&self) -> bool {
        matches!(self, Self::State { state, .. } if state.is_forwarded())
    }
}

impl Trigger {
    /// The nth match of a pattern.
    pub fn nth(nth: u64, on: Pattern) -> Self {
        Self {
            nth,
            on: On::Step(on),
            after: None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.step)?;
        if let Some(verb) = self.verb {
            write!(f, " ({verb})")?;
        }
        if let Some(by) = &self.by {
            write!(f, " by {by}")?;
        }
        if let Some(to) = self.to {
            write!(f, " to the {}", super::word(to))?;
        }
        if let Some(queue) = &self.queue {
            write!(f, " on {queue}")?;
        }
        if let Some(key) = &self.key {
            write!(f, " of {key}")?;
        }
        if let Some(retry) = self.retry {
            write!(f, " with retry count {retry}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.on {
            On::Step(pattern) => {
                // "ack number 30 by analyzer" reads better than "ack by analyzer number 30".
                let (whole, step) = (pattern.to_string(), pattern.step.to_string());
                let rest = whole.strip_prefix(&step).unwrap_or_default();
                write!(f, "{step} number {}{rest}", self.nth)?;
            }
            On::State { state, by, key } => {
                match key {
                    Some(key) => write!(f, "report {key} in state {state} by {by}")?,
                    None => write!(f, "a report in state {state} by {by}")?,
                }
                if self.nth > 1 {
                    write!(f, ", number {}", self.nth)?;
                }
            }
            On::Unacked { unacked, by } => write!(f, "{unacked} unacknowledged by {by}")?,
            On::Depth { depth, queue } => write!(f, "{depth} ready in {queue}")?,
            On::Fault { fault, phase } => {
                let phase = match phase {
                    Phase::Fired => "fired",
                    Phase::Bitten => "bitten",
                    Phase::Healed => "healed",
                };
                write!(f, "{fault} {phase}")?;
            }
        }
        match &self.after {
            Some(after) => write!(f, ", after {after}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MessageState, On, Pattern, Trigger};
    use crate::event::{Covered, Event, Step, StepKind, Verb};

    fn event(svc: &str, step: Step) -> Event {
        Event {
            n: 1,
            at: 0,
            svc: Some(svc.into()),
            conn: Some(1),
            chan: Some(1),
            step,
        }
    }

    fn ack(svc: &str, keys: &[&str]) -> Event {
        let covers = keys
            .iter()
            .zip(1..)
            .map(|(key, tag)| Covered {
                tag,
                key: Some((*key).into()),
                queue: Some("q".into()),
            })
            .collect();
        event(svc, Step::Ack { covers })
    }

    #[test]
    fn a_multiple_ack_counts_each_delivery_that_matches() {
        let mut pattern = Pattern::new(StepKind::Ack);
        assert_eq!(pattern.count(&ack("tags", &["1", "2", "3"])), 3);
        pattern.key = Some("2".into());
        assert_eq!(pattern.count(&ack("tags", &["1", "2", "3"])), 1);
        pattern.by = Some("analyzer".into());
        assert_eq!(pattern.count(&ack("tags", &["1", "2", "3"])), 0);
        assert_eq!(pattern.count(&ack("analyzer", &["2"])), 1);
        pattern.queue = Some("other".into());
        assert_eq!(pattern.count(&ack("analyzer", &["2"])), 0);
    }

    #[test]
    fn a_statement_is_told_by_its_first_word() {
        let commit = Pattern {
            verb: Some(Verb::Commit),
            ..Pattern::new(StepKind::DbOk)
        };
        let answer = |verb| {
            event(
                "tags",
                Step::DbOk {
                    verb,
                    rows: 0,
                    in_tx: false,
                },
            )
        };
        assert_eq!(commit.count(&answer(Verb::Commit)), 1);
        assert_eq!(commit.count(&answer(Verb::Insert)), 0);
    }

    #[test]
    fn a_trigger_reads_as_a_sentence() {
        let ack = Pattern {
            by: Some("analyzer".into()),
            ..Pattern::new(StepKind::Ack)
        };
        let thirtieth = Trigger::nth(30, ack);
        assert_eq!(thirtieth.to_string(), "ack number 30 by analyzer");
        let later = Trigger {
            nth: 1,
            on: On::State {
                state: MessageState::C1,
                by: "tags".into(),
                key: Some("7".into()),
            },
            after: Some(Box::new(thirtieth)),
        };
        assert_eq!(
            later.to_string(),
            "report 7 in state C1 by tags, after ack number 30 by analyzer"
        );
    }

    #[test]
    fn each_form_is_read_back_as_it_was_written() {
        let forms = [
            On::Step(Pattern::new(StepKind::Ack)),
            On::State {
                state: MessageState::A0,
                by: "tags".into(),
                key: None,
            },
            On::Unacked {
                unacked: 8,
                by: "tags".into(),
            },
            On::Depth {
                depth: 5,
                queue: "q".into(),
            },
            On::Fault {
                fault: "fault-1".into(),
                phase: super::Phase::Healed,
            },
        ];
        for on in forms {
            let text = serde_json::to_string(&on).unwrap();
            assert_eq!(serde_json::from_str::<On>(&text).unwrap(), on, "{text}");
        }
    }
}
