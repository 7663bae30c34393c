//! From the greeting to the end of the login, and `COM_CHANGE_USER`.

use harness_model::event::Verb;
use harness_wire::codec::{Codec as _, Direction};

use crate::support::{
    CACHE_METADATA, DEPRECATE_EOF, MYSQL, PLUGIN_AUTH_LENENC, PROTOCOL_41, SECURE_CONNECTION, SSL, Talk,
    command, db_err, err, greeting, login, ok, opened, packet,
};

const COMPRESS: u32 = 1 << 5;
const ZSTD: u32 = 1 << 26;

#[test]
fn the_greeting_loses_tls_and_compression_and_nothing_else() {
    let kept = MYSQL | PROTOCOL_41 | SECURE_CONNECTION | DEPRECATE_EOF;
    for (flags, extended) in [(kept, 0), (kept & !MYSQL, CACHE_METADATA), (u32::MAX, u32::MAX)] {
        let mut units = Vec::new();
        let offered = packet(0, &greeting(flags | SSL | COMPRESS | ZSTD, extended));
        Talk::new()
            .codec
            .push(Direction::ToClient, &offered, &mut units)
            .unwrap();
        let expected = packet(0, &greeting(flags & !(SSL | COMPRESS | ZSTD), extended));
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].bytes, expected);
    }
}

#[test]
fn a_greeting_may_end_after_its_lower_flags() {
    let mut short = greeting(SSL | PROTOCOL_41, 0);
    short.truncate(1 + "11.8.3-test".len() + 1 + 4 + 8 + 1 + 2);
    let mut units = Vec::new();
    let mut talk = Talk::new();
    talk.codec
        .push(Direction::ToClient, &packet(0, &short), &mut units)
        .unwrap();
    let [.., low, high] = units[0].bytes[..] else {
        panic!("{units:?}");
    };
    assert_eq!(u32::from(u16::from_le_bytes([low, high])), PROTOCOL_41);
    assert_eq!(talk.client(1, &login(0, 0, "shop")), []);
    assert_eq!(talk.server(2, &ok(0, 2)), [opened("shop")]);
}

#[test]
fn a_server_that_refuses_says_why() {
    // Before the login an error has no SQL state, from some servers.
    let plain = b"\xff\x10\x04Too many connections";
    assert_eq!(
        Talk::new().server(0, plain),
        [db_err(Verb::Other, 1040, "Too many connections")]
    );
    assert_eq!(
        Talk::new().server(0, &err(1129, "Host is blocked")),
        [db_err(Verb::Other, 1129, "Host is blocked")]
    );
    let mut talk = Talk::new();
    talk.server(0, &greeting(PROTOCOL_41, 0));
    talk.client(1, &login(0, 0, "shop"));
    assert_eq!(
        talk.server(2, &err(1045, "Access denied")),
        [db_err(Verb::Other, 1045, "Access denied")]
    );
    assert_eq!(talk.client(0, &[0xee]), []);
}

#[test]
fn the_schema_is_found_behind_every_kind_of_proof() {
    let proofs: [(u32, &[u8]); 4] = [
        (SECURE_CONNECTION, b"\x03abc"),
        (SECURE_CONNECTION, b"\x00"),
        (SECURE_CONNECTION | PLUGIN_AUTH_LENENC, b"\xfc\x03\x00abc"),
        (0, b"abc\0"),
    ];
    for (flags, proof) in proofs {
        let mut payload = (flags | PROTOCOL_41 | 8).to_le_bytes().to_vec();
        payload.resize(32, 0);
        payload.extend(b"app\0");
        payload.extend(proof);
        payload.extend(b"shop\0mysql_native_password\0");
        let mut talk = Talk::new();
        talk.server(0, &greeting(u32::MAX, 0));
        assert_eq!(talk.client(1, &payload), []);
        assert_eq!(talk.server(2, &ok(0, 2)), [opened("shop")], "{proof:?}");
    }
    // No schema was asked for.
    let mut payload = (SECURE_CONNECTION | PROTOCOL_41).to_le_bytes().to_vec();
    payload.resize(32, 0);
    payload.extend(b"app\0\0mysql_native_password\0");
    let mut talk = Talk::new();
    talk.server(0, &greeting(u32::MAX, 0));
    talk.client(1, &payload);
    assert_eq!(talk.server(2, &ok(0, 2)), [opened("")]);
}

