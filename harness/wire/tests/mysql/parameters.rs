//! Values of prepared statements, and which keys are found among them.

use harness_model::event::{Step, Verb};

use crate::support::{
    QUERY_ATTRIBUTES, Talk, command, db_ok, err, execute, ok, prepare, prepared, statement,
};

const SQL: &str = "UPDATE t SET a = ?, b = ?";

/// A session with statement 5, which has this many parameters.
fn with_statement(flags: u32, sql: &str, parameters: u16) -> Talk {
    let mut talk = Talk::opened(flags | crate::support::DEPRECATE_EOF, 0);
    talk.client(0, &prepare(sql));
    talk.server(1, &prepared(5, 0, parameters));
    for sequence in 0..parameters {
        talk.server(2 + sequence as u8, crate::support::COLUMN);
    }
    talk
}

/// The keys on the step, which has to be the execution of `sql`.
fn keys(steps: &[Step], sql: &str) -> Vec<String> {
    match steps {
        [
            Step::Statement {
                sql: text,
                prepared: true,
                keys,
                ..
            },
        ] if text == sql => keys.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?} is not the execution of {sql}"),
    }
}

#[test]
fn integers_and_short_texts_are_values() {
    // Type, flags, value; then 42 as a LONGLONG behind it, to see that the value was read to its end.
    let values: [(u8, u8, &[u8], &[&str]); 31] = [
        (0x01, 0x00, &[0xfb], &["-5"]),
        (0x01, 0x80, &[2], &["2"]),
        (0x02, 0x00, &[0xfb, 0xff], &["-5"]),
        (0x02, 0x80, &[72, 0], &["72"]),
        (0x0d, 0x80, &[7, 0], &["7"]),
        (0x03, 0x00, &[0xfb, 0xff, 0xff, 0xff], &["-5"]),
        (0x03, 0x80, &[72, 0, 0, 0], &["72"]),
        (0x09, 0x00, &[2, 0, 0, 0], &["2"]),
        (
            0x08,
            0x00,
            &[0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &["-5"],
        ),
        (0x08, 0x80, &[0xff; 8], &["18446744073709551615"]),
        (0x08, 0x00, &5_000_000_000_i64.to_le_bytes(), &["5000000000"]),
        (0x04, 0x00, &2_f32.to_le_bytes(), &[]),
        (0x05, 0x00, &2_f64.to_le_bytes(), &[]),
        (0x06, 0x00, &[], &[]),
        (0x07, 0x00, &[0], &[]),
        (0x0a, 0x00, &[4, 2, 2, 2, 2], &[]),
        (0x0b, 0x00, &[8, 0, 2, 0, 0, 0, 2, 2, 2], &[]),
        (0x0c, 0x00, &[11, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2], &[]),
        (0x00, 0x00, b"\x0272", &["72"]),
        (0x0f, 0x00, b"\x05pub-3", &["pub-3"]),
        (0x10, 0x00, b"\x01\x02", &[]),
        (0xf5, 0x00, b"\x05pub-3", &["pub-3"]),
        (0xf6, 0x00, b"\x0272", &["72"]),
        (0xf9, 0x00, b"\x05pub-3", &["pub-3"]),
        (0xfa, 0x00, b"\x05pub-3", &["pub-3"]),
        (0xfb, 0x00, b"\x05pub-3", &["pub-3"]),
        (0xfc, 0x00, b"\xfc\x05\x00pub-3", &["pub-3"]),
        (0xfd, 0x00, b"\xfd\x05\x00\x00pub-3", &["pub-3"]),
        (0xfe, 0x00, b"\xfe\x05\0\0\0\0\0\0\0pub-3", &["pub-3"]),
        (0xff, 0x00, b"\x02\xff\xff", &[]),
        (0xf2, 0x00, b"\x00", &[]),
    ];
    for (code, flags, value, found) in values {
        let mut talk = with_statement(0, SQL, 2);
        let parameters = [&[0, 1, code, flags, 0x08, 0][..], value, &42_i64.to_le_bytes()].concat();
        let mut actual = keys(&talk.client(0, &execute(5, &parameters)), SQL);
        assert_eq!(
            actual
                .iter()
                .position(|key| key == "42")
                .map(|at| actual.remove(at)),
            Some("42".into()),
            "{code}"
        );
        assert_eq!(actual, found, "type {code:#x}");
    }
}

#[test]
fn null_has_no_value() {
    let mut talk = with_statement(0, SQL, 2);
    let sent = talk.client(0, &execute(5, &[0b01, 1, 8, 0, 1, 0, 7]));
    assert_eq!(sent, [statement(Verb::Update, SQL, true, &["7"])]);
    // The ninth parameter has its bit in the second byte.
    let sql = "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut talk = with_statement(0, sql, 10);
    let types = [1, 0].repeat(10);
    let parameters = [&[0xff, 0x01, 1][..], &types, &[72]].concat();
    assert_eq!(keys(&talk.client(0, &execute(5, &parameters)), sql), ["72"]);
}

#[test]
fn types_hold_until_they_are_told_again() {
    let mut talk = with_statement(0, SQL, 2);
    let first = talk.client(0, &execute(5, &[0, 1, 1, 0, 2, 0, 2, 7, 0]));
    assert_eq!(keys(&first, SQL), ["2", "7"]);
    assert_eq!(
        keys(&talk.client(0, &execute(5, &[0, 0, 42, 72, 0])), SQL),
        ["42", "72"]
    );
    assert_eq!(keys(&talk.client(0, &execute(5, &[0b10, 0, 42])), SQL), ["42"]);
    let again = talk.client(0, &execute(5, &[0, 1, 0xfd, 0, 1, 0, 1, b'7', 42]));
    assert_eq!(keys(&again, SQL), ["42", "7"]);
}

#[test]
fn long_data_takes_the_place_of_a_value_once() {
    let mut talk = with_statement(0, SQL, 2);
    let long_data = command(0x18, &[5, 0, 0, 0, 0, 0, b'7']);
    let types = [1, 0xfc, 0, 1, 0];
    assert_eq!(talk.client(0, &long_data), []);
    let sent = talk.client(0, &execute(5, &[&[0][..], &types, &[72]].concat()));
    assert_eq!(keys(&sent, SQL), ["72"]);
    let sent = talk.client(0, &execute(5, &[0, 0, 1, b'7', 42]));
    assert_eq!(keys(&sent, SQL), ["42", "7"]);
    assert_eq!(talk.client(0, &long_data), []);
    talk.client(0, &command(0x1a, &[5, 0, 0, 0]));
    let sent = talk.client(0, &execute(5, &[0, 0, 1, b'7', 42]));
    assert_eq!(keys(&sent, SQL), ["42", "7"], "a reset forgets long data");
}

#[test]
fn parameters_may_have_names() {
    let mut talk = with_statement(QUERY_ATTRIBUTES, SQL, 2);
    // Three: two of the statement and an attribute.
    let parameters = b"\x03\x00\x01\x01\x00\x00\x01\x00\x00\xfd\x00\x05trace\x02\x2a\x017";
    assert_eq!(
        keys(&talk.client(0, &execute(5, parameters)), SQL),
        ["2", "42", "7"]
    );
    // A text query with one attribute, a NULL one, and with none.
    let sql = "DELETE FROM t WHERE n = 72";
    for (head, found) in [
        (
            &b"\x01\x01\x00\x01\x08\x00\x03seq\x02\0\0\0\0\0\0\0"[..],
            &["2", "72"][..],
        ),
        (b"\x01\x01\x01\x01\x08\x00\x03seq", &["72"]),
        (b"\x00\x01", &["72"]),
    ] {
        let sent = talk.client(0, &command(3, &[head, sql.as_bytes()].concat()));
        assert_eq!(sent, [statement(Verb::Delete, sql, false, found)]);
    }
    // Without parameters nothing is said of them, unless a flag announces it.
    let mut talk = with_statement(QUERY_ATTRIBUTES, "COMMIT", 0);
    assert_eq!(keys(&talk.client(0, &execute(5, &[])), "COMMIT"), [""; 0]);
    let announced = [
        &[0x17, 5, 0, 0, 0, 8, 1, 0, 0, 0][..],
        b"\x01\x00\x01\x01\x00\x01n\x07",
    ]
    .concat();
    assert_eq!(keys(&talk.client(0, &announced), "COMMIT"), ["7"]);
}

#[test]
fn a_statement_may_be_executed_before_it_has_an_id() {
    let last = u32::MAX;
    let mut talk = Talk::opened(crate::support::DEPRECATE_EOF, 0);
    // The number of parameters is not known yet: the second question mark is text.
    let sql = "DELETE FROM t WHERE n = ? AND m <> '?'";
    talk.client(0, &prepare(sql));
    assert_eq!(
        keys(&talk.client(0, &execute(last, &[0, 1, 1, 0, 7])), sql),
        ["7"]
    );
    talk.server(1, &prepared(9, 0, 1));
    talk.server(2, crate::support::COLUMN);
    assert_eq!(talk.server(1, &ok(1, 0)), [db_ok(Verb::Delete, 1, false)]);
    assert_eq!(
        keys(&talk.client(0, &execute(9, &[0, 0, 42])), sql),
        ["42"],
        "types are known"
    );
    assert_eq!(keys(&talk.client(0, &execute(last, &[0, 0, 42])), sql), ["42"]);
    talk.server(1, &ok(0, 0));
    talk.server(1, &ok(0, 0));
    // Refused: "the last one" is none.
    talk.client(0, &prepare("SELECT * FROM missing"));
    assert_eq!(talk.server(1, &err(1146, "missing")).len(), 1);
    let sent = talk.client(0, &execute(last, &[0, 0, 42]));
    assert_eq!(sent, [statement(Verb::Other, "", true, &[])]);
}

#[test]
fn bulk_values_come_row_by_row() {
    let mut talk = with_statement(0, SQL, 2);
    let head = [5, 0, 0, 0, 128, 0, 8, 0, 0xfd, 0];
    let rows = [
        &b"\x00\x02\0\0\0\0\0\0\0\x00\x05pub-3"[..],
        b"\x01\x02", // NULL, the default
        b"\x00\x48\0\0\0\0\0\0\0\x03",
    ]
    .concat();
    let sent = talk.client(0, &command(0xfa, &[&head[..], &rows].concat()));
    assert_eq!(keys(&sent, SQL), ["2", "72", "pub-3"]);
    assert_eq!(talk.server(1, &ok(3, 1)), [db_ok(Verb::Update, 3, true)]);
    // Types as before.
    let sent = talk.client(0, &command(0xfa, b"\x05\0\0\0\0\0\x00\x07\0\0\0\0\0\0\0\x01"));
    assert_eq!(keys(&sent, SQL), ["7"]);
}

#[test]
fn closed_and_unknown_statements_have_no_text() {
    let unknown = [statement(Verb::Other, "", true, &[])];
    let parameters = [0, 1, 1, 0, 1, 0, 7, 7];
    for forget in [
        command(0x19, &[5, 0, 0, 0]),
        command(0x1f, b""),
        command(0x11, b"app\0\0\0"),
    ] {
        let mut talk = with_statement(0, SQL, 2);
        talk.client(0, &forget);
        assert_eq!(talk.client(0, &execute(5, &parameters)), unknown, "{forget:?}");
    }
    let mut talk = with_statement(0, SQL, 2);
    assert_eq!(talk.client(0, &execute(6, &parameters)), unknown);
    assert_eq!(talk.client(0, &[0x17, 5]), unknown);
}

#[test]
fn cut_and_odd_values_cost_only_what_is_behind_them() {
    let full = [0, 1, 1, 0, 0xfd, 0, 2, 1, b'7'];
    for length in 0..full.len() {
        let mut talk = with_statement(0, SQL, 2);
        let found: &[&str] = if length >= 7 { &["2"] } else { &[] };
        assert_eq!(
            keys(&talk.client(0, &execute(5, &full[..length])), SQL),
            found,
            "{length}"
        );
    }
    let mut talk = with_statement(0, SQL, 2);
    let odd = [0, 1, 1, 0, 0x0e, 0, 2, 1, b'7'];
    assert_eq!(
        keys(&talk.client(0, &execute(5, &odd)), SQL),
        ["2"],
        "a type that does not travel"
    );
    let long = [&[0, 1, 0xfd, 0, 1, 0, 65][..], &[b'7'; 65], &[42]].concat();
    assert_eq!(
        keys(&talk.client(0, &execute(5, &long)), SQL),
        ["42"],
        "too long for a key"
    );
}
