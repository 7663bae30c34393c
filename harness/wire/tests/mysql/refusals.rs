//! Statements that are not executed: what the server gets in their place, and what the client is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness_model::event::{Backend, Event, Fate, Step, StepKind, Verb};
use harness_model::fault::Pattern;
use harness_wire::amqp::{AmqpCodec, AmqpOptions};
use harness_wire::codec::{Codec as _, Direction, Unit};
use harness_wire::in_flight::InFlight;
use harness_wire::mysql;
use harness_wire::recorder::{Action, Recorder, Rule, Standing};
use harness_wire::tap::{Tap, TapSpec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    COLUMN, DEPRECATE_EOF, IN_TRANS, MYSQL, PROTOCOL_41, QUERY_ATTRIBUTES, Talk, command, db_err, db_ok, eof,
    err, execute, greeting, login, ok, packet, prepare, prepared, query, statement,
};

const ROLLBACK: &[u8] = b"\x03ROLLBACK AND NO CHAIN NO RELEASE";
const PING: &[u8] = b"\x0e";
const DEADLOCK: &str = "Deadlock found when trying to get lock; try restarting transaction";
const TIMEOUT: &str = "Lock wait timeout exceeded; try restarting transaction";

/// An ERR packet with its SQL state.
fn refused(code: u16, state: &str, text: &str) -> Vec<u8> {
    let [low, high] = code.to_le_bytes();
    [&[0xff, low, high, b'#'], state.as_bytes(), text.as_bytes()].concat()
}

fn push(talk: &mut Talk, direction: Direction, bytes: &[u8]) -> Vec<Unit> {
    let mut units = Vec::new();
    talk.codec.push(direction, bytes, &mut units).unwrap();
    units
}

/// The units of bytes of the client, and the requests that they are parts of.
fn requests(talk: &mut Talk, bytes: &[u8]) -> Vec<Option<u64>> {
    let units = push(talk, Direction::ToServer, bytes);
    units.iter().map(|unit| unit.request).collect()
}

/// What a packet of the server becomes.
fn answered(talk: &mut Talk, payload: &[u8]) -> (Vec<u8>, Vec<Step>) {
    let units = push(talk, Direction::ToClient, &packet(1, payload));
    let [unit] = &units[..] else { panic!("{units:?}") };
    (unit.bytes.clone(), unit.step.clone().into_iter().collect())
}

#[test]
fn a_refused_text_statement_is_answered_with_the_error() {
    let sql = "INSERT INTO t VALUES (7)";
    for (code, state, text, instead) in [
        (1213, "40001", DEADLOCK, ROLLBACK),
        (1205, "HY000", TIMEOUT, PING),
        (1290, "HY000", "The statement was refused", PING),
    ] {
        let mut talk = Talk::opened(DEPRECATE_EOF, 0);
        let request = requests(&mut talk, &packet(0, &query(sql)))[0].unwrap();
        assert_eq!(talk.codec.refuse(request, code), Some(packet(0, instead)));
        let answer = answered(&mut talk, &ok(0, 2));
        let error = db_err(Verb::Insert, code, text);
        assert_eq!(answer, (packet(1, &refused(code, state, text)), vec![error]));
        // The next one is what it is.
        assert_eq!(
            talk.answer(&query("COMMIT"), &[&ok(0, 2)]),
            [db_ok(Verb::Commit, 0, false)]
        );
    }
}

#[test]
fn a_refused_execution_leaves_its_preparation_alone() {
    for flags in [0, DEPRECATE_EOF] {
        let mut talk = Talk::opened(flags, 0);
        let sql = "UPDATE t SET a = ?";
        assert_eq!(
            requests(&mut talk, &packet(0, &prepare(sql))),
            [None],
            "prepared, not executed"
        );
        let end = eof(2);
        let definitions: &[&[u8]] = if flags == 0 { &[COLUMN, &end] } else { &[COLUMN] };
        assert_eq!(talk.rest(&[&[&prepared(1, 0, 1)[..]], definitions].concat()), []);
        let run = packet(0, &execute(1, &[0, 1, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0]));
        let request = requests(&mut talk, &run)[0].unwrap();
        assert_eq!(talk.codec.refuse(request, 1213), Some(packet(0, ROLLBACK)));
        let (bytes, steps) = answered(&mut talk, &ok(0, 2));
        assert_eq!(bytes, packet(1, &refused(1213, "40001", DEADLOCK)));
        assert_eq!(steps, [db_err(Verb::Update, 1213, DEADLOCK)]);
        let again = talk.send(Direction::ToServer, &run).unwrap();
        assert_eq!(again, [statement(Verb::Update, sql, true, &["7"])]);
        assert_eq!(talk.rest(&[&ok(1, 2)]), [db_ok(Verb::Update, 1, false)]);
    }
}

