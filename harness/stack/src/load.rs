//! Load on a broker or a database, for measurements: the same client code, whether it dials the backend or a tap.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions,
    QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{ConnectOptions, Connection as _, Executor as _};
use tokio::time::Instant;

use crate::client::connect_amqp;

/// Longest time for one measurement.
const DEADLINE: Duration = Duration::from_mins(2);

/// Where to put load, and with which credentials.
#[derive(Debug, Clone)]
pub struct At {
    /// Backend or tap.
    pub addr: SocketAddr,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Virtual host or schema.
    pub name: String,
}

/// A measurement that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct LoadError {
    what: &'static str,
    cause: String,
}

async fn within<T, E: std::fmt::Display>(
    what: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, LoadError> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(LoadError {
            what,
            cause: error.to_string(),
        }),
        Err(_) => Err(LoadError {
            what,
            cause: format!("not done within {} s", DEADLINE.as_secs()),
        }),
    }
}

async fn amqp(at: &At) -> Result<(Connection, Channel), LoadError> {
    within("connect", connect_amqp(at.addr, &at.user, &at.password, &at.name)).await
}

async fn send(channel: &Channel, queue: &str, body: &[u8]) -> lapin::Result<lapin::PublisherConfirm> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    channel
        .basic_publish(
            "".into(),
            queue.into(),
            BasicPublishOptions::default(),
            body,
            properties,
        )
        .await
}

/// Makes an empty durable queue.
///
/// # Errors
/// When the broker refuses.
pub async fn make_queue(at: &At, queue: &str, quorum: bool) -> Result<(), LoadError> {
    let (connection, channel) = amqp(at).await?;
    let mut arguments = FieldTable::default();
    if quorum {
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    }
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    within("declare", channel.queue_declare(queue.into(), options, arguments)).await?;
    within(
        "purge",
        channel.queue_purge(queue.into(), QueuePurgeOptions::default()),
    )
    .await?;
    within("close", connection.close(200, "".into())).await
}

/// Removes a queue.
///
/// # Errors
/// When the broker refuses.
pub async fn remove_queue(at: &At, queue: &str) -> Result<(), LoadError> {
    let (connection, channel) = amqp(at).await?;
    within(
        "delete",
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()),
    )
    .await?;
    within("close", connection.close(200, "".into())).await
}

/// Publishes `count` persistent messages of `size` bytes with confirms, at most `window` unconfirmed, and tells how
/// long that took, without the connection's set-up.
///
/// # Errors
/// When one is not confirmed.
pub async fn publish(
    at: &At,
    queue: &str,
    count: usize,
    size: usize,
    window: usize,
) -> Result<Duration, LoadError> {
    let (connection, channel) = amqp(at).await?;
    let body = vec![b'x'; size];
    let begin = Instant::now();
    let work = async {
        let mut waiting = VecDeque::with_capacity(window);
        for _ in 0..count {
            if waiting.len() == window
                && let Some(confirm) = waiting.pop_front()
            {
                confirmed(confirm).await?;
            }
            waiting.push_back(send(&channel, queue, &body).await?);
        }
        for confirm in waiting {
            confirmed(confirm).await?;
        }
        Ok::<_, lapin::Error>(())
    };
    within("publish", work).await?;
    let took = begin.elapsed();
    within("close", connection.close(200, "".into())).await?;
    Ok(took)
}

/// Consumes `count` messages with one ack each and a prefetch of `window`, and tells how long that took.
///
/// # Errors
/// When they do not come.
pub async fn consume(at: &At, queue: &str, count: usize, window: u16) -> Result<Duration, LoadError> {
    let (connection, channel) = amqp(at).await?;
    within("qos", channel.basic_qos(window, BasicQosOptions::default())).await?;
    let begin = Instant::now();
    let work = async {
        let options = BasicConsumeOptions::default();
        let mut consumer = channel
            .basic_consume(queue.into(), "load".into(), options, FieldTable::default())
            .await?;
        for _ in 0..count {
            let Some(delivery) = consumer.next().await else {
                break;
            };
            delivery?.ack(BasicAckOptions::default()).await?;
        }
        Ok::<_, lapin::Error>(())
    };
    within("consume", work).await?;
    let took = begin.elapsed();
    within("close", connection.close(200, "".into())).await?;
    Ok(took)
}

/// Consumes and acks until the connection is cut: what a trigger on acks interrupts.
///
/// # Errors
/// How it was cut, or why it did not come so far.
pub async fn consume_until_cut(at: &At, queue: &str, window: u16) -> Result<(), LoadError> {
    let (connection, channel) = amqp(at).await?;
    let work = async {
        channel.basic_qos(window, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let mut consumer = channel
            .basic_consume(queue.into(), "load".into(), options, FieldTable::default())
            .await?;
        while let Some(delivery) = consumer.next().await {
            delivery?.ack(BasicAckOptions::default()).await?;
        }
        Ok::<_, lapin::Error>(())
    };
    let ended = within("consume", work).await;
    drop(connection);
    ended
}

/// Publishes `count` messages one at a time and tells how long each took to be confirmed.
///
/// # Errors
/// When one is not confirmed.
pub async fn publish_one_by_one(
    at: &At,
    queue: &str,
    count: usize,
    size: usize,
) -> Result<Vec<Duration>, LoadError> {
    let (connection, channel) = amqp(at).await?;
    let body = vec![b'x'; size];
    let work = async {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let begin = Instant::now();
            confirmed(send(&channel, queue, &body).await?).await?;
            times.push(begin.elapsed());
        }
        Ok::<_, lapin::Error>(times)
    };
    let times = within("publish", work).await?;
    within("close", connection.close(200, "".into())).await?;
    Ok(times)
}

