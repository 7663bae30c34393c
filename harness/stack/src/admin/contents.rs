//! All that a schema holds, in a form that two schemas can be compared by: rows and a digest for each table, and a digest
//! for the text of each definition.
//!
//! Made by the harness' own hand, from the values that the server sends, so that it says something about a backup that the
//! backup's own counts and checksums do not. One row at a time: a table of any size takes no memory. Not for tables that
//! somebody writes to meanwhile.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Executor, Row};

use super::database::{DatabaseAdmin, DatabaseError, deadline, text};

/// What one table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableContents {
    /// Number of rows.
    pub rows: u64,
    /// Digest of all rows, whatever their order; a row that is there twice counts twice.
    pub digest: String,
}

/// What a schema holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Tables by name.
    pub tables: BTreeMap<String, TableContents>,
    /// Digests of definitions by what they define, such as `trigger added` or `table reports`.
    pub definitions: BTreeMap<String, String>,
}

/// What has a definition: the word for it, and a query for names and texts.
const DEFINITIONS: [(&str, &str); 4] = [
    (
        "trigger",
        "SELECT trigger_name, CONCAT_WS(' ', action_timing, event_manipulation, event_object_table, action_statement) \
         FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
    ),
    (
        "routine",
        "SELECT routine_name, CONCAT_WS(' ', routine_type, data_type, routine_definition) \
         FROM information_schema.routines WHERE routine_schema = DATABASE()",
    ),
    (
        "event",
        "SELECT event_name, CONCAT_WS(' ', interval_value, interval_field, event_definition) \
         FROM information_schema.events WHERE event_schema = DATABASE()",
    ),
    (
        "view",
        "SELECT table_name, view_definition FROM information_schema.views WHERE table_schema = DATABASE()",
    ),
];

impl DatabaseAdmin {
    /// All that the current schema holds.
    ///
    /// # Errors
    /// What the server says.
    pub async fn contents(&mut self) -> Result<Contents, DatabaseError> {
        // Values as they are stored, in one time zone.
        self.run(
            "look into the schema",
            "SET time_zone = '+00:00', sql_mode = ''".to_owned(),
        )
        .await?;
        let mut contents = Contents::default();
        for (kind, query) in DEFINITIONS {
            for row in self.select(kind, query).await? {
                let (name, definition) = (text(&row, 0)?, text(&row, 1)?);
                let digest = Sha256::digest(definition.unwrap_or_default().as_bytes());
                let name = format!("{kind} {}", name.unwrap_or_default());
                contents.definitions.insert(name, hex(&digest));
            }
        }
        // Generated columns say how they are made, which their values alone would not.
        let columns = "SELECT table_name, column_name, column_type, generation_expression, is_nullable, column_default \
                       FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name NOT IN \
                       (SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE()) \
                       ORDER BY table_name, ordinal_position";
        let mut tables = BTreeMap::<String, (Vec<String>, Sha256)>::new();
        for row in self.select("columns", columns).await? {
            let (names, definition) = tables.entry(text(&row, 0)?.unwrap_or_default()).or_default();
            names.push(text(&row, 1)?.unwrap_or_default());
            absorb(definition, &row)?;
        }
        for (table, (columns, definition)) in tables {
            contents
                .definitions
                .insert(format!("table {table}"), hex(&definition.finalize()));
            let found = self.table(&table, &columns).await?;
            contents.tables.insert(table, found);
        }
        Ok(contents)
    }

    async fn select(&mut self, what: &str, sql: &str) -> Result<Vec<MySqlRow>, DatabaseError> {
        let rows = self
            .connection
            .fetch_all(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
        deadline(what, rows).await
    }

    async fn table(&mut self, table: &str, columns: &[String]) -> Result<TableContents, DatabaseError> {
        let columns: Vec<_> = columns.iter().map(|name| quoted(name)).collect();
        let sql = format!("SELECT {} FROM {}", columns.join(", "), quoted(table));
        let mut stream = self.connection.fetch(sqlx::raw_sql(AssertSqlSafe(sql)));
        let (mut rows, mut sum) = (0, 0_u128);
        while let Some(row) = deadline(table, stream.try_next()).await? {
            let mut digest = Sha256::new();
            absorb(&mut digest, &row)?;
            let digest: [u8; 16] = digest.finalize()[..16].try_into().expect("a digest is longer");
            // A sum, unlike an exclusive or, sees two rows that are the same.
            sum = sum.wrapping_add(u128::from_le_bytes(digest));
            rows += 1;
        }
        Ok(TableContents {
            rows,
            digest: format!("{sum:032x}"),
        })
    }
}

/// Adds a row to a digest: of each column whether it is there, how long it is, and its bytes.
fn absorb(digest: &mut Sha256, row: &MySqlRow) -> Result<(), DatabaseError> {
    for index in 0..row.len() {
        let value: Option<Vec<u8>> = row
            .try_get_unchecked(index)
            .map_err(|error| DatabaseError::new("read a column", &error))?;
        match value {
            None => digest.update([0]),
            Some(bytes) => {
                digest.update([1]);
                digest.update((bytes.len() as u64).to_le_bytes());
                digest.update(&bytes);
            }
        }
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes what is written");
        text
    })
}
