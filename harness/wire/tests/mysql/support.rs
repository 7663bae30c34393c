//! What the tests of the codec share.

use std::path::PathBuf;

use harness_model::event::{Step, Verb};
use harness_model::name::Key;
use harness_wire::codec::{Codec as _, Direction, Undecodable, Unit};
use harness_wire::mysql::MySqlCodec;

use crate::mysql::{FORMAT, codec};
use crate::sessions::Chunk;

/// What a codec makes of `chunks`.
pub(crate) fn decode(chunks: &[Chunk]) -> Result<Vec<(Direction, Unit)>, Undecodable> {
    let mut codec = codec();
    let mut done = Vec::new();
    for (direction, bytes) in chunks {
        let mut units = Vec::new();
        codec.push(*direction, bytes, &mut units)?;
        done.extend(units.into_iter().map(|unit| (*direction, unit)));
    }
    Ok(done)
}

/// Where captures and their steps are.
pub(crate) fn captures_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures/mysql")
}

/// Names of the captures, in order.
pub(crate) fn capture_names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(captures_folder())
        .unwrap()
        .filter_map(|entry| {
            Some(
                entry
                    .unwrap()
                    .file_name()
                    .to_str()?
                    .strip_suffix(".cap")?
                    .to_owned(),
            )
        })
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no captures");
    names
}

/// The reads of a capture.
pub(crate) fn capture(name: &str) -> Vec<Chunk> {
    let bytes = std::fs::read(captures_folder().join(format!("{name}.cap"))).unwrap();
    let chunks = FORMAT.read(&bytes);
    assert!(FORMAT.write(&chunks) == bytes, "{name} is no capture");
    chunks
}

pub(crate) const PROTOCOL_41: u32 = 1 << 9;
pub(crate) const SSL: u32 = 1 << 11;
pub(crate) const SECURE_CONNECTION: u32 = 1 << 15;
pub(crate) const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;
pub(crate) const OPTIONAL_METADATA: u32 = 1 << 25;
pub(crate) const QUERY_ATTRIBUTES: u32 = 1 << 27;
/// MariaDB's extended capability.
pub(crate) const CACHE_METADATA: u32 = 1 << 4;
/// MySQL says this of itself, MariaDB does not.
pub(crate) const MYSQL: u32 = 1;

pub(crate) const IN_TRANS: u16 = 1;
pub(crate) const MORE_RESULTS: u16 = 8;
pub(crate) const CURSOR_EXISTS: u16 = 0x40;

/// A physical packet.
pub(crate) fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_le_bytes()[..3].to_vec();
    bytes.push(sequence);
    bytes.extend_from_slice(payload);
    bytes
}

/// `HandshakeV10` of a server with these capabilities.
pub(crate) fn greeting(flags: u32, extended: u32) -> Vec<u8> {
    let [a, b, c, d] = flags.to_le_bytes();
    let mut payload = b"\x0a11.8.3-test\0\x07\0\0\0challeng\0".to_vec();
    payload.extend([a, b, 45, 2, 0, c, d, 21, 0, 0, 0, 0, 0, 0]);
    payload.extend(extended.to_le_bytes());
    payload.extend(b"e-continued.\0mysql_native_password\0");
    payload
}

/// `HandshakeResponse41` without a proof, and with a schema.
pub(crate) fn login(flags: u32, extended: u32, schema: &str) -> Vec<u8> {
    const CONNECT_WITH_DB: u32 = 8;
    let mut payload = (flags | PROTOCOL_41 | SECURE_CONNECTION | CONNECT_WITH_DB)
        .to_le_bytes()
        .to_vec();
    payload.extend((1_u32 << 24).to_le_bytes());
    payload.push(45);
    payload.extend([0; 19]);
    payload.extend(extended.to_le_bytes());
    payload.extend(b"app\0\0");
    payload.extend(schema.as_bytes());
    payload.push(0);
    payload
}

pub(crate) fn ok(rows: u8, status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    vec![0, rows, 0, low, high, 0, 0]
}

pub(crate) fn eof(status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    vec![0xfe, 0, 0, low, high]
}

/// The OK packet that takes the place of EOF, with session information behind it.
pub(crate) fn ok_as_eof(status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    vec![0xfe, 0, 0, low, high, 0, 0, 0, 3, 2, 1, b'x']
}