/// Waits for one confirm.
async fn confirmed(confirm: lapin::PublisherConfirm) -> lapin::Result<()> {
    confirm.await.map(drop)
}

async fn session(at: &At) -> Result<MySqlConnection, LoadError> {
    let options = MySqlConnectOptions::new()
        .host(&at.addr.ip().to_string())
        .port(at.addr.port())
        .username(&at.user)
        .password(&at.password)
        .database(&at.name)
        .ssl_mode(MySqlSslMode::Disabled)
        .disable_statement_logging();
    within("connect", MySqlConnection::connect_with(&options)).await
}

/// Makes the table that [`insert`], [`select`] and [`transactions`] need, empty.
///
/// # Errors
/// When the server refuses.
pub async fn make_table(at: &At) -> Result<(), LoadError> {
    let mut session = session(at).await?;
    let sql = "DROP TABLE IF EXISTS load_rows; \
               CREATE TABLE load_rows (id INT AUTO_INCREMENT PRIMARY KEY, body VARCHAR(1024) NOT NULL)";
    within("create table", session.execute(sqlx::raw_sql(sql))).await?;
    Ok(())
}

/// Writes `count` rows of `size` bytes, at most `window` with each statement, which is committed durably; tells how long
/// that took.
///
/// # Errors
/// When a statement fails.
pub async fn insert(at: &At, count: usize, size: usize, window: usize) -> Result<Duration, LoadError> {
    let mut session = session(at).await?;
    let body = "x".repeat(size);
    let begin = Instant::now();
    let work = async {
        let mut left = count;
        while left > 0 {
            let rows = left.min(window);
            let mut sql = sqlx::QueryBuilder::<sqlx::MySql>::new("INSERT INTO load_rows (body) ");
            sql.push_values(std::iter::repeat_n(&body, rows), |mut row, body| {
                row.push_bind(body);
            });
            sql.build().execute(&mut session).await?;
            left -= rows;
        }
        Ok::<_, sqlx::Error>(())
    };
    within("insert", work).await?;
    Ok(begin.elapsed())
}

/// Reads all rows, of which there must be `count`, and tells how long that took.
///
/// # Errors
/// When a statement fails, or another number of rows comes.
pub async fn select(at: &At, count: usize) -> Result<Duration, LoadError> {
    let mut session = session(at).await?;
    let begin = Instant::now();
    let mut rows = sqlx::query("SELECT id, body FROM load_rows").fetch(&mut session);
    let work = async {
        let mut read = 0;
        while rows.try_next().await?.is_some() {
            read += 1;
        }
        Ok::<_, sqlx::Error>(read)
    };
    let read = within("select", work).await?;
    if read != count {
        return Err(LoadError {
            what: "select",
            cause: format!("{read} rows came; expected {count}"),
        });
    }
    Ok(begin.elapsed())
}

/// Runs `each` transactions on each of `sessions` sessions at the same time and tells how long that took, without the
/// sessions' set-up. A transaction is what a report is to a service: a prepared read, a prepared insert of 1 KiB, a
/// durable commit.
///
/// # Errors
/// When a statement fails.
pub async fn transactions(at: &At, sessions: usize, each: usize) -> Result<Duration, LoadError> {
    let mut open = Vec::new();
    for _ in 0..sessions {
        open.push(session(at).await?);
    }
    let body = "x".repeat(1024);
    let begin = Instant::now();
    let work = open.iter_mut().map(|session| {
        let body = &body;
        async move {
            for _ in 0..each {
                let mut transaction = session.begin().await?;
                let read = sqlx::query("SELECT COUNT(*) FROM load_rows WHERE id = ?").bind(1);
                read.fetch_one(&mut *transaction).await?;
                let insert = sqlx::query("INSERT INTO load_rows (body) VALUES (?)").bind(body);
                insert.execute(&mut *transaction).await?;
                transaction.commit().await?;
            }
            Ok::<_, sqlx::Error>(())
        }
    });
    within("transactions", futures::future::try_join_all(work)).await?;
    Ok(begin.elapsed())
}

/// Runs `count` prepared reads one at a time and tells how long each took.
///
/// # Errors
/// When a statement fails.
pub async fn read_one_by_one(at: &At, count: usize) -> Result<Vec<Duration>, LoadError> {
    let mut session = session(at).await?;
    let work = async {
        let mut times = Vec::with_capacity(count);
        for number in 0..count {
            let begin = Instant::now();
            sqlx::query("SELECT ?")
                .bind(number as u64)
                .fetch_one(&mut session)
                .await?;
            times.push(begin.elapsed());
        }
        Ok::<_, sqlx::Error>(times)
    };
    within("reads", work).await
}
