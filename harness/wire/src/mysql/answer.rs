//! The answers that a client waits for, in the order of its commands.

use std::collections::VecDeque;

use harness_model::event::{Step, Verb};

use super::frame::Packet;
use super::handshake::Capabilities;
use super::read::Reader;
use super::refusal::Refusal;
use super::statement::Statements;
use super::{shown, undecodable};
use crate::codec::Undecodable;

/// How many commands may be unanswered. Clients that send ahead have a handful.
const MOST: usize = 4_096;

const OK: u8 = 0x00;
const LOCAL_INFILE: u8 = 0xfb;
/// Also the header of an OK packet that takes the place of EOF.
const EOF: u8 = 0xfe;
const ERR: u8 = 0xff;

/// What comes next in an answer.
#[derive(Debug)]
pub(super) enum Next {
    /// OK, the head of a result set, or a request for a file.
    Result,
    /// The client sends a file, up to an empty packet; OK or ERR follows.
    File,
    /// This many column definitions, never 0.
    Columns(u64),
    /// The EOF behind column definitions.
    ColumnsEnd,
    /// Rows, or the definitions of `COM_FIELD_LIST`, up to EOF, OK or ERR.
    Rows,
    /// The OK of `COM_STMT_PREPARE`.
    Prepared,
    /// This many packets about parameters and columns, never 0.
    Definitions(u32),
    /// A single packet, OK or EOF.
    Single,
    /// A single packet, text.
    Text,
    /// The login of `COM_CHANGE_USER`, with its schema.
    Login(String),
}

#[derive(Debug)]
struct Answer {
    verb: Verb,
    next: Next,
    /// Rows so far, of all result sets.
    rows: u64,
    /// The client is given this for an answer.
    refusal: Option<Refusal>,
}

/// Answers that are outstanding, oldest first.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<Answer>,
    /// Number of commands so far whose answer was or is waited for.
    commands: u64,
}

impl Answers {
    /// A command was sent that is answered like this.
    pub(super) fn expect(&mut self, verb: Verb, next: Next) -> Result<(), Undecodable> {
        if self.waiting.len() == MOST {
            return Err(undecodable("too many unanswered commands"));
        }
        self.waiting.push_back(Answer {
            verb,
            next,
            rows: 0,
            refusal: None,
        });
        self.commands += 1;
        Ok(())
    }

    /// The number of the last command that is answered, counted from 1.
    pub(super) fn newest(&self) -> u64 {
        self.commands
    }

    /// Something that is answered by a single packet is sent in the place of a command. `None` if that is answered.
    pub(super) fn refuse(&mut self, command: u64, refusal: Refusal) -> Option<()> {
        let age = usize::try_from(self.commands.checked_sub(command)?).ok()?;
        let index = self.waiting.len().checked_sub(age + 1)?;
        let answer = self.waiting.get_mut(index)?;
        answer.next = Next::Single;
        answer.refusal = Some(refusal);
        Some(())
    }

    /// The client has been asked for a file and has not sent all of it.
    pub(super) fn file_wanted(&self) -> bool {
        matches!(self.waiting.front(), Some(Answer { next: Next::File, .. }))
    }

    /// The client has sent all of the file.
    pub(super) fn file_sent(&mut self) {
        if let Some(answer) = self.waiting.front_mut() {
            answer.next = Next::Result;
        }
    }

    /// A login of `COM_CHANGE_USER` goes on.
    pub(super) fn login_wanted(&self) -> bool {
        self.waiting
            .iter()
            .any(|answer| matches!(answer.next, Next::Login(_)))
    }

    /// Takes a packet of the server: the step that it completes, if it completes an answer that is one.
    pub(super) fn take(
        &mut self,
        packet: &mut Packet<'_>,
        capabilities: Capabilities,
        statements: &mut Statements,
    ) -> Result<Option<Step>, Undecodable> {
        let payload = &*packet.payload;
        let kind = payload.first().copied();
        let Some(answer) = self.waiting.front_mut() else {
            // A server that shuts down or gives up on an idle client says so unasked.
            return match kind {
                Some(ERR) => error(payload, Verb::Other).map(Some),
                _ => Err(undecodable("an answer that nobody waits for")),
            };
        };
        let verb = answer.verb;
        if kind == Some(ERR) && !is_progress(payload) {
            let step = error(payload, verb)?;
            if matches!(answer.next, Next::Prepared) {
                statements.refused();
            }
            self.waiting.pop_front();
            return Ok(Some(step));
        }
        let done = match (&mut answer.next, kind) {
            (_, Some(ERR)) => None,
            (Next::Rows, Some(EOF)) if is_end(packet.length, capabilities) => Some(Done::read_end(payload)?),
            (Next::Rows, _) => {
                answer.rows = answer.rows.saturating_add(1);
                None
            }
            (Next::Columns(left), Some(_)) => {
                *left -= 1;
                if *left == 0 {
                    answer.next = after_columns(capabilities);
                }
                None
            }
            (Next::ColumnsEnd, Some(EOF)) => {
                let end = Done::read_end(payload)?;
                answer.next = Next::Rows;
                // With a cursor the rows come later, with COM_STMT_FETCH.
                end.cursor().then_some(end)
            }
            (Next::Result | Next::File, Some(OK))
                if !is_head_without_columns(packet.length, capabilities) =>
            {
                let done = Done::read_ok(payload)?;
                answer.rows = answer.rows.saturating_add(done.rows);
                Some(done)
            }
            (Next::Single | Next::Result, Some(EOF)) => Some(Done::read_end(payload)?),
            (Next::Result, Some(LOCAL_INFILE)) => {
                answer.next = Next::File;
                None
            }
            (Next::Result, Some(_)) => {
                answer.next = match columns(payload, capabilities)? {
                    0 => after_columns(capabilities),
                    columns => Next::Columns(columns),
                };
                None
            }
            (Next::Prepared, Some(OK)) => match prepared(payload, capabilities, statements)? {
                0 => return Ok(self.forget()),
                packets => {
                    answer.next = Next::Definitions(packets);
                    None
                }
            },
            (Next::Definitions(left), Some(_)) => {
                *left -= 1;
                if *left == 0 {
                    return Ok(self.forget());
                }
                None
            }
            (Next::Single, Some(OK)) => {
                let done = Done::read_ok(payload)?;
                answer.rows = done.rows;
                Some(done)
            }
            (Next::Text, _) => return Ok(self.forget()),
            (Next::Login(schema), Some(OK)) => {
                let schema = std::mem::take(schema);
                self.waiting.pop_front();
                return Ok(Some(Step::DbOpened { schema }));
            }
            (Next::Login(_), Some(_)) => None,
            (next, _) => return Err(undecodable(format!("a packet that is not {next:?}"))),
        };
        let Some(done) = done else { return Ok(None) };
        let (rows, refusal) = (answer.rows, answer.refusal);
        if done.more() {
            answer.next = Next::Result;
            return Ok(None);
        }
        self.waiting.pop_front();
        if let Some(refusal) = refusal {
            packet.instead = Some(refusal.packet(packet.sequence));
            return Ok(Some(refusal.step(verb)));
        }
        Ok(Some(Step::DbOk {
            verb,
            rows,
            in_tx: done.in_tx(),
        }))
    }

