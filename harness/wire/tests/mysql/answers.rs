//! Every kind of answer, and what it becomes.

use harness_model::event::{Step, Verb};
use harness_wire::codec::Direction;

use crate::support::{
    CACHE_METADATA, COLUMN, CURSOR_EXISTS, DEPRECATE_EOF, IN_TRANS, MORE_RESULTS, MYSQL, OPTIONAL_METADATA,
    Talk, command, db_err, db_ok, eof, err, execute, ok, ok_as_eof, packet, prepare, prepared, query,
    statement,
};

const ROW: &[u8] = b"\x011";
const BINARY_ROW: &[u8] = b"\0\0\x01\0\0\0";

#[test]
fn ok_tells_rows_and_transaction() {
    let mut talk = Talk::opened(0, 0);
    let sent = talk.client(0, &query("INSERT INTO t VALUES (7)"));
    assert_eq!(
        sent,
        [statement(Verb::Insert, "INSERT INTO t VALUES (7)", false, &["7"])]
    );
    assert_eq!(talk.server(1, &ok(1, IN_TRANS)), [db_ok(Verb::Insert, 1, true)]);
    // Length-encoded: 70,000 affected rows, a long id, and a state that is tracked behind the warnings.
    let long = b"\x00\xfd\x70\x11\x01\xfe\x01\0\0\0\0\0\0\0\x02\x40\0\0\0\x04\x02\x02\x01s";
    let done = talk.answer(&query("UPDATE t SET n = 1"), &[long]);
    assert_eq!(done, [db_ok(Verb::Update, 70_000, false)]);
}

#[test]
fn err_ends_an_answer_wherever_it_comes() {
    let deadlock = err(1213, "Deadlock");
    let prefixes: [&[&[u8]]; 5] = [
        &[],
        &[&[2]],
        &[&[1], COLUMN],
        &[&[1], COLUMN, &eof(0)],
        &[&[1], COLUMN, &eof(0), ROW],
    ];
    for prefix in prefixes {
        let mut talk = Talk::opened(0, 0);
        let packets = [prefix, &[&deadlock]].concat();
        assert_eq!(
            talk.answer(&query("SELECT 1"), &packets),
            [db_err(Verb::Select, 1213, "Deadlock")],
            "after {prefix:?}"
        );
        assert_eq!(
            talk.answer(&query("ROLLBACK"), &[&ok(0, 0)]),
            [db_ok(Verb::Rollback, 0, false)]
        );
    }
}

#[test]
fn progress_is_no_error() {
    let mut talk = Talk::opened(0, 0);
    let progress = b"\xff\xff\xff\x01\x01\x02\x10\x27\0\x05alter";
    let done = talk.answer(
        &query("ALTER TABLE t ADD n INT"),
        &[progress, progress, &ok(0, 0)],
    );
    assert_eq!(done, [db_ok(Verb::Ddl, 0, false)]);
}

#[test]
fn rows_of_a_result_set_are_counted() {
    let with_eof: [&[u8]; 7] = [&[2], COLUMN, COLUMN, &eof(IN_TRANS), ROW, ROW, &eof(IN_TRANS)];
    let with_ok: [&[u8]; 6] = [&[2], COLUMN, COLUMN, ROW, ROW, &ok_as_eof(IN_TRANS)];
    let of_mysql: [&[u8]; 6] = [&[1, 2], COLUMN, COLUMN, ROW, ROW, &ok_as_eof(IN_TRANS)];
    let of_mysql_bare: [&[u8]; 4] = [&[0, 2], ROW, ROW, &ok_as_eof(IN_TRANS)];
    let of_mariadb: [&[u8]; 6] = [&[2, 1], COLUMN, COLUMN, ROW, ROW, &ok_as_eof(IN_TRANS)];
    let of_mariadb_bare: [&[u8]; 4] = [&[2, 0], ROW, ROW, &ok_as_eof(IN_TRANS)];
    let of_mariadb_bare_with_eof: [&[u8]; 5] = [&[2, 0], &eof(IN_TRANS), ROW, ROW, &eof(IN_TRANS)];
    let cases: [(u32, u32, &[&[u8]]); 7] = [
        (0, 0, &with_eof),
        (DEPRECATE_EOF, 0, &with_ok),
        (DEPRECATE_EOF | OPTIONAL_METADATA | MYSQL, 0, &of_mysql),
        (DEPRECATE_EOF | OPTIONAL_METADATA | MYSQL, 0, &of_mysql_bare),
        (DEPRECATE_EOF, CACHE_METADATA, &of_mariadb),
        (DEPRECATE_EOF, CACHE_METADATA, &of_mariadb_bare),
        (0, CACHE_METADATA, &of_mariadb_bare_with_eof),
    ];
    for (flags, extended, packets) in cases {
        let mut talk = Talk::opened(flags, extended);
        let done = talk.answer(&query("SELECT a, b FROM t"), packets);
        assert_eq!(done, [db_ok(Verb::Select, 2, true)], "{packets:?}");
        let done = talk.answer(&query("DO 1"), &[&ok(0, 0)]);
        assert_eq!(
            done,
            [db_ok(Verb::Other, 0, false)],
            "out of step after {packets:?}"
        );
    }
}

