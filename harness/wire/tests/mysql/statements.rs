//! What a statement's text tells: verb, literals, and what has to be hidden.

use harness_model::event::{Step, Verb};
use harness_wire::codec::Direction;
use harness_wire::in_flight::InFlight;

use crate::support::{Talk, command, greeting, login, ok, packet, query};

fn said(payload: &[u8]) -> (Verb, String, Vec<String>) {
    match Talk::opened(0, 0).client(0, payload).as_slice() {
        [
            Step::Statement {
                verb,
                sql,
                prepared: false,
                keys,
            },
        ] => (*verb, sql.clone(), keys.iter().map(ToString::to_string).collect()),
        other => panic!("{other:?} is not a statement"),
    }
}

#[test]
fn the_verb_is_the_first_word_that_counts() {
    let verbs = [
        ("SELECT 1", Verb::Select),
        ("  \t\r\n select 1", Verb::Select),
        ("((SELECT 1) UNION (SELECT 2))", Verb::Select),
        ("-- a comment\nSELECT 1", Verb::Select),
        ("--\nINSERT INTO t VALUES (1)", Verb::Insert),
        ("# a comment\n/* another */ UPDATE t SET n = 1", Verb::Update),
        ("/**/DELETE FROM t", Verb::Delete),
        ("/*!40101 SET NAMES utf8 */", Verb::Set),
        ("/*M!100100 REPLACE INTO t VALUES (1) */", Verb::Replace),
        ("/*+ hint */ insert into t values (1)", Verb::Insert),
        ("WITH a AS (SELECT 1) SELECT * FROM a", Verb::Select),
        (
            "with recursive a(n) as (select 1 union select n from a) update t, a set t.n = a.n",
            Verb::Update,
        ),
        ("(WITH a AS (SELECT 1) DELETE FROM t)", Verb::Delete),
        ("BEGIN", Verb::Begin),
        ("begin work", Verb::Begin),
        ("START TRANSACTION READ ONLY", Verb::Begin),
        ("START /* x */ TRANSACTION", Verb::Begin),
        ("START REPLICA", Verb::Other),
        ("START", Verb::Other),
        ("COMMIT", Verb::Commit),
        ("commit and chain;", Verb::Commit),
        ("ROLLBACK", Verb::Rollback),
        ("ROLLBACK WORK;", Verb::Rollback),
        ("ROLLBACK; ALTER TABLE a RENAME TO b", Verb::Rollback),
        ("ROLLBACK TO SAVEPOINT a", Verb::Other),
        ("rollback work to a", Verb::Other),
        ("SAVEPOINT a", Verb::Other),
        ("RELEASE SAVEPOINT a", Verb::Other),
        ("SET autocommit = 0", Verb::Set),
        ("CREATE TABLE t (n INT)", Verb::Ddl),
        ("ALTER TABLE t ADD m INT", Verb::Ddl),
        ("DROP TABLE t", Verb::Ddl),
        ("TRUNCATE t", Verb::Ddl),
        ("RENAME TABLE a TO b", Verb::Ddl),
        ("CALL p()", Verb::Other),
        ("SHOW TABLES", Verb::Other),
        ("DESCRIBE t", Verb::Other),
        ("EXPLAIN SELECT 1", Verb::Other),
        ("XA COMMIT 'a'", Verb::Other),
        ("SELECTED", Verb::Other),
        ("", Verb::Other),
        (";;", Verb::Other),
        ("/* never closed", Verb::Other),
        ("'never closed", Verb::Other),
        ("WITH a AS (SELECT 1)", Verb::Other),
    ];
    for (sql, verb) in verbs {
        assert_eq!(
            said(&query(sql)),
            (verb, sql.to_owned(), said(&query(sql)).2),
            "{sql}"
        );
    }
}

#[test]
fn integers_and_quoted_texts_are_values() {
    let found: [(&str, &[&str]); 21] = [
        ("SELECT * FROM t WHERE n = 42", &["42"]),
        ("SELECT * FROM t WHERE n=42", &["42"]),
        ("SELECT * FROM t WHERE n IN (2,7,72)", &["2", "7", "72"]),
        ("SELECT -7", &["7"]),
        ("SELECT 'pub-3'", &["pub-3"]),
        ("SELECT \"pub-3\"", &["pub-3"]),
        ("SELECT _utf8mb4'42'", &["42"]),
        ("SELECT 'pub\\-3'", &["pub-3"]),
        ("SELECT 'it''s', 42", &["42"]),
        ("SELECT 'a\\'b', 42, 'c\\\\', 7", &["42", "7"]),
        ("SELECT 'pub-3", &["pub-3"]),
        ("SELECT 'pub-3\\", &["pub-3"]),
        (
            "SELECT 42.7, 7.42, .7, 7e2, 0x42, x42, t42, 42abc, `42`, 4_2",
            &[],
        ),
        ("SELECT t.42", &[]),
        ("SELECT 1 -- 42", &[]),
        ("SELECT 1 # 42", &[]),
        ("SELECT 1 /* 42 */", &[]),
        ("SELECT 1 /*! , 42 */", &["42"]),
        ("SELECT 1--42", &["42"]),
        ("SELECT '42 ', ' 7'", &[]),
        ("SELECT 18446744073709551615", &["18446744073709551615"]),
    ];
    for (sql, keys) in found {
        assert_eq!(said(&query(sql)).2, keys, "{sql}");
    }
}

