//! Publishing with confirms, and looking into queues.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

/// Longest time for one call; lapin has been seen to wait for ever on a blocked connection (amqp-rs/lapin#409).
const DEADLINE: Duration = Duration::from_secs(10);

/// A call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct MessengerError {
    what: String,
    cause: String,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Exchange.
    pub exchange: String,
    /// Routing key.
    pub routing_key: String,
    /// The key of the message, sent as its `message_id`.
    pub message_id: String,
    /// `content_type`.
    pub content_type: String,
    /// Body.
    pub body: Vec<u8>,
    /// `timestamp`, in seconds since 1970: part of the workload, so it comes from the seed and not from a clock.
    pub timestamp: u64,
}

/// What is known of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The broker has confirmed it, and a queue took it.
    Confirmed,
    /// It was returned: no queue took it.
    Returned,
    /// The broker has refused it.
    Refused,
    /// The connection was lost before the broker said anything: it may be in the queue or not.
    Unknown,
}

/// A reading of a queue by passive declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Ready messages.
    pub ready: u64,
    /// Consumers.
    pub consumers: u64,
}

/// A message that was looked at and put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its `message_id`.
    pub message_id: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
    /// The reason of its last death, from `x-death` or `x-first-death-reason`.
    pub reason: Option<String>,
}

/// An AMQP connection of the harness, made again when it is needed and lost.
pub struct Messenger {
    addr: SocketAddr,
    user: String,
    password: String,
    vhost: String,
    open: Option<(Connection, Channel)>,
}

impl std::fmt::Debug for Messenger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messenger")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Messenger {
    /// A messenger that dials `addr` when it is first needed.
    pub fn new(addr: SocketAddr, user: &str, password: &str, vhost: &str) -> Self {
        Self {
            addr,
            user: user.to_owned(),
            password: password.to_owned(),
            vhost: vhost.to_owned(),
            open: None,
        }
    }

    /// Publishes in order, at most `window` unconfirmed at a time, and tells what became of each. After a lost
    /// connection the unconfirmed stay [`Sent::Unknown`] and the rest goes on over a new one, which must come up
    /// `within` that time.
    ///
    /// # Errors
    /// When no connection can be had within the time; what was sent by then is lost to the caller, but stands in the
    /// ledger.
    pub async fn publish(
        &mut self,
        messages: &[Outgoing],
        window: usize,
        within: Duration,
    ) -> Result<Vec<Sent>, MessengerError> {
        let mut fates = vec![Sent::Unknown; messages.len()];
        let mut next = 0;
        while next < messages.len() {
            let channel = self.channel_within(within).await?;
            let mut waiting = VecDeque::new();
            loop {
                if waiting.len() >= window || next == messages.len() {
                    let Some((index, confirm)) = waiting.pop_front() else {
                        break;
                    };
                    match fate(confirm).await {
                        Some(fate) => fates[index] = fate,
                        None => break,
                    }
                    continue;
                }
                let confirm = deadline("publish", send(&channel, &messages[next])).await;
                let index = next;
                next += 1;
                match confirm {
                    Ok(confirm) => waiting.push_back((index, confirm)),
                    Err(_) => break,
                }
            }
            // Only a lost connection leaves confirms behind: some of them may have come before it broke.
            let lost = !waiting.is_empty();
            for (index, confirm) in waiting {
                fates[index] = fate(confirm).await.unwrap_or(Sent::Unknown);
            }
            if lost {
                self.open = None;
            }
        }
        Ok(fates)
    }

    /// Reads a queue.
    ///
    /// # Errors
    /// When the broker does not answer or has no such queue.
    pub async fn depth(&mut self, queue: &str) -> Result<Depth, MessengerError> {
        let channel = self.channel().await?;
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
        match deadline(queue, declared).await {
            Ok(found) => Ok(Depth {
                ready: found.message_count().into(),
                consumers: found.consumer_count().into(),
            }),
            Err(error) => {
                self.open = None;
                Err(error)
            }
        }
    }

    /// Looks at all messages of a queue; they are put back when the channel closes, in their order.
    ///
    /// # Errors
    /// When the broker does not answer or has no such queue.
    pub async fn copy(&mut self, queue: &str) -> Result<Vec<Copied>, MessengerError> {
        self.channel().await?;
        let Some((connection, _)) = &self.open else {
            return Ok(Vec::new());
        };
        let channel = deadline("open a channel", connection.create_channel()).await?;
        let mut copies = Vec::new();
        loop {
            let got = channel.basic_get(queue.into(), BasicGetOptions { no_ack: false });
            let Some(message) = deadline(queue, got).await? else {
                break;
            };
            copies.push(Copied {
                message_id: message
                    .properties
                    .message_id()
                    .as_ref()
                    .map(|id| id.as_str().to_owned()),
                reason: message.properties.headers().as_ref().and_then(death),
                body: message.delivery.data,
            });
        }
        deadline("close the channel", channel.close(200, "".into())).await?;
        Ok(copies)
    }

    /// Closes the connection in an orderly way.
    pub async fn close(&mut self) {
        if let Some((connection, _)) = self.open.take() {
            // A connection that is lost already needs no closing.
            drop(deadline("close", connection.close(200, "".into())).await);
        }
    }

    async fn channel_within(&mut self, within: Duration) -> Result<Channel, MessengerError> {
        if let Some(channel) = self.usable() {
            return Ok(channel);
        }
        let opened = crate::wait::until("a connection to the broker", within, || async {
            connect(self.addr, &self.user, &self.password, &self.vhost)
                .await
                .map_err(|error| error.to_string())
        });
        let (connection, channel) = opened.await.map_err(|timed_out| MessengerError {
            what: "connect to the broker".to_owned(),
            cause: timed_out.to_string(),
        })?;
        self.open = Some((connection, channel.clone()));
        Ok(channel)
    }

    /// The channel, if it and its connection still stand.
    fn usable(&self) -> Option<Channel> {
        let (connection, channel) = self.open.as_ref()?;
        (connection.status().connected() && channel.status().connected()).then(|| channel.clone())
    }

    async fn channel(&mut self) -> Result<Channel, MessengerError> {
        if let Some(channel) = self.usable() {
            return Ok(channel);
        }
        let (connection, channel) = connect(self.addr, &self.user, &self.password, &self.vhost).await?;
        self.open = Some((connection, channel.clone()));
        Ok(channel)
    }
}