#[test]
fn a_login_may_take_several_rounds() {
    let mut talk = Talk::new();
    talk.server(0, &greeting(PROTOCOL_41, 0));
    talk.client(1, &login(0, 0, "shop"));
    // Switch to caching_sha2_password; full authentication; the server's RSA key; the encrypted password.
    assert_eq!(talk.server(2, b"\xfecaching_sha2_password\0nonce"), []);
    assert_eq!(talk.client(3, &[0x17; 32]), []);
    assert_eq!(talk.server(4, b"\x01\x04"), []);
    assert_eq!(talk.client(5, b"\x02"), []);
    assert_eq!(talk.server(6, b"\x01-----BEGIN PUBLIC KEY-----"), []);
    assert_eq!(talk.client(7, &[0x03; 256]), []);
    assert_eq!(talk.server(8, &ok(0, 2)), [opened("shop")]);
}

#[test]
fn a_user_is_changed_like_a_login() {
    let mut talk = Talk::opened(SECURE_CONNECTION, 0);
    assert_eq!(
        talk.client(0, &command(0x11, b"app\0\x02xyother\0\x2d\0plugin\0")),
        []
    );
    assert_eq!(talk.server(1, b"\xfemysql_native_password\0nonce"), []);
    assert_eq!(talk.client(2, b"\x19proof"), []);
    assert_eq!(talk.server(3, &ok(0, 2)), [opened("other")]);
    talk.client(0, &command(0x11, b"app\0\0\0"));
    assert_eq!(
        talk.server(1, &err(1045, "denied")),
        [db_err(Verb::Other, 1045, "denied")]
    );
}

#[test]
fn tls_is_given_up_with_all_bytes_at_hand() {
    let mut talk = Talk::new();
    talk.server(0, &greeting(u32::MAX, 0));
    let mut request = (SSL | PROTOCOL_41).to_le_bytes().to_vec();
    request.resize(32, 0);
    let mut bytes = packet(1, &request);
    bytes.extend(b"\x16\x03\x01 client hello");
    let why = talk.send(Direction::ToServer, &bytes).unwrap_err();
    assert_eq!(why, "TLS requested");
    assert_eq!(talk.codec.leftover(Direction::ToServer), bytes);
    // Whoever goes on all the same loses nothing.
    let why = talk.send(Direction::ToServer, b"more").unwrap_err();
    assert_eq!(why, "TLS requested");
    assert_eq!(talk.codec.leftover(Direction::ToServer), b"more");
}

#[test]
fn what_is_not_this_protocol_is_said_to_be_none() {
    let refused = |bytes: &[u8]| {
        Talk::new()
            .send(Direction::ToClient, &packet(0, bytes))
            .unwrap_err()
    };
    assert_eq!(refused(b"\x09old"), "a greeting of an unknown protocol version");
    assert_eq!(refused(b""), "a greeting of an unknown protocol version");
    assert_eq!(refused(b"\x0ano end"), "a truncated greeting");
    assert_eq!(refused(b"\x0av\0short"), "a truncated greeting");
    let why = Talk::new().send(Direction::ToServer, &packet(0, b"GET / HTTP/1.1"));
    assert_eq!(why, Err("a client that speaks before the greeting".into()));

    let mut talk = Talk::new();
    talk.server(0, &greeting(PROTOCOL_41, 0));
    let why = talk.send(Direction::ToServer, &packet(1, &[0x85, 0xa0, 0, 0, 0]));
    assert_eq!(why, Err("a client that speaks the protocol before 4.1".into()));
    let mut talk = Talk::new();
    talk.server(0, &greeting(PROTOCOL_41, 0));
    let why = talk.send(Direction::ToClient, &packet(1, &ok(0, 0)));
    assert_eq!(why, Err("a server that speaks twice before the client".into()));
}
