//! What can be seen to happen in a trial, one [`Event`] for each step.
//!
//! Taps write what goes over the wire **before** they forward it; the runner and the faults write what they do. The
//! words are those of the protocols: AMQP 0-9-1 methods (specification, sections 1.4 to 1.8), RabbitMQ's extensions
//! (confirms, `basic.nack`, `connection.blocked`) and the MySQL client/server protocol.

mod kind;

use serde::{Deserialize, Serialize};

use crate::name::{Key, Name};

pub use self::kind::StepKind;

/// One step of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the ledger, counted from 1 without gaps.
    pub n: u64,
    /// Nanoseconds since the trial's ledger was opened, from a monotonic clock.
    pub at: u64,
    /// The service on whose link it was seen; the harness' own link is called `harness`. Absent for events that are
    /// not about a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub svc: Option<Name>,
    /// The connection within the trial, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conn: Option<u32>,
    /// The AMQP channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chan: Option<u16>,
    /// What happened.
    #[serde(flatten)]
    pub step: Step,
}

/// What a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The message broker (AMQP 0-9-1).
    Broker,
    /// The database (MySQL protocol).
    Database,
}

/// Which end of a link did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The service (or the harness as a client).
    Client,
    /// The broker or database.
    Server,
    /// The tap between them, on behalf of a fault.
    Tap,
}

/// How a connection ended on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// An orderly end of stream.
    Fin,
    /// A reset.
    Rst,
}

/// One message that a confirm or a settlement covers; `multiple` is expanded to the messages it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// Delivery tag, or publish sequence number.
    pub tag: u64,
    /// Which message it is, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// The queue it was delivered from; absent for confirms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Name>,
}

/// Facts about a message that travel with a publish, a return or a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Exchange it was published to; empty for the default exchange.
    pub exchange: String,
    /// Routing key.
    pub routing_key: String,
    /// Which message it is, if that could be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// Length of the body in bytes.
    pub size: u64,
    /// XXH3 (64 bit) of the body, in hex.
    pub hash: String,
    /// `delivery_mode` 2.
    pub persistent: bool,
    /// The retry counter header, whatever AMQP integer type carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<i64>,
    /// Why it was last dead-lettered (`x-first-death-reason` or the head of `x-death`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub death: Option<String>,
    /// The body, where the topology asks for it (events whose fields are compared with the database).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// The hash of a body that stands in the ledger and in dead letters: XXH3 (64 bit), 16 hex digits.
pub fn body_hash(body: &[u8]) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(body))
}

/// The first word of a statement, as far as it matters to a reader of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the SQL word it is named after")]
pub enum Verb {
    Select,
    Insert,
    Update,
    Delete,
    Replace,
    Begin,
    Commit,
    Rollback,
    Set,
    Ddl,
    Ping,
    Other,
}

impl Verb {
    /// It changes rows.
    pub fn is_write(self) -> bool {
        matches!(self, Self::Insert | Self::Update | Self::Delete | Self::Replace)
    }
}

/// What became of a frame that a trigger held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Sent on, unchanged.
    Forwarded,
    /// Taken out of the stream.
    Dropped,
    /// Lost with its connection.
    Cut,
    /// Sent twice.
    Duplicated,
    /// Sent on after the frames behind it.
    Reordered,
}

/// The life of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultChange {
    /// Waiting for its trigger.
    Armed,
    /// Its trigger matched event `by`.
    Fired {
        /// The event.
        by: u64,
    },
    /// It has taken effect.
    Bitten {
        /// What shows it.
        proof: String,
    },
    /// It has been undone.
    Healed {
        /// What shows it.
        proof: String,
    },
}