#[test]
fn only_the_first_values_are_looked_at() {
    let list = |numbers: std::ops::Range<u32>| {
        let numbers: Vec<String> = numbers.map(|n| n.to_string()).collect();
        said(&query(&format!("SELECT {}, 42", numbers.join(",")))).2
    };
    assert_eq!(list(10_001..12_000), ["42"]);
    assert_eq!(list(10_001..12_001), [""; 0]);
}

#[test]
fn a_text_is_cut_between_characters() {
    let sql = format!("SELECT '{}'", "ü".repeat(400));
    let shown = said(&query(&sql)).1;
    assert_eq!(shown.chars().count(), 300);
    assert!(sql.starts_with(&shown));
    // Four bytes a character, and bytes that are no text.
    assert_eq!(said(&query(&"🦀".repeat(301))).1, "🦀".repeat(300));
    assert_eq!(
        said(&command(3, b"SELECT '\xff\xfe'")).1,
        "SELECT '\u{fffd}\u{fffd}'"
    );
    assert_eq!(said(&command(3, &[0x80; 5_000])).1, "\u{fffd}".repeat(300));
}

#[test]
fn passwords_are_not_shown() {
    let hidden = [
        ("CREATE USER a IDENTIFIED BY 'secret'", "CREATE USER a IDENTIFIED"),
        (
            "create user a identified\n/* x */ by 'secret'",
            "create user a identified",
        ),
        (
            "ALTER USER a IDENTIFIED WITH plugin BY 'secret' REPLACE 'secret'",
            "ALTER USER a IDENTIFIED",
        ),
        (
            "GRANT ALL ON *.* TO a IDENTIFIED BY PASSWORD '*secret'",
            "GRANT ALL ON *.* TO a IDENTIFIED",
        ),
        ("SET PASSWORD = 'secret'", "SET PASSWORD"),
        ("set  password for a@b = password('secret')", "set  password"),
        ("/* x */ SET/**/PASSWORD TO RANDOM", "/* x */ SET/**/PASSWORD"),
        (
            "CHANGE MASTER TO MASTER_PASSWORD='secret', MASTER_PORT=1",
            "CHANGE MASTER TO MASTER_PASSWORD",
        ),
        ("SELECT PASSWORD('secret')", "SELECT PASSWORD"),
        (
            "UPDATE u SET name = 'n', password = \"secret\"",
            "UPDATE u SET name = 'n', password",
        ),
        ("SET @password := 'secret'", "SET @password"),
        (
            "SELECT name, password FROM u WHERE n = 'n'",
            "SELECT name, password FROM u WHERE n = 'n'",
        ),
        ("SELECT 'IDENTIFIED BY x'", "SELECT 'IDENTIFIED BY x'"),
    ];
    for (sql, shown) in hidden {
        assert_eq!(said(&query(sql)).1, shown);
    }
    let mut talk = Talk::opened(crate::support::DEPRECATE_EOF, 0);
    talk.client(0, &crate::support::prepare("ALTER USER a IDENTIFIED BY 'secret'"));
    talk.server(1, &crate::support::prepared(1, 0, 0));
    let sent = talk.client(0, &crate::support::execute(1, &[]));
    assert_eq!(
        sent,
        [crate::support::statement(
            Verb::Ddl,
            "ALTER USER a IDENTIFIED",
            true,
            &[]
        )]
    );
    assert_eq!(talk.server(1, &ok(0, 0)).len(), 1);
}

#[test]
fn a_statement_is_about_what_its_service_has_in_hand_right_then() {
    let in_flight = InFlight::new();
    let mut codec = harness_wire::mysql::codec(in_flight.clone())();
    let mut units = Vec::new();
    codec
        .push(Direction::ToClient, &packet(0, &greeting(0, 0)), &mut units)
        .unwrap();
    codec
        .push(Direction::ToServer, &packet(1, &login(0, 0, "shop")), &mut units)
        .unwrap();
    codec
        .push(Direction::ToClient, &packet(2, &ok(0, 2)), &mut units)
        .unwrap();
    let mut about = || {
        let mut units = Vec::new();
        let sent = packet(0, &query("DELETE FROM t WHERE n IN (10, 9, 8)"));
        codec.push(Direction::ToServer, &sent, &mut units).unwrap();
        let keys = units[0].step.as_ref().unwrap().keys();
        keys.into_iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(about(), [""; 0]);
    for key in ["9", "10", "7"] {
        in_flight.add(&key.into());
    }
    assert_eq!(about(), ["10", "9"]);
    in_flight.remove(&"10".into());
    assert_eq!(about(), ["9"]);
}
