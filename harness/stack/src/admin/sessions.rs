//! Other people's sessions on the database: refusing and ending them, and locks in their way.
//!
//! Written for MariaDB and MySQL alike: what one of them has alone (a negative limit of connections, the lock tables of
//! the performance schema) is not used.

use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::sync::Mutex;

use super::database::{DatabaseAdmin, DatabaseError, deadline, text};
use crate::wait;

/// Longest time for an ended session to be gone, and for a lock to be had.
const WITHIN: Duration = Duration::from_secs(10);

/// A limit of connections that nobody reaches.
const ROOM: u32 = 100_000;

/// A session of the harness that stands in the way of others, until it is released.
#[derive(Debug)]
#[must_use = "dropping it ends its session, and with it what it holds"]
pub struct Held {
    connection: MySqlConnection,
    what: String,
}

impl Held {
    /// Lets go: rolls back, unlocks and logs out.
    ///
    /// # Errors
    /// What the server says. The session is over even so.
    pub async fn release(mut self) -> Result<(), DatabaseError> {
        let what = format!("release {}", self.what);
        let free = self.connection.execute(sqlx::raw_sql("ROLLBACK; UNLOCK TABLES"));
        deadline(&what, free).await?;
        deadline(&what, self.connection.close()).await
    }
}

impl DatabaseAdmin {
    /// How many connections a user may have at a time; `None` means any number. More are refused with error 1226; those
    /// that are open stay, and only those that were opened under a limit count.
    ///
    /// # Errors
    /// What the server says.
    pub async fn limit_connections(&mut self, user: &str, most: Option<u32>) -> Result<(), DatabaseError> {
        let most = most.unwrap_or(0);
        let sql = format!("ALTER USER `{user}`@'%' WITH MAX_USER_CONNECTIONS {most}");
        self.run("limit connections", sql).await
    }

    /// Ends all sessions of a user and waits until they are gone. Returns how many there were; new ones may come.
    ///
    /// # Errors
    /// What the server says, or that they are still there after ten seconds.
    pub async fn end_sessions(&mut self, user: &str) -> Result<usize, DatabaseError> {
        self.end_sessions_but(user, None).await
    }

    /// From now on a user's connections are refused with error 1226, and those that were open have been ended: the one
    /// connection that is allowed is held here. [`Held::release`] and [`DatabaseAdmin::limit_connections`] with `None`
    /// undo it.
    ///
    /// # Errors
    /// What the server says; then the limit may stand.
    pub async fn exhaust_connections(&mut self, user: &str, password: &str) -> Result<Held, DatabaseError> {
        let what = format!("all connections of {user}");
        // Connections count that were opened under a limit: ours is, before there is only room for one.
        self.limit_connections(user, Some(ROOM)).await?;
        let options = self.options.clone().username(user).password(password);
        let mut connection = deadline(&what, MySqlConnection::connect_with(&options)).await?;
        let own = deadline(
            &what,
            connection.fetch_one(sqlx::raw_sql("SELECT CONNECTION_ID()")),
        )
        .await?;
        let own = text(&own, 0)?;
        self.limit_connections(user, Some(1)).await?;
        self.end_sessions_but(user, own.as_deref()).await?;
        Ok(Held { connection, what })
    }