/// What happened. In JSON the field `step` names the variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    // --- connections, both protocols ---------------------------------------------------------------------------
    /// A client was connected through to a backend.
    Connect {
        /// What it leads to.
        to: Backend,
    },
    /// A client reached the tap, but the backend could not be dialled.
    DialFailed {
        /// What it should have led to.
        to: Backend,
        /// The dial's error.
        error: String,
    },
    /// One direction or the whole of a connection ended.
    Disconnect {
        /// What it led to.
        to: Backend,
        /// Who ended it.
        by: Side,
        /// How.
        how: Ending,
    },
    /// Bytes that cannot be decoded; from here on the connection is passed through untouched. Said once a connection.
    Opaque {
        /// What it leads to.
        to: Backend,
        /// What was found instead.
        why: String,
    },

    // --- AMQP ---------------------------------------------------------------------------------------------------
    /// `connection.open-ok`.
    AmqpOpened {
        /// Virtual host.
        vhost: String,
        /// Agreed heartbeat, in seconds; 0 is none.
        heartbeat: u16,
        /// Agreed largest frame, in bytes.
        frame_max: u32,
    },
    /// `connection.close`.
    AmqpClosed {
        /// Who closed.
        by: Side,
        /// Reply code.
        code: u16,
        /// Reply text.
        text: String,
    },
    /// `channel.open-ok`.
    ChannelOpened,
    /// `channel.close`.
    ChannelClosed {
        /// Who closed.
        by: Side,
        /// Reply code.
        code: u16,
        /// Reply text.
        text: String,
    },
    /// `connection.blocked`.
    Blocked {
        /// The broker's reason.
        reason: String,
    },
    /// `connection.unblocked`.
    Unblocked,
    /// A heartbeat frame.
    Heartbeat {
        /// Who sent it.
        by: Side,
    },
    /// `basic.qos`.
    Qos {
        /// Prefetch count; 0 is unlimited.
        prefetch: u16,
        /// The `global` bit.
        global: bool,
    },
    /// `confirm.select`.
    ConfirmSelect,
    /// `queue.declare` or `exchange.declare`.
    Declare {
        /// `queue` or `exchange`.
        what: String,
        /// Its name.
        name: Name,
        /// The `durable` bit.
        durable: bool,
        /// The `passive` bit.
        passive: bool,
    },
    /// `queue.bind`.
    Bind {
        /// The queue.
        queue: Name,
        /// The exchange.
        exchange: Name,
        /// The binding key.
        key: String,
    },
    /// `queue.unbind`.
    Unbind {
        /// The queue.
        queue: Name,
        /// The exchange.
        exchange: Name,
        /// The binding key.
        key: String,
    },
    /// `queue.delete` or `exchange.delete`.
    Delete {
        /// `queue` or `exchange`.
        what: String,
        /// Its name.
        name: Name,
    },
    /// `basic.consume-ok`, with what was asked for.
    Consume {
        /// The queue.
        queue: Name,
        /// Consumer tag.
        consumer: Name,
        /// Deliveries need no acknowledgement.
        no_ack: bool,
    },
    /// `basic.cancel`.
    Cancel {
        /// Who cancelled.
        by: Side,
        /// Consumer tag.
        consumer: Name,
        /// Its queue, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<Name>,
    },
    /// `basic.publish` with its content.
    Publish {
        /// Sequence number on the channel in confirm mode, counted from 1; 0 without confirms.
        tag: u64,
        /// The `mandatory` bit.
        mandatory: bool,
        /// The message.
        #[serde(flatten)]
        message: Message,
    },
    /// A publisher confirm.
    Confirm {
        /// `basic.ack` (true) or `basic.nack` (false).
        ok: bool,
        /// The publishes it covers.
        covers: Vec<Covered>,
    },
    /// `basic.return`: a mandatory publish that no queue took.
    Return {
        /// Reply code.
        code: u16,
        /// Reply text.
        text: String,
        /// The message.
        #[serde(flatten)]
        message: Message,
    },
    /// `basic.deliver` or `basic.get-ok` with its content.
    Deliver {
        /// Delivery tag.
        tag: u64,
        /// Consumer tag; empty for `basic.get`.
        consumer: Name,
        /// The queue it comes from, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<Name>,
        /// The broker's `redelivered` bit.
        redelivered: bool,
        /// The message.
        #[serde(flatten)]
        message: Message,
    },
    /// `basic.ack` from a consumer.
    Ack {
        /// The deliveries it covers.
        covers: Vec<Covered>,
    },
    /// `basic.nack` or `basic.reject` from a consumer.
    Nack {
        /// Put back, or dropped / dead-lettered.
        requeue: bool,
        /// The deliveries it covers.
        covers: Vec<Covered>,
    },

    // --- MySQL --------------------------------------------------------------------------------------------------
    /// The handshake is done.
    DbOpened {
        /// Initial schema.
        schema: String,
    },
    /// `COM_QUERY`, or the execution of a prepared statement.
    Statement {
        /// Its first word.
        verb: Verb,
        /// Its text, cut at 300 characters.
        sql: String,
        /// Prepared (true) or text.
        prepared: bool,
        /// Reports that are in the hands of this service and whose key occurs among its values.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        keys: Vec<Key>,
    },
    /// An OK packet, or the end of a result set.
    DbOk {
        /// What it answers.
        verb: Verb,
        /// Affected rows, or rows of the result set.
        rows: u64,
        /// The server is inside a transaction.
        in_tx: bool,
    },
    /// An ERR packet.
    DbErr {
        /// What it answers.
        verb: Verb,
        /// Server error code.
        code: u16,
        /// Message.
        text: String,
    },
    /// `COM_QUIT`.
    DbQuit,

    // --- the harness --------------------------------------------------------------------------------------------
    /// A phase of the trial begins.
    Phase {
        /// Its name.
        name: Name,
    },
    /// A report's row is in the database and its message is about to be published.
    Inject {
        /// Its key.
        key: Key,
        /// The report's name in the corpus or generator.
        report: String,
    },
    /// A container was started by the harness, or was seen to end.
    Container {
        /// Which: a service, `broker` or `database`.
        name: Name,
        /// `started`, `killed`, `stopped` or `exited`.
        change: String,
        /// Exit code, once it has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<i64>,
    },
    /// A fault's life.
    Fault {
        /// Its id within the trial.
        id: Name,
        /// What became of it.
        change: FaultChange,
    },
    /// A frame is held on behalf of a fault.
    Held {
        /// The fault.
        fault: Name,
        /// The event that the frame is.
        event: u64,
    },
    /// A held frame is let go.
    Released {
        /// The fault.
        fault: Name,
        /// The event that the frame is.
        event: u64,
        /// What became of it.
        fate: Fate,
    },
    /// A service's health endpoint, when its answer changes.
    Health {
        /// HTTP status; 0 when it did not answer.
        status: u16,
        /// What it says of its broker, where the topology tells where to look.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        broker: Option<bool>,
    },
    /// A reading of a queue, by passive declare.
    Depth {
        /// The queue.
        queue: Name,
        /// Ready messages.
        ready: u64,
        /// Consumers.
        consumers: u64,
    },
    /// The canary that shows recovery has come through.
    Recovered {
        /// The canary.
        key: Key,
        /// Milliseconds from the last healing to the canary's last effect.
        ms: u64,
    },
    /// A request of a service to somebody outside the pipeline, as the harness answers it.
    Upstream {
        /// Whom it asked, by the name in the topology.
        name: Name,
        /// The report it is about, if that can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Key>,
        /// Status of the answer; 0 if there is none, or none that is whole.
        status: u16,
        /// The fault that answers in the place of a good answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<Name>,
    },
    /// A script in the ops box.
    Script {
        /// What it is for: `deploy`, `backup` and so on.
        name: Name,
        /// `started` or `ended`.
        change: String,
        /// Exit code, once it has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<i64>,
    },
    /// A process of a script, told after the script has ended, in the order in which processes were started.
    Process {
        /// Its arguments; secrets are replaced by `<secret:NAME>`.
        argv: Vec<String>,
        /// Exit code; absent if a signal ended it, or if it outlived the script.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<i64>,
    },
    /// A file that a script has opened to write, told after the script has ended.
    File {
        /// Where.
        path: String,
        /// SHA-256 of what it held at the end; absent if it was gone by then, or is no plain file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
        /// Its length at the end.
        bytes: u64,
    },
    /// A request from the ops box that changes something on the engine.
    Engine {
        /// Method and path, such as `POST /containers/create?name=x`.
        call: String,
        /// Status of the answer; 0 if there is none, 403 if it was about something of somebody else's.
        status: u16,
    },
    /// Something worth knowing to a reader.
    Note {
        /// The text.
        text: String,
    },
}
