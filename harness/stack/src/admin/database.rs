//! The database, as its administrator sees it.
//!
//! Rows are read through the text protocol: it needs no knowledge of column types, and for FLOAT columns the exact
//! 32-bit value is had by asking the server to widen it (printed as they are, floats are cut to six digits).

use std::collections::BTreeMap;
use std::time::Duration;

use harness_model::evidence::Fields;
use serde_json::Value;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Row, TypeInfo};

use crate::backend::MYSQL_PORT;
use crate::pool::BackendInfo;

/// Longest time for one statement.
const DEADLINE: Duration = Duration::from_secs(30);

/// A statement that failed.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct DatabaseError {
    what: String,
    cause: String,
}

impl DatabaseError {
    pub(super) fn new(what: impl Into<String>, cause: &impl ToString) -> Self {
        Self {
            what: what.into(),
            cause: cause.to_string(),
        }
    }
}

/// A connection with every right.
#[derive(Debug)]
pub struct DatabaseAdmin {
    pub(super) connection: MySqlConnection,
    /// How it was made, for connections of their own.
    pub(super) options: MySqlConnectOptions,
}

impl DatabaseAdmin {
    /// Dials and logs in.
    ///
    /// # Errors
    /// When the database does not answer or refuses.
    pub async fn connect(database: &BackendInfo) -> Result<Self, DatabaseError> {
        let options = MySqlConnectOptions::new()
            .host(&database.ip.to_string())
            .port(MYSQL_PORT)
            .username(&database.user)
            .password(&database.password)
            .ssl_mode(MySqlSslMode::Disabled)
            .disable_statement_logging();
        let connection = deadline("connect", MySqlConnection::connect_with(&options)).await?;
        Ok(Self { connection, options })
    }

    /// The server's version.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&mut self) -> Result<String, DatabaseError> {
        let row = deadline(
            "version",
            self.connection.fetch_one(sqlx::raw_sql("SELECT VERSION()")),
        )
        .await?;
        text(&row, 0).map(Option::unwrap_or_default)
    }

    /// Makes a schema and a user of the same name with all rights on it, and runs `scripts` in it, in order.
    ///
    /// # Errors
    /// What the server says, with the name of the script.
    pub async fn provision(
        &mut self,
        name: &str,
        password: &str,
        scripts: &[(String, String)],
    ) -> Result<(), DatabaseError> {
        let made = format!(
            "CREATE DATABASE `{name}` CHARACTER SET utf8mb4; CREATE USER `{name}`@'%' IDENTIFIED BY '{password}'; \
             GRANT ALL ON `{name}`.* TO `{name}`@'%'; USE `{name}`;"
        );
        self.run("make the schema", made).await?;
        for (file, script) in scripts {
            self.run(file, script.clone()).await?;
        }
        Ok(())
    }

    /// Removes a schema and its user; it is no error if they are not there.
    ///
    /// # Errors
    /// What the server says.
    pub async fn remove(&mut self, name: &str) -> Result<(), DatabaseError> {
        // Open sessions of the user would keep metadata locks that DROP waits for.
        self.end_sessions(name).await?;
        self.run(
            "remove the schema",
            format!("DROP DATABASE IF EXISTS `{name}`; DROP USER IF EXISTS `{name}`@'%'"),
        )
        .await
    }

    /// Makes `name` the schema that [`read_table`] reads from.
    ///
    /// # Errors
    /// What the server says.
    pub async fn select_schema(&mut self, name: &str) -> Result<(), DatabaseError> {
        self.run("select the schema", format!("USE `{name}`")).await
    }

    /// The schemas that are not the server's own.
    ///
    /// # Errors
    /// What the server says.
    pub async fn schemas(&mut self) -> Result<Vec<String>, DatabaseError> {
        let sql = "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN \
                   ('information_schema', 'mysql', 'performance_schema', 'sys') ORDER BY schema_name";
        let rows = self.connection.fetch_all(sqlx::raw_sql(sql));
        let rows = deadline("list the schemas", rows).await?;
        let names = rows
            .iter()
            .map(|row| text(row, 0))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(names.into_iter().flatten().collect())
    }

    /// Runs statements in the current schema, for as long as they take within reason.
    ///
    /// # Errors
    /// What the server says.
    pub async fn script(&mut self, what: &str, sql: &str) -> Result<(), DatabaseError> {
        self.run(what, sql.to_owned()).await
    }

    /// All rows of a table.
    ///
    /// # Errors
    /// What the server says.
    pub async fn rows(&mut self, table: &str, order: &[&str]) -> Result<Vec<Fields>, DatabaseError> {
        read_table(&mut self.connection, table, order).await
    }

    pub(super) async fn run(&mut self, what: &str, sql: String) -> Result<(), DatabaseError> {
        deadline(what, self.connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))))
            .await
            .map(drop)
    }
}