    async fn end_sessions_but(&mut self, user: &str, spared: Option<&str>) -> Result<usize, DatabaseError> {
        let mut open = self.sessions(user).await?;
        open.retain(|id| Some(id.as_str()) != spared);
        for id in &open {
            // It may have ended by itself in between.
            drop(self.run("end a session", format!("KILL {id}")).await);
        }
        let me = Mutex::new(&mut *self);
        let gone = wait::until("ended sessions to be gone", WITHIN, || async {
            let left = me.lock().await.sessions(user).await;
            let mut left = left.map_err(|error| error.to_string())?;
            left.retain(|id| open.contains(id));
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("session {}", left.join(", ")))
            }
        });
        gone.await
            .map_err(|timed_out| DatabaseError::new(format!("end the sessions of {user}"), &timed_out))?;
        Ok(open.len())
    }

    /// The ids of a user's sessions.
    async fn sessions(&mut self, user: &str) -> Result<Vec<String>, DatabaseError> {
        let sql = format!("SELECT id FROM information_schema.processlist WHERE user = '{user}'");
        self.column("list sessions", sql).await
    }

    /// Locks all rows of a table and the gaps between them, in a transaction of its own: nobody can change, delete or
    /// insert a row, or lock one for reading. Plain reading goes on.
    ///
    /// # Errors
    /// What the server says, also when somebody else has a row locked and keeps it for ten seconds.
    pub async fn hold_rows(&self, schema: &str, table: &str) -> Result<Held, DatabaseError> {
        // Gaps are locked at this isolation only, and counting reads every row. A lock of the index that is read keeps
        // inserts out, whichever index it is.
        let sql = format!(
            "SET SESSION innodb_lock_wait_timeout = {0}, SESSION lock_wait_timeout = {0}; \
             SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION; \
             SELECT COUNT(*) FROM `{schema}`.`{table}` FOR UPDATE",
            WITHIN.as_secs()
        );
        self.hold(format!("the rows of {table}"), sql).await
    }

    /// Locks a table for writing: nobody else can write or read it.
    ///
    /// # Errors
    /// What the server says, also when a transaction that has used the table stays open for ten seconds.
    pub async fn hold_table(&self, schema: &str, table: &str) -> Result<Held, DatabaseError> {
        let sql = format!(
            "SET SESSION lock_wait_timeout = {}; LOCK TABLES `{schema}`.`{table}` WRITE",
            WITHIN.as_secs()
        );
        self.hold(format!("table {table}"), sql).await
    }

    async fn hold(&self, what: String, sql: String) -> Result<Held, DatabaseError> {
        let trying = format!("lock {what}");
        let mut connection = deadline(&trying, MySqlConnection::connect_with(&self.options)).await?;
        deadline(&trying, connection.execute(sqlx::raw_sql(AssertSqlSafe(sql)))).await?;
        Ok(Held { connection, what })
    }

    /// The sessions of a user that wait for a lock now, one line each, with what they wait for and what they want to do.
    ///
    /// # Errors
    /// What the server says.
    pub async fn waiting(&mut self, user: &str) -> Result<Vec<String>, DatabaseError> {
        // A wait for a row stands in the engine's own account, every other in the session's state. The engine's tables
        // would be easier to read, but whoever reads them ten times a second is shown the first answer for ever.
        let account = self
            .connection
            .fetch_one(sqlx::raw_sql("SHOW ENGINE INNODB STATUS"));
        let account = deadline("read the engine's account", account).await?;
        let account = text(&account, 2)?.unwrap_or_default();
        let mut for_rows = row_waiters(&account);
        for_rows.push("NULL");
        let for_rows = for_rows.join(", ");
        let sql = format!(
            "SELECT CONCAT('session ', id, ': ', IF(id IN ({for_rows}), 'Waiting for row lock', state), ': ', \
                           LEFT(info, 120)) \
             FROM information_schema.processlist WHERE user = '{user}' AND info IS NOT NULL \
             AND (id IN ({for_rows}) OR state LIKE 'Waiting for % lock') ORDER BY id"
        );
        self.column("list sessions that wait", sql).await
    }

    /// Makes the whole server refuse writes with error 1290, of everybody but administrators; or lets it take them again.
    /// It needs an exclusive lease, and is forgotten at a restart.
    ///
    /// # Errors
    /// What the server says, also when somebody holds a table locked or does not end a commit.
    pub async fn read_only(&mut self, on: bool) -> Result<(), DatabaseError> {
        let sql = format!(
            "SET SESSION lock_wait_timeout = {}; SET GLOBAL read_only = {}",
            WITHIN.as_secs(),
            u8::from(on)
        );
        self.run("change read_only", sql).await
    }

    /// Whether the server refuses writes.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn is_read_only(&mut self) -> Result<bool, DatabaseError> {
        let value = self.column("read read_only", "SELECT @@GLOBAL.read_only".to_owned());
        // MariaDB 12 and MySQL differ in whether it is a number or a word.
        Ok(value
            .await?
            .first()
            .is_some_and(|value| value != "0" && value != "OFF"))
    }

    /// The first column of what a query finds, without NULLs.
    async fn column(&mut self, what: &str, sql: String) -> Result<Vec<String>, DatabaseError> {
        let rows = self.connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql)));
        let rows = deadline(what, rows).await?;
        let values = rows.iter().filter_map(|row| text(row, 0).transpose());
        values.collect()
    }
}

/// The sessions that wait for a row, from the engine's account of its transactions.
fn row_waiters(account: &str) -> Vec<&str> {
    let transactions = account.split("\n---TRANSACTION ").skip(1);
    let waiting = transactions.filter(|transaction| transaction.contains("\nLOCK WAIT "));
    // `MySQL thread id 8, OS thread handle ..` or `MariaDB thread id 8, OS thread handle ..`
    let ids = waiting.filter_map(|transaction| {
        let (_, after) = transaction.split_once(" thread id ")?;
        after.split_once(',').map(|(id, _)| id)
    });
    ids.filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::row_waiters;

    #[test]
    fn who_waits_for_a_row_is_found() {
        let account = "TRANSACTIONS\n------------\nLIST OF TRANSACTIONS FOR EACH SESSION:\n\
            ---TRANSACTION 36, ACTIVE 1 sec inserting\nmysql tables in use 1, locked 1\n\
            LOCK WAIT 2 lock struct(s), heap size 1128, 1 row lock(s)\n\
            MariaDB thread id 6, OS thread handle 1397, query id 20 172.17.0.1 t1 Update\n\
            INSERT INTO a VALUES (3)\n------- TRX HAS BEEN WAITING 1 SEC FOR THIS LOCK TO BE GRANTED:\n\
            ---TRANSACTION 37, ACTIVE 0 sec starting index read\n\
            LOCK WAIT 2 lock struct(s), heap size 1128, 1 row lock(s), undo log entries 1\n\
            MySQL thread id 12, OS thread handle 1398, query id 21 172.17.0.1 t1 updating\nUPDATE a SET v = 1\n\
            ---TRANSACTION 35, ACTIVE 2 sec\n2 lock struct(s), heap size 1128, 4 row lock(s)\n\
            MariaDB thread id 5, OS thread handle 1396, query id 18 172.17.0.1 harness\n\
            ---TRANSACTION (0x7f), not started\n0 lock struct(s), heap size 1128, 0 row lock(s)\n";
        assert_eq!(row_waiters(account), ["6", "12"]);
        assert_eq!(row_waiters("END OF INNODB MONITOR OUTPUT"), [""; 0]);
    }
}