#[test]
fn capabilities_of_one_side_only_do_not_count() {
    let mut talk = Talk::new();
    talk.server(
        0,
        &crate::support::greeting(MYSQL | DEPRECATE_EOF, CACHE_METADATA),
    );
    talk.client(1, &crate::support::login(OPTIONAL_METADATA, CACHE_METADATA, ""));
    talk.server(2, &ok(0, 2));
    let packets: [&[u8]; 5] = [&[1], COLUMN, &eof(0), ROW, &eof(0)];
    assert_eq!(
        talk.answer(&query("SELECT 1"), &packets),
        [db_ok(Verb::Select, 1, false)]
    );
}

#[test]
fn several_results_are_one_answer() {
    let mut talk = Talk::opened(0, 0);
    let packets: [&[u8]; 7] = [
        &[1],
        COLUMN,
        &eof(0),
        ROW,
        &eof(MORE_RESULTS),
        &ok(5, MORE_RESULTS | IN_TRANS),
        &ok(1, IN_TRANS),
    ];
    assert_eq!(
        talk.answer(&query("CALL p()"), &packets),
        [db_ok(Verb::Other, 7, true)]
    );
    let packets: [&[u8]; 2] = [&ok(1, MORE_RESULTS), &err(1146, "no such table")];
    assert_eq!(
        talk.answer(&query("INSERT INTO t VALUES (1); SELECT * FROM u"), &packets),
        [db_err(Verb::Insert, 1146, "no such table")]
    );
}

#[test]
fn rows_that_cannot_be_counted_are_no_panic() {
    let mut talk = Talk::opened(0, 0);
    let most = [&b"\x00\xfe"[..], &[0xff; 8], &[0, 8, 0, 0, 0]].concat();
    assert_eq!(
        talk.answer(&query("CALL p()"), &[&most, &[1], COLUMN, &eof(0), ROW, &eof(0)]),
        [db_ok(Verb::Other, u64::MAX, false)]
    );
}

#[test]
fn a_file_is_sent_between_request_and_answer() {
    let mut talk = Talk::opened(0, 0);
    talk.client(0, &query("LOAD DATA LOCAL INFILE 'f' INTO TABLE t"));
    assert_eq!(talk.server(1, b"\xfbf"), []);
    // 300 packets, so that sequence ids come around to 0.
    for sequence in (2..=255).chain(0..46) {
        assert_eq!(talk.client(sequence, b"\x03COMMIT"), []);
    }
    assert_eq!(talk.client(46, b""), []);
    assert_eq!(talk.server(47, &ok(9, 0)), [db_ok(Verb::Other, 9, false)]);
    assert_eq!(talk.client(0, &command(0x0e, b"")), []);
}