/// All rows of a table of the current schema, ordered by the given columns. Numbers are JSON numbers, NULL is null,
/// everything else is text; of binary columns the SHA-256 stands for the bytes.
///
/// # Errors
/// What the server says.
pub async fn read_table(
    connection: &mut MySqlConnection,
    table: &str,
    order: &[&str],
) -> Result<Vec<Fields>, DatabaseError> {
    let columns = deadline(
        table,
        connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(format!(
            "SELECT column_name, data_type FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY ordinal_position"
        )))),
    )
    .await?;
    let mut selected = Vec::new();
    for column in &columns {
        let (name, kind) = (
            text(column, 0)?.unwrap_or_default(),
            text(column, 1)?.unwrap_or_default(),
        );
        selected.push(match kind.as_str() {
            "float" => format!("CAST(`{name}` AS DOUBLE) AS `{name}`"),
            "blob" | "longblob" | "mediumblob" | "tinyblob" | "binary" | "varbinary" => {
                format!("SHA2(`{name}`, 256) AS `{name}`")
            }
            _ => format!("`{name}`"),
        });
    }
    if selected.is_empty() {
        return Err(DatabaseError::new(table, &"no such table"));
    }
    let order: Vec<_> = order.iter().map(|column| format!("`{column}`")).collect();
    let sql = format!(
        "SELECT {} FROM `{table}` ORDER BY {}",
        selected.join(", "),
        order.join(", ")
    );
    let rows = deadline(table, connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)))).await?;
    rows.iter().map(fields).collect()
}

fn fields(row: &MySqlRow) -> Result<Fields, DatabaseError> {
    let mut fields = BTreeMap::new();
    for column in row.columns() {
        let number = matches!(
            column.type_info().name(),
            "BOOLEAN"
                | "TINYINT"
                | "SMALLINT"
                | "MEDIUMINT"
                | "INT"
                | "BIGINT"
                | "TINYINT UNSIGNED"
                | "SMALLINT UNSIGNED"
                | "MEDIUMINT UNSIGNED"
                | "INT UNSIGNED"
                | "BIGINT UNSIGNED"
                | "FLOAT"
                | "DOUBLE"
                | "YEAR"
        );
        let value = match text(row, column.ordinal())? {
            None => Value::Null,
            Some(text) if number => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            Some(text) => Value::String(text),
        };
        fields.insert(column.name().to_owned(), value);
    }
    Ok(fields)
}

/// A column as the text protocol gives it.
pub(super) fn text(row: &MySqlRow, index: usize) -> Result<Option<String>, DatabaseError> {
    let bytes: Option<Vec<u8>> = row
        .try_get_unchecked(index)
        .map_err(|error| DatabaseError::new("read a column", &error))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

pub(super) async fn deadline<T>(
    what: &str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, DatabaseError> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(answer) => answer.map_err(|error| DatabaseError::new(what, &error)),
        Err(_) => Err(DatabaseError::new(
            what,
            &format!("no answer within {} s", DEADLINE.as_secs()),
        )),
    }
}