    /// The oldest answer is complete and no step.
    fn forget(&mut self) -> Option<Step> {
        self.waiting.pop_front();
        None
    }
}

/// The end of an answer, or of one result set in it.
struct Done {
    /// Affected rows.
    rows: u64,
    /// Status flags of the session.
    status: u16,
}

impl Done {
    fn read_ok(payload: &[u8]) -> Result<Self, Undecodable> {
        let read = |mut reader: Reader<'_>| {
            reader.u8()?;
            let rows = reader.lenenc()?;
            reader.lenenc()?; // the last inserted id
            let status = reader.u16()?;
            Some(Self { rows, status })
        };
        read(Reader(payload)).ok_or_else(|| undecodable("a truncated OK packet"))
    }

    /// Reads an EOF packet, or the OK packet in its place, which is longer.
    fn read_end(payload: &[u8]) -> Result<Self, Undecodable> {
        match *payload {
            [_, _, _, low, high] => Ok(Self {
                rows: 0,
                status: u16::from_le_bytes([low, high]),
            }),
            _ => Self::read_ok(payload),
        }
    }

    fn in_tx(&self) -> bool {
        self.status & 0x0001 != 0
    }

    fn more(&self) -> bool {
        self.status & 0x0008 != 0
    }

    fn cursor(&self) -> bool {
        self.status & 0x0040 != 0
    }
}

/// A row can begin like an end, but is then as long as a packet can be.
fn is_end(length: usize, capabilities: Capabilities) -> bool {
    length
        < if capabilities.deprecate_eof() {
            0xff_ffff
        } else {
            9
        }
}

fn after_columns(capabilities: Capabilities) -> Next {
    if capabilities.deprecate_eof() {
        Next::Rows
    } else {
        Next::ColumnsEnd
    }
}

/// MySQL may leave column definitions out; the head then begins like an OK packet, but is shorter than one can be.
fn is_head_without_columns(length: usize, capabilities: Capabilities) -> bool {
    capabilities.optional_metadata() && length < 7
}

/// How many column definitions the head of a result set announces.
fn columns(payload: &[u8], capabilities: Capabilities) -> Result<u64, Undecodable> {
    let read = |mut reader: Reader<'_>| {
        let before = !capabilities.optional_metadata() || reader.u8()? != 0;
        let columns = reader.lenenc()?;
        let behind = !capabilities.cache_metadata() || reader.u8()? != 0;
        Some(if before && behind { columns } else { 0 })
    };
    read(Reader(payload)).ok_or_else(|| undecodable("a truncated head of a result set"))
}

/// Reads the OK of `COM_STMT_PREPARE`: how many packets follow.
fn prepared(
    payload: &[u8],
    capabilities: Capabilities,
    statements: &mut Statements,
) -> Result<u32, Undecodable> {
    let mut reader = Reader(payload);
    reader.take(1);
    let (Some(id), Some(columns), Some(params)) = (reader.u32(), reader.u16(), reader.u16()) else {
        return Err(undecodable("a truncated answer to a preparation"));
    };
    statements.prepared(id, params);
    // A zero (1), warnings (2), and whether definitions follow, where that is optional.
    reader.take(3);
    if capabilities.optional_metadata() && reader.u8() == Some(0) {
        return Ok(0);
    }
    let eof = u32::from(!capabilities.deprecate_eof());
    let packets = |count: u16| if count == 0 { 0 } else { u32::from(count) + eof };
    Ok(packets(params) + packets(columns))
}

/// MariaDB reports the progress of a long statement in ERR packets of an impossible code.
fn is_progress(payload: &[u8]) -> bool {
    payload.get(1..3) == Some(&[0xff, 0xff])
}

/// The step that an ERR packet is.
pub(super) fn error(payload: &[u8], verb: Verb) -> Result<Step, Undecodable> {
    let mut reader = Reader(payload);
    reader.take(1);
    let code = reader
        .u16()
        .ok_or_else(|| undecodable("a truncated ERR packet"))?;
    // `#` and the SQL state are left out before the login.
    if reader.0.first() == Some(&b'#') {
        reader.take(6);
    }
    Ok(Step::DbErr {
        verb,
        code,
        text: shown(reader.0),
    })
}