#[test]
fn a_preparation_is_no_step_unless_it_fails() {
    for (flags, packets) in [
        (0, vec![prepared(1, 0, 0)]),
        (
            0,
            vec![prepared(1, 0, 2), COLUMN.to_vec(), COLUMN.to_vec(), eof(0)],
        ),
        (
            0,
            vec![
                prepared(1, 1, 1),
                COLUMN.to_vec(),
                eof(0),
                COLUMN.to_vec(),
                eof(0),
            ],
        ),
        (
            DEPRECATE_EOF,
            vec![prepared(1, 1, 1), COLUMN.to_vec(), COLUMN.to_vec()],
        ),
        (
            DEPRECATE_EOF | OPTIONAL_METADATA,
            vec![
                [prepared(1, 1, 1), vec![1]].concat(),
                COLUMN.to_vec(),
                COLUMN.to_vec(),
            ],
        ),
        (
            DEPRECATE_EOF | OPTIONAL_METADATA,
            vec![[prepared(1, 1, 1), vec![0]].concat()],
        ),
    ] {
        let mut talk = Talk::opened(flags, 0);
        assert_eq!(talk.client(0, &prepare("COMMIT")), []);
        for packet in &packets {
            assert_eq!(talk.server(1, packet), [], "{packets:?}");
        }
        let done = talk.answer(&command(0x0e, b""), &[&ok(0, 0)]);
        assert_eq!(
            done,
            [db_ok(Verb::Ping, 0, false)],
            "out of step after {packets:?}"
        );
    }
    let mut talk = Talk::opened(0, 0);
    let done = talk.answer(&prepare("SELECT * FROM missing"), &[&err(1146, "missing")]);
    assert_eq!(done, [db_err(Verb::Select, 1146, "missing")]);
}

#[test]
fn rows_of_a_cursor_come_with_their_fetch() {
    for flags in [0, DEPRECATE_EOF] {
        let end = |status| {
            if flags == 0 {
                eof(status)
            } else {
                ok_as_eof(status)
            }
        };
        let mut talk = Talk::opened(flags, 0);
        talk.client(0, &prepare("SELECT a FROM t"));
        talk.server(1, &prepared(3, 1, 0));
        talk.server(2, COLUMN);
        if flags == 0 {
            talk.server(3, &eof(0));
        }
        let head = talk.answer(&execute(3, &[]), &[&[1], COLUMN, &end(CURSOR_EXISTS)]);
        assert_eq!(head, [db_ok(Verb::Select, 0, false)]);
        let fetch = command(0x1c, &[3, 0, 0, 0, 2, 0, 0, 0]);
        let fetched = talk.answer(&fetch, &[BINARY_ROW, BINARY_ROW, &end(CURSOR_EXISTS)]);
        assert_eq!(fetched, [db_ok(Verb::Select, 2, false)]);
        let fetched = talk.answer(&fetch, &[BINARY_ROW, &end(0x80)]);
        assert_eq!(fetched, [db_ok(Verb::Select, 1, false)]);
    }
}

#[test]
fn the_other_commands_are_answered_too() {
    let mut talk = Talk::opened(0, 0);
    let other = |rows| vec![db_ok(Verb::Other, rows, false)];
    let single: [&[u8]; 12] = [
        &command(0x02, b"shop"),       // COM_INIT_DB
        &command(0x05, b"new"),        // COM_CREATE_DB
        &command(0x07, &[1]),          // COM_REFRESH
        &command(0x08, &[0]),          // COM_SHUTDOWN
        &command(0x0c, &[1, 0, 0, 0]), // COM_PROCESS_KILL
        &command(0x0d, b""),           // COM_DEBUG
        &command(0x1a, &[1, 0, 0, 0]), // COM_STMT_RESET
        &command(0x1b, &[0, 0]),       // COM_SET_OPTION
        &command(0x1f, b""),           // COM_RESET_CONNECTION
        &command(0x15, b""),           // COM_REGISTER_SLAVE
        &command(0xee, b""),           // unknown
        b"",                           // none at all
    ];
    for sent in single {
        assert_eq!(talk.answer(sent, &[&ok(0, 0)]), other(0), "{sent:?}");
        assert_eq!(talk.answer(sent, &[&eof(0)]), other(0), "{sent:?}");
        let refused = talk.answer(sent, &[&err(1047, "unknown command")]);
        assert_eq!(
            refused,
            [db_err(Verb::Other, 1047, "unknown command")],
            "{sent:?}"
        );
    }
    assert_eq!(
        talk.answer(&command(0x0e, b""), &[&ok(0, IN_TRANS)]),
        [db_ok(Verb::Ping, 0, true)]
    );
    assert_eq!(
        talk.answer(&command(0x04, b"t\0"), &[COLUMN, COLUMN, &eof(0)]),
        other(2)
    );
    assert_eq!(talk.answer(&command(0x09, b""), &[b"Uptime: 1  Threads: 2"]), []);
    assert_eq!(
        talk.answer(&command(0x0a, b""), &[&[1], COLUMN, &eof(0), ROW, &eof(0)]),
        other(1)
    );
    assert_eq!(talk.answer(&query("DO 1"), &[&ok(0, 0)]), other(0), "out of step");
}

