//! Inserting the rows that a report is.

use std::net::SocketAddr;
use std::time::Duration;

use harness_model::topology::Insert;
use serde_json::{Map, Value};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// Longest time for one statement.
const DEADLINE: Duration = Duration::from_secs(30);

/// A row that could not be inserted.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct RowsError {
    what: String,
    cause: String,
}

/// A database connection of the harness.
#[derive(Debug)]
pub struct Rows {
    connection: MySqlConnection,
}

impl Rows {
    /// Dials the harness' tap.
    ///
    /// # Errors
    /// When the database does not answer or refuses.
    pub async fn connect(
        addr: SocketAddr,
        user: &str,
        password: &str,
        schema: &str,
    ) -> Result<Self, RowsError> {
        let options = MySqlConnectOptions::new()
            .host(&addr.ip().to_string())
            .port(addr.port())
            .username(user)
            .password(password)
            .database(schema)
            .ssl_mode(MySqlSslMode::Disabled)
            .disable_statement_logging();
        let connection = deadline("connect", MySqlConnection::connect_with(&options)).await?;
        Ok(Self { connection })
    }

    /// Inserts the rows of reports in one transaction. Each report is its fields by name, with `seq` among them;
    /// `images` are the bytes of their pictures, in the same order.
    ///
    /// # Errors
    /// What the server says; then no row of these reports is there.
    pub async fn insert(
        &mut self,
        inserts: &[Insert],
        reports: &[Map<String, Value>],
        images: &[Vec<u8>],
    ) -> Result<(), RowsError> {
        let mut transaction = deadline("begin", self.connection.begin()).await?;
        for insert in inserts {
            let columns: Vec<_> = insert
                .columns
                .keys()
                .map(|column| format!("`{column}`"))
                .collect();
            let marks = vec!["?"; columns.len()].join(", ");
            let sql = format!(
                "INSERT INTO `{}` ({}) VALUES ({marks})",
                insert.table,
                columns.join(", ")
            );
            for (report, image) in reports.iter().zip(images) {
                let field = |name: &str| report.get(name).filter(|value| !value.is_null());
                if insert.only_if.as_ref().is_some_and(|name| field(name).is_none()) {
                    continue;
                }
                let once = [Value::Null];
                let items = match &insert.for_each {
                    None => &once[..],
                    Some(list) => field(list)
                        .and_then(Value::as_array)
                        .map_or(&[][..], Vec::as_slice),
                };
                for item in items {
                    let mut query = sqlx::query(AssertSqlSafe(sql.as_str()));
                    for source in insert.columns.values() {
                        query = match (source.as_str(), report.get(source.as_str())) {
                            ("image", _) => query.bind(image.as_slice()),
                            ("item", _) => query.bind(item.as_str()),
                            (_, Some(Value::String(text))) => query.bind(text.as_str()),
                            (_, Some(Value::Bool(flag))) => query.bind(*flag),
                            (_, Some(Value::Number(number))) => match number.as_i64() {
                                Some(integer) => query.bind(integer),
                                None => query.bind(number.as_f64()),
                            },
                            _ => query.bind(None::<String>),
                        };
                    }
                    deadline(&insert.table, query.execute(&mut *transaction)).await?;
                }
            }
        }
        deadline("commit", transaction.commit()).await
    }

    /// Ends the session.
    pub async fn close(self) {
        // A session that is lost already needs no ending.
        drop(deadline("close", self.connection.close()).await);
    }
}

async fn deadline<T>(what: &str, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, RowsError> {
    let failed = |cause: String| RowsError {
        what: what.to_owned(),
        cause,
    };
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {} s", DEADLINE.as_secs()))),
    }
}
