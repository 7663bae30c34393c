//! What is common to many kinds of step: their names, the link they are seen on, the messages they are about.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Backend, Step, Verb};
use crate::name::Key;

/// The kind of a [`Step`], for triggers and for must-see lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the step it is named after")]
pub enum StepKind {
    Connect,
    DialFailed,
    Disconnect,
    Opaque,
    AmqpOpened,
    AmqpClosed,
    ChannelOpened,
    ChannelClosed,
    Blocked,
    Unblocked,
    Heartbeat,
    Qos,
    ConfirmSelect,
    Declare,
    Bind,
    Unbind,
    Delete,
    Consume,
    Cancel,
    Publish,
    Confirm,
    Return,
    Deliver,
    Ack,
    Nack,
    DbOpened,
    Statement,
    DbOk,
    DbErr,
    DbQuit,
    Phase,
    Inject,
    Container,
    Fault,
    Held,
    Released,
    Health,
    Depth,
    Recovered,
    Upstream,
    Script,
    Process,
    File,
    Engine,
    Note,
}

impl Step {
    /// What the link leads to that this step is seen on; none for a step that is on no link.
    pub fn link(&self) -> Option<Backend> {
        match self {
            Self::Connect { to }
            | Self::DialFailed { to, .. }
            | Self::Disconnect { to, .. }
            | Self::Opaque { to, .. } => Some(*to),
            Self::DbOpened { .. }
            | Self::Statement { .. }
            | Self::DbOk { .. }
            | Self::DbErr { .. }
            | Self::DbQuit => Some(Backend::Database),
            Self::Phase { .. }
            | Self::Inject { .. }
            | Self::Container { .. }
            | Self::Fault { .. }
            | Self::Held { .. }
            | Self::Released { .. }
            | Self::Health { .. }
            | Self::Depth { .. }
            | Self::Recovered { .. }
            | Self::Upstream { .. }
            | Self::Script { .. }
            | Self::Process { .. }
            | Self::File { .. }
            | Self::Engine { .. }
            | Self::Note { .. } => None,
            _ => Some(Backend::Broker),
        }
    }

    /// The first word of a statement, or of the one that is answered.
    pub fn verb(&self) -> Option<Verb> {
        match self {
            Self::Statement { verb, .. } | Self::DbOk { verb, .. } | Self::DbErr { verb, .. } => Some(*verb),
            _ => None,
        }
    }

    /// Which kind of step this is.
    pub fn kind(&self) -> StepKind {
        match self {
            Self::Connect { .. } => StepKind::Connect,
            Self::DialFailed { .. } => StepKind::DialFailed,
            Self::Disconnect { .. } => StepKind::Disconnect,
            Self::Opaque { .. } => StepKind::Opaque,
            Self::AmqpOpened { .. } => StepKind::AmqpOpened,
            Self::AmqpClosed { .. } => StepKind::AmqpClosed,
            Self::ChannelOpened => StepKind::ChannelOpened,
            Self::ChannelClosed { .. } => StepKind::ChannelClosed,
            Self::Blocked { .. } => StepKind::Blocked,
            Self::Unblocked => StepKind::Unblocked,
            Self::Heartbeat { .. } => StepKind::Heartbeat,
            Self::Qos { .. } => StepKind::Qos,
            Self::ConfirmSelect => StepKind::ConfirmSelect,
            Self::Declare { .. } => StepKind::Declare,
            Self::Bind { .. } => StepKind::Bind,
            Self::Unbind { .. } => StepKind::Unbind,
            Self::Delete { .. } => StepKind::Delete,
            Self::Consume { .. } => StepKind::Consume,
            Self::Cancel { .. } => StepKind::Cancel,
            Self::Publish { .. } => StepKind::Publish,
            Self::Confirm { .. } => StepKind::Confirm,
            Self::Return { .. } => StepKind::Return,
            Self::Deliver { .. } => StepKind::Deliver,
            Self::Ack { .. } => StepKind::Ack,
            Self::Nack { .. } => StepKind::Nack,
            Self::DbOpened { .. } => StepKind::DbOpened,
            Self::Statement { .. } => StepKind::Statement,
            Self::DbOk { .. } => StepKind::DbOk,
            Self::DbErr { .. } => StepKind::DbErr,
            Self::DbQuit => StepKind::DbQuit,
            Self::Phase { .. } => StepKind::Phase,
            Self::Inject { .. } => StepKind::Inject,
            Self::Container { .. } => StepKind::Container,
            Self::Fault { .. } => StepKind::Fault,
            Self::Held { .. } => StepKind::Held,
            Self::Released { .. } => StepKind::Released,
            Self::Health { .. } => StepKind::Health,
            Self::Depth { .. } => StepKind::Depth,
            Self::Recovered { .. } => StepKind::Recovered,
            Self::Upstream { .. } => StepKind::Upstream,
            Self::Script { .. } => StepKind::Script,
            Self::Process { .. } => StepKind::Process,
            Self::File { .. } => StepKind::File,
            Self::Engine { .. } => StepKind::Engine,
            Self::Note { .. } => StepKind::Note,
        }
    }

    /// The messages this step is about, as far as they are known.
    pub fn keys(&self) -> Vec<&Key> {
        match self {
            Self::Publish { message, .. } | Self::Return { message, .. } | Self::Deliver { message, .. } => {
                message.key.iter().collect()
            }
            Self::Confirm { covers, .. } | Self::Ack { covers } | Self::Nack { covers, .. } => {
                covers.iter().filter_map(|covered| covered.key.as_ref()).collect()
            }
            Self::Statement { keys, .. } => keys.iter().collect(),
            Self::Upstream { key, .. } => key.iter().collect(),
            Self::Inject { key, .. } | Self::Recovered { key, .. } => vec![key],
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json_word(self, f)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json_word(self, f)
    }
}

/// The JSON word is the one that ledgers show; a second spelling would only confuse.
fn json_word(value: &impl Serialize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let word = serde_json::to_string(value).map_err(|_| fmt::Error)?;
    f.pad(word.trim_matches('"'))
}