#[test]
fn commands_without_an_answer_leave_no_gap() {
    let mut talk = Talk::opened(0, 0);
    let close = command(0x19, &[1, 0, 0, 0]);
    let long_data = command(0x18, &[1, 0, 0, 0, 0, 0, b'x']);
    // All in one write, as clients do that put a close before their next command.
    let bytes = [
        packet(0, &close),
        packet(0, &long_data),
        packet(0, &query("COMMIT")),
    ]
    .concat();
    assert_eq!(
        talk.send(Direction::ToServer, &bytes),
        Ok(vec![statement(Verb::Commit, "COMMIT", false, &[])])
    );
    assert_eq!(talk.server(1, &ok(0, 0)), [db_ok(Verb::Commit, 0, false)]);
}

#[test]
fn commands_sent_ahead_are_answered_in_order() {
    let mut talk = Talk::opened(0, 0);
    for sql in ["BEGIN", "SELECT 1", "COMMIT"] {
        talk.client(0, &query(sql));
    }
    assert_eq!(talk.server(1, &ok(0, IN_TRANS)), [db_ok(Verb::Begin, 0, true)]);
    let rows = talk.rest(&[&[1], COLUMN, &eof(IN_TRANS), ROW, &eof(IN_TRANS)]);
    assert_eq!(rows, [db_ok(Verb::Select, 1, true)]);
    assert_eq!(talk.server(1, &ok(0, 0)), [db_ok(Verb::Commit, 0, false)]);
}

#[test]
fn a_client_without_end_is_given_up() {
    let mut talk = Talk::opened(0, 0);
    let ping = packet(0, &command(0x0e, b""));
    let sent = (0..5_000).find_map(|n| talk.send(Direction::ToServer, &ping).err().map(|why| (n, why)));
    assert_eq!(sent, Some((4_096, "too many unanswered commands".to_owned())));
}

#[test]
fn quit_ends_the_conversation() {
    let mut talk = Talk::opened(0, 0);
    assert_eq!(talk.client(0, &command(1, b"")), [Step::DbQuit]);
    assert_eq!(talk.server(1, &ok(0, 0)), []);
    assert_eq!(talk.client(0, &query("COMMIT")), []);
}

#[test]
fn a_server_may_say_goodbye_unasked() {
    let mut talk = Talk::opened(0, 0);
    let goodbye = talk.server(0, &err(4031, "disconnected because of inactivity"));
    assert_eq!(
        goodbye,
        [db_err(Verb::Other, 4031, "disconnected because of inactivity")]
    );
}

#[test]
fn what_is_out_of_step_is_undecodable() {
    let answered = |command: &[u8], packets: &[&[u8]]| {
        let mut talk = Talk::opened(0, 0);
        talk.client(0, command);
        let bytes: Vec<u8> = packets.iter().flat_map(|payload| packet(1, payload)).collect();
        talk.send(Direction::ToClient, &bytes).unwrap_err()
    };
    assert_eq!(
        answered(&command(0x19, b""), &[&ok(0, 0)]),
        "an answer that nobody waits for"
    );
    assert_eq!(answered(&query("DO 1"), &[b"\0\0"]), "a truncated OK packet");
    assert_eq!(answered(&query("DO 1"), &[b"\xff\x01"]), "a truncated ERR packet");
    assert_eq!(
        answered(&query("DO 1"), &[b"\xfc\x01"]),
        "a truncated head of a result set"
    );
    assert_eq!(
        answered(&query("DO 1"), &[&[1], COLUMN, ROW]),
        "a packet that is not ColumnsEnd"
    );
    assert_eq!(
        answered(&prepare("DO 1"), &[b"\0\x01"]),
        "a truncated answer to a preparation"
    );
    assert_eq!(
        answered(&prepare("DO 1"), &[&eof(0)]),
        "a packet that is not Prepared"
    );
    let mut talk = Talk::opened(0, 0);
    let sent = talk.send(Direction::ToServer, &packet(1, &query("DO 1")));
    assert_eq!(sent, Err("a command with sequence id 1".into()));
    for stream in [0x12, 0x13, 0x1e, 0x20, 0x21] {
        let mut talk = Talk::opened(0, 0);
        let sent = talk.send(Direction::ToServer, &packet(0, &command(stream, b"")));
        assert_eq!(sent, Err("a stream of replication".into()));
    }
}