pub(crate) fn err(code: u16, text: &str) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend(code.to_le_bytes());
    payload.extend(b"#HY000");
    payload.extend(text.as_bytes());
    payload
}

/// A command with what comes behind its first byte.
pub(crate) fn command(code: u8, arguments: &[u8]) -> Vec<u8> {
    [&[code], arguments].concat()
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    command(3, sql.as_bytes())
}

pub(crate) fn prepare(sql: &str) -> Vec<u8> {
    command(0x16, sql.as_bytes())
}

/// `COM_STMT_EXECUTE` of a statement, with what comes behind the count of iterations.
pub(crate) fn execute(id: u32, parameters: &[u8]) -> Vec<u8> {
    [&[0x17][..], &id.to_le_bytes(), &[0, 1, 0, 0, 0], parameters].concat()
}

/// The OK of `COM_STMT_PREPARE`.
pub(crate) fn prepared(id: u32, columns: u16, parameters: u16) -> Vec<u8> {
    let mut payload = vec![0];
    payload.extend(id.to_le_bytes());
    payload.extend(columns.to_le_bytes());
    payload.extend(parameters.to_le_bytes());
    payload.extend([0, 0, 0]);
    payload
}

/// The beginning of every column definition.
pub(crate) const COLUMN: &[u8] = b"\x03def\0\0\0\x01a";

/// A connection that is spoken to packet by packet.
pub(crate) struct Talk {
    pub(crate) codec: MySqlCodec,
}

impl Talk {
    /// Before the greeting.
    pub(crate) fn new() -> Self {
        Self { codec: codec() }
    }

    /// Logged in; both sides have these capabilities.
    pub(crate) fn opened(flags: u32, extended: u32) -> Self {
        let mut talk = Self::new();
        assert_eq!(talk.server(0, &greeting(flags | PROTOCOL_41, extended)), []);
        assert_eq!(talk.client(1, &login(flags, extended, "shop")), []);
        assert_eq!(talk.server(2, &ok(0, 2)), [opened("shop")]);
        talk
    }

    /// What is to be said of bytes; they have to be whole packets and come out as they went in.
    pub(crate) fn send(&mut self, direction: Direction, bytes: &[u8]) -> Result<Vec<Step>, String> {
        let mut units = Vec::new();
        self.codec
            .push(direction, bytes, &mut units)
            .map_err(|error| error.why)?;
        assert_eq!(
            units.iter().map(|unit| unit.bytes.len()).sum::<usize>(),
            bytes.len()
        );
        Ok(units.into_iter().filter_map(|unit| unit.step).collect())
    }

    pub(crate) fn client(&mut self, sequence: u8, payload: &[u8]) -> Vec<Step> {
        self.send(Direction::ToServer, &packet(sequence, payload))
            .unwrap()
    }

    pub(crate) fn server(&mut self, sequence: u8, payload: &[u8]) -> Vec<Step> {
        self.send(Direction::ToClient, &packet(sequence, payload))
            .unwrap()
    }

    /// Sends a command that is no step, and gives what its answer becomes; only the last packet may be a step.
    pub(crate) fn answer(&mut self, command: &[u8], packets: &[&[u8]]) -> Vec<Step> {
        self.client(0, command);
        self.rest(packets)
    }

    /// Gives what an answer becomes; only the last packet may be a step.
    pub(crate) fn rest(&mut self, packets: &[&[u8]]) -> Vec<Step> {
        let (last, before) = packets.split_last().unwrap();
        for (sequence, packet) in (1..).zip(before) {
            assert_eq!(self.server(sequence, packet), [], "{packet:?}");
        }
        self.server(9, last)
    }
}

pub(crate) fn opened(schema: &str) -> Step {
    Step::DbOpened {
        schema: schema.into(),
    }
}

pub(crate) fn db_ok(verb: Verb, rows: u64, in_tx: bool) -> Step {
    Step::DbOk { verb, rows, in_tx }
}

pub(crate) fn db_err(verb: Verb, code: u16, text: &str) -> Step {
    Step::DbErr {
        verb,
        code,
        text: text.into(),
    }
}

pub(crate) fn statement(verb: Verb, sql: &str, prepared: bool, keys: &[&str]) -> Step {
    Step::Statement {
        verb,
        sql: sql.into(),
        prepared,
        keys: keys.iter().map(Key::new).collect(),
    }
}