#[test]
fn of_commands_that_are_sent_ahead_the_right_one_is_refused() {
    for refused in 0..3 {
        let mut talk = Talk::opened(DEPRECATE_EOF, 0);
        let commands =
            [query("INSERT 1"), query("UPDATE 1"), query("DELETE 1")].map(|command| packet(0, &command));
        // A preparation in between is answered as well, but is no statement.
        let ahead = [&commands[..2], &[packet(0, &prepare("SELECT 1"))], &commands[2..]].concat();
        let requests = requests(&mut talk, &ahead.concat());
        assert_eq!(requests[2], None);
        let statements: Vec<u64> = requests.into_iter().flatten().collect();
        assert!(talk.codec.refuse(statements[refused], 1205).is_some());
        let verbs = [Verb::Insert, Verb::Update, Verb::Delete];
        for (index, verb) in verbs.into_iter().enumerate() {
            if index == 2 {
                assert_eq!(talk.rest(&[&prepared(1, 0, 0)]), []);
            }
            let step = if index == refused {
                db_err(verb, 1205, TIMEOUT)
            } else {
                db_ok(verb, 0, true)
            };
            assert_eq!(answered(&mut talk, &ok(0, IN_TRANS)).1, [step]);
        }
    }
}

#[test]
fn an_error_of_the_server_stays_what_it_is() {
    let mut talk = Talk::opened(DEPRECATE_EOF, 0);
    let request = requests(&mut talk, &packet(0, &query("INSERT 1")))[0].unwrap();
    assert!(talk.codec.refuse(request, 1213).is_some());
    let own = err(1053, "shutdown");
    let answer = answered(&mut talk, &own);
    assert_eq!(
        answer,
        (packet(1, &own), vec![db_err(Verb::Insert, 1053, "shutdown")])
    );
}

#[test]
fn a_rollback_has_no_attributes_where_queries_have_some() {
    let mut talk = Talk::opened(MYSQL | QUERY_ATTRIBUTES, 0);
    let text = command(3, b"\0\x01INSERT 1");
    let request = requests(&mut talk, &packet(0, &text))[0].unwrap();
    let instead = command(3, &[b"\0\x01", &ROLLBACK[1..]].concat());
    assert_eq!(talk.codec.refuse(request, 1213), Some(packet(0, &instead)));
}

#[test]
fn all_pieces_of_a_statement_are_one_request() {
    let mut talk = Talk::opened(DEPRECATE_EOF, 0);
    let long = query(&format!("INSERT INTO t VALUES ('{}')", "x".repeat(17 << 20)));
    let (first, second) = long.split_at(0xff_ffff);
    let bytes = [packet(0, first), packet(1, second), packet(0, &query("COMMIT"))].concat();
    let requests = requests(&mut talk, &bytes);
    let (commit, pieces) = requests.split_last().unwrap();
    assert!(
        pieces.len() > 16 && pieces.iter().all(|piece| *piece == Some(1)),
        "{requests:?}"
    );
    assert_eq!(*commit, Some(2));
}

