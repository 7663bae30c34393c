//! Commands of the client, as far as they have to be told apart.

use harness_model::event::{Step, Verb};

use super::answer::{Answers, Next};
use super::handshake::{self, Capabilities};
use super::read::Reader;
use super::sql::{self, Scan};
use super::statement::Statements;
use super::values::{Type, Values};
use super::{KeysInHand, undecodable};
use crate::codec::Undecodable;

const QUIT: u8 = 0x01;
const QUERY: u8 = 0x03;
const FIELD_LIST: u8 = 0x04;
const STATISTICS: u8 = 0x09;
const PROCESS_INFO: u8 = 0x0a;
const PING: u8 = 0x0e;
const CHANGE_USER: u8 = 0x11;
const BINLOG_DUMP: u8 = 0x12;
const TABLE_DUMP: u8 = 0x13;
const STMT_PREPARE: u8 = 0x16;
const STMT_EXECUTE: u8 = 0x17;
const STMT_SEND_LONG_DATA: u8 = 0x18;
const STMT_CLOSE: u8 = 0x19;
const STMT_RESET: u8 = 0x1a;
const STMT_FETCH: u8 = 0x1c;
const BINLOG_DUMP_GTID: u8 = 0x1e;
const RESET_CONNECTION: u8 = 0x1f;
const CLONE: u8 = 0x20;
const SUBSCRIBE: u8 = 0x21;
const STMT_BULK_EXECUTE: u8 = 0xfa;

/// Takes a command: what it does to the session, and the step that it is.
pub(super) fn take(
    payload: &[u8],
    capabilities: Capabilities,
    answers: &mut Answers,
    statements: &mut Statements,
    keys: &dyn KeysInHand,
) -> Result<Option<Step>, Undecodable> {
    let (&command, arguments) = payload.split_first().unwrap_or((&0, &[]));
    let mut verb = Verb::Other;
    let mut step = None;
    let next = match command {
        QUIT => return Ok(Some(Step::DbQuit)),
        QUERY => {
            let mut values = Values::default();
            let scan = query(arguments, capabilities, &mut values);
            verb = scan.verb;
            step = Some(statement(scan.verb, scan.text, false, &values, keys));
            Next::Result
        }
        STMT_PREPARE => {
            // Its literals are not looked at: there is no step to put them on.
            let scan = sql::scan(arguments, &mut Values::default());
            verb = scan.verb;
            answers.expect(verb, Next::Prepared)?;
            statements.prepare(scan);
            return Ok(None);
        }
        STMT_EXECUTE | STMT_BULK_EXECUTE => {
            let mut values = Values::default();
            let executed = execute(payload, capabilities, statements, &mut values);
            verb = executed.0;
            step = Some(statement(verb, executed.1, true, &values, keys));
            Next::Result
        }
        STMT_SEND_LONG_DATA => {
            statements.long_data(arguments);
            return Ok(None);
        }
        STMT_CLOSE => {
            statements.close(id(arguments));
            return Ok(None);
        }
        STMT_RESET => {
            statements.reset(id(arguments));
            Next::Single
        }
        STMT_FETCH => {
            verb = statements
                .get(id(arguments))
                .map_or(Verb::Other, |statement| statement.verb);
            Next::Rows
        }
        FIELD_LIST => Next::Rows,
        STATISTICS => Next::Text,
        PROCESS_INFO => Next::Result,
        PING => {
            verb = Verb::Ping;
            Next::Single
        }
        CHANGE_USER => {
            statements.clear();
            Next::Login(handshake::change_user(arguments, capabilities))
        }
        RESET_CONNECTION => {
            statements.clear();
            Next::Single
        }
        BINLOG_DUMP | TABLE_DUMP | BINLOG_DUMP_GTID | CLONE | SUBSCRIBE => {
            return Err(undecodable("a stream of replication"));
        }
        _ => Next::Single,
    };
    answers.expect(verb, next)?;
    Ok(step)
}

fn statement(verb: Verb, sql: String, prepared: bool, values: &Values, keys: &dyn KeysInHand) -> Step {
    let found = values.found();
    Step::Statement {
        verb,
        sql,
        prepared,
        keys: if found.is_empty() {
            Vec::new()
        } else {
            keys.matching(found)
        },
    }
}

/// Reads the text of `COM_QUERY`, and MySQL's query attributes before it.
fn query(arguments: &[u8], capabilities: Capabilities, values: &mut Values) -> Scan {
    let mut reader = Reader(arguments);
    if capabilities.query_attributes() && attributes(&mut reader, values).is_none() {
        reader.0 = &[];
    }
    sql::scan(reader.0, values)
}

fn attributes(reader: &mut Reader<'_>, values: &mut Values) -> Option<()> {
    let count = usize::try_from(reader.lenenc()?).ok()?;
    reader.lenenc()?; // number of sets, always 1
    if count == 0 {
        return Some(());
    }
    let nulls = reader.take(count.div_ceil(8))?;
    reader.u8()?; // types follow, always 1
    let mut types = Vec::new();
    for _ in 0..count {
        types.push(Type::read(reader)?);
        reader.lenenc_bytes()?;
    }
    for (at, kind) in types.into_iter().enumerate() {
        if nulls[at / 8] & (1 << (at % 8)) == 0 {
            kind.value(reader, values)?;
        }
    }
    Some(())
}

/// Reads the values of an execution; those behind what cannot be read are missing. Gives the statement's verb and text.
fn execute(
    payload: &[u8],
    capabilities: Capabilities,
    statements: &mut Statements,
    values: &mut Values,
) -> (Verb, String) {
    let bulk = payload.first() == Some(&STMT_BULK_EXECUTE);
    let Some((_, values_at)) = payload.split_at_checked(5) else {
        return (Verb::Other, String::new());
    };
    let Some(statement) = statements.get(id(&payload[1..])) else {
        return (Verb::Other, String::new());
    };
    // How far it came does not matter: the values read until then are kept.
    let _complete = if bulk {
        statement.bulk_execute(values_at, values)
    } else {
        statement.execute(values_at, capabilities.query_attributes(), values)
    };
    (statement.verb, statement.text.clone())
}

/// The statement's id; one that nothing has when it is cut off.
fn id(arguments: &[u8]) -> u32 {
    Reader(arguments).u32().unwrap_or(0)
}