/// A connection with one channel in confirm mode.
pub(crate) async fn connect(
    addr: SocketAddr,
    user: &str,
    password: &str,
    vhost: &str,
) -> Result<(Connection, Channel), MessengerError> {
    let vhost = vhost.replace('%', "%25").replace('/', "%2f");
    let uri = format!("amqp://{user}:{password}@{addr}/{vhost}?heartbeat=30");
    let properties = ConnectionProperties::default().with_connection_name("harness".into());
    let connection = deadline("connect", Connection::connect(&uri, properties)).await?;
    let channel = deadline("open a channel", connection.create_channel()).await?;
    deadline(
        "confirm.select",
        channel.confirm_select(ConfirmSelectOptions::default()),
    )
    .await?;
    Ok((connection, channel))
}

/// Throws the ready messages of a queue away, over a connection of its own, and returns how many there were.
pub(crate) async fn purge(
    addr: SocketAddr,
    user: &str,
    password: &str,
    vhost: &str,
    queue: &str,
) -> Result<u64, MessengerError> {
    let (connection, channel) = connect(addr, user, password, vhost).await?;
    let purged = channel.queue_purge(queue.into(), QueuePurgeOptions::default());
    let purged = deadline("queue.purge", purged).await;
    // What was asked for is done or has failed; a connection that cannot be closed is gone.
    drop(deadline("close", connection.close(200, "".into())).await);
    purged.map(u64::from)
}

async fn send(channel: &Channel, message: &Outgoing) -> lapin::Result<lapin::PublisherConfirm> {
    let properties = BasicProperties::default()
        .with_content_type(message.content_type.as_str().into())
        .with_delivery_mode(2)
        .with_message_id(message.message_id.as_str().into())
        .with_timestamp(message.timestamp);
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    channel
        .basic_publish(
            message.exchange.as_str().into(),
            message.routing_key.as_str().into(),
            options,
            &message.body,
            properties,
        )
        .await
}

/// What the broker says of a publish; nothing if the connection went first.
async fn fate(confirm: lapin::PublisherConfirm) -> Option<Sent> {
    match deadline("confirm", confirm).await.ok()? {
        Confirmation::Ack(None) => Some(Sent::Confirmed),
        Confirmation::Ack(Some(_)) => Some(Sent::Returned),
        Confirmation::Nack(_) | Confirmation::NotRequested => Some(Sent::Refused),
    }
}

fn death(headers: &FieldTable) -> Option<String> {
    let inner = headers.inner();
    let first = inner.get("x-death").and_then(|value| match value {
        AMQPValue::FieldArray(deaths) => deaths.as_slice().first(),
        _ => None,
    });
    let reason = match first {
        Some(AMQPValue::FieldTable(death)) => death.inner().get("reason"),
        _ => inner.get("x-first-death-reason"),
    };
    match reason? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

async fn deadline<T>(what: &str, call: impl Future<Output = lapin::Result<T>>) -> Result<T, MessengerError> {
    let failed = |cause: String| MessengerError {
        what: what.to_owned(),
        cause,
    };
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {} s", DEADLINE.as_secs()))),
    }
}