#[test]
fn what_cannot_be_refused_is_not() {
    let mut talk = Talk::opened(DEPRECATE_EOF, 0);
    let request = requests(&mut talk, &packet(0, &query("SELECT 1")))[0].unwrap();
    assert_eq!(talk.codec.refuse(request + 1, 1205), None, "it was not sent");
    assert_eq!(talk.rest(&[&ok(0, 2)]), [db_ok(Verb::Select, 0, false)]);
    assert_eq!(talk.codec.refuse(request, 1205), None, "it is answered");
    assert_eq!(requests(&mut talk, &packet(0, PING)), [None], "no statement");
    assert!(talk.send(Direction::ToClient, &packet(1, &[0xfb])).is_err());
    assert_eq!(talk.codec.refuse(2, 1205), None, "the answer could not be read");

    let mut amqp = AmqpCodec::new(AmqpOptions::default(), InFlight::new());
    assert_eq!(amqp.refuse(1, 1205), None);
}

/// What a database of numbers holds.
#[derive(Debug, Default)]
struct Rows {
    committed: Vec<String>,
    /// Of the open transaction.
    written: Option<Vec<String>>,
}

impl Rows {
    /// Executes a command, and says whether a transaction is open then.
    fn execute(&mut self, command: &[u8]) -> bool {
        let sql = String::from_utf8_lossy(&command[1..]).into_owned();
        match sql.split(' ').next().unwrap() {
            "BEGIN" => self.written = Some(Vec::new()),
            "COMMIT" => self
                .committed
                .append(&mut self.written.take().unwrap_or_default()),
            "ROLLBACK" => self.written = None,
            "INSERT" => self.written.as_mut().unwrap_or(&mut self.committed).push(sql),
            _ => assert_eq!(command, PING, "{sql}"),
        }
        self.written.is_some()
    }
}

/// The next packet: its sequence id and payload.
async fn receive(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await.ok()?;
    let [a, b, c, sequence] = header;
    let mut payload = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
    stream.read_exact(&mut payload).await.unwrap();
    Some((sequence, payload))
}

/// A database with one session.
async fn serve(listener: TcpListener, rows: Arc<Mutex<Rows>>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let hello = greeting(DEPRECATE_EOF | PROTOCOL_41, 0);
    stream.write_all(&packet(0, &hello)).await.unwrap();
    receive(&mut stream).await.unwrap();
    stream.write_all(&packet(2, &ok(0, 2))).await.unwrap();
    while let Some((sequence, command)) = receive(&mut stream).await {
        assert_eq!(sequence, 0);
        let in_tx = rows.lock().unwrap().execute(&command);
        let status = if in_tx { IN_TRANS } else { 0 };
        stream.write_all(&packet(1, &ok(1, 2 | status))).await.unwrap();
    }
}

/// A client, logged in through a tap.
struct Client {
    stream: TcpStream,
    recorder: Recorder,
    rows: Arc<Mutex<Rows>>,
    _tap: Tap,
}

impl Client {
    async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let upstream: SocketAddr = listener.local_addr().unwrap();
        let rows = Arc::<Mutex<Rows>>::default();
        tokio::spawn(serve(listener, Arc::clone(&rows)));
        let recorder = Recorder::in_memory();
        let tap = Tap::open(TapSpec {
            service: "svc".into(),
            bind: Ipv4Addr::LOCALHOST.into(),
            backend: Backend::Database,
            upstream,
            recorder: recorder.clone(),
            codec: mysql::codec(InFlight::new()),
        })
        .unwrap();
        let mut stream = TcpStream::connect(tap.addr()).await.unwrap();
        receive(&mut stream).await.unwrap();
        stream
            .write_all(&packet(1, &login(DEPRECATE_EOF, 0, "shop")))
            .await
            .unwrap();
        receive(&mut stream).await.unwrap();
        Self {
            stream,
            recorder,
            rows,
            _tap: tap,
        }
    }

    fn refuse(&self, code: u16, every: u64, limit: Option<u64>) -> Standing {
        self.rule(Action::Refuse(code), every, limit)
    }

    /// Does something to INSERTs.
    fn rule(&self, action: Action, every: u64, limit: Option<u64>) -> Standing {
        let rule = Rule {
            pattern: Pattern {
                verb: Some(Verb::Insert),
                ..Pattern::new(StepKind::Statement)
            },
            action,
            every,
            limit,
        };
        self.recorder.rule("f".into(), rule)
    }

    /// The error code of each statement's answer; 0 for OK.
    async fn run(&mut self, statements: &[&str]) -> Vec<u16> {
        let mut codes = Vec::new();
        for sql in statements {
            self.stream.write_all(&packet(0, &query(sql))).await.unwrap();
            let answer = tokio::time::timeout(Duration::from_secs(20), receive(&mut self.stream));
            let (sequence, payload) = answer.await.unwrap().unwrap();
            assert_eq!(sequence, 1);
            codes.push(match payload[..] {
                [0xff, low, high, ..] => u16::from_le_bytes([low, high]),
                _ => 0,
            });
        }
        codes
    }

    fn committed(&self) -> Vec<String> {
        self.rows.lock().unwrap().committed.clone()
    }
}

#[tokio::test]
async fn a_deadlock_undoes_the_transaction_and_a_timeout_the_statement() {
    for (code, committed) in [
        (1213, &["INSERT 3", "INSERT 4"][..]),
        (1205, &["INSERT 1", "INSERT 3", "INSERT 4"]),
    ] {
        let mut client = Client::new().await;
        let standing = client.refuse(code, 2, Some(1));
        let statements = ["BEGIN", "INSERT 1", "INSERT 2", "INSERT 3", "COMMIT", "INSERT 4"];
        let codes = client.run(&statements).await;
        assert_eq!(codes, [0, 0, code, 0, 0, 0]);
        assert_eq!(
            (client.committed(), standing.count()),
            (committed.iter().map(ToString::to_string).collect(), 1)
        );

        let steps = client.recorder.with(|events| events[2..].to_vec());
        let told = |event: &Event| match &event.step {
            Step::Statement { sql, .. } => Some(sql.clone()),
            Step::DbOk { in_tx, .. } => Some(format!("ok {in_tx}")),
            Step::DbErr { code, verb, .. } => Some(format!("{verb} error {code}")),
            Step::Released { event, fate, .. } => Some(format!("{event} {fate:?}")),
            _ => None,
        };
        let open = code != 1213;
        let refused = 7;
        let expected = [
            "BEGIN".to_owned(),
            "ok true".into(),
            "INSERT 1".into(),
            "ok true".into(),
            "INSERT 2".into(),
            format!("{refused} {:?}", Fate::Dropped),
            format!("insert error {code}"),
            "INSERT 3".into(),
            format!("ok {open}"),
            "COMMIT".into(),
            "ok false".into(),
            "INSERT 4".into(),
            "ok false".into(),
        ];
        assert_eq!(steps.iter().filter_map(told).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn every_so_manieth_match_is_taken_until_the_limit_or_the_end() {
    let inserts = ["INSERT 1"; 8];
    for (every, limit, expected) in [
        (0, None, [1, 1, 1, 1, 1, 1, 1, 1]),
        (1, Some(3), [1, 1, 1, 0, 0, 0, 0, 0]),
        (3, None, [0, 0, 1, 0, 0, 1, 0, 0]),
        (2, Some(2), [0, 1, 0, 1, 0, 0, 0, 0]),
    ] {
        let mut client = Client::new().await;
        let standing = client.refuse(1205, every, limit);
        let codes = client.run(&inserts).await;
        assert_eq!(codes, expected.map(|refused| refused * 1205));
        assert_eq!(
            standing.count(),
            expected.iter().map(|&refused| u64::from(refused)).sum::<u64>()
        );
        drop(standing);
        assert_eq!(client.run(&inserts[..2]).await, [0, 0]);
    }
}

#[tokio::test]
async fn a_long_statement_is_taken_whole() {
    let long = format!("INSERT {}", "x".repeat(3 << 20));
    let mut client = Client::new().await;
    let standing = client.refuse(1205, 1, Some(1));
    assert_eq!(client.run(&[&long, "INSERT 1"]).await, [1205, 0]);
    drop(standing);
    let _standing = client.rule(Action::Drop, 1, Some(1));
    // Nobody answers what nobody gets.
    client.stream.write_all(&packet(0, &query(&long))).await.unwrap();
    assert_eq!(client.run(&["INSERT 2"]).await, [0]);
    assert_eq!(client.committed(), ["INSERT 1", "INSERT 2"]);
}
