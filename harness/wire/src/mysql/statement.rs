//! Prepared statements: their text, and the values they are executed with.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use harness_model::event::Verb;

use super::read::Reader;
use super::sql::Scan;
use super::values::{self, Type, Values};

/// How many statements of a connection are remembered; an older one loses its text and nothing else.
const MOST: usize = 4_096;
/// MariaDB: "the statement prepared last".
const LAST: u32 = u32::MAX;

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) verb: Verb,
    pub(super) text: String,
    params: usize,
    /// As of the last execution that told them, the first [`values::MOST`] at most.
    types: Vec<Type>,
    /// Parameters whose value came before, with `COM_STMT_SEND_LONG_DATA`.
    long: BTreeSet<u16>,
}

impl Statement {
    /// The values of `COM_STMT_EXECUTE`, read behind the statement's id. `None` when they end too early.
    pub(super) fn execute(&mut self, payload: &[u8], named: bool, values: &mut Values) -> Option<()> {
        const PARAMETER_COUNT_AVAILABLE: u8 = 8;
        let long = std::mem::take(&mut self.long);
        let mut reader = Reader(payload);
        let flags = reader.u8()?;
        reader.take(4)?; // iterations, always 1
        let mut count = self.params;
        if named && (count > 0 || flags & PARAMETER_COUNT_AVAILABLE != 0) {
            count = usize::try_from(reader.lenenc()?).ok()?;
        }
        if count == 0 {
            return Some(());
        }
        let nulls = reader.take(count.div_ceil(8))?;
        if reader.u8()? == 1 {
            self.types = types(&mut reader, count, named)?;
        }
        for (at, kind) in self.types.iter().take(count).enumerate() {
            let null = nulls[at / 8] & (1 << (at % 8)) != 0;
            if !null && !u16::try_from(at).is_ok_and(|at| long.contains(&at)) {
                kind.value(&mut reader, values)?;
            }
        }
        Some(())
    }

    /// The values of MariaDB's `COM_STMT_BULK_EXECUTE`, read behind the statement's id: row after row.
    pub(super) fn bulk_execute(&mut self, payload: &[u8], values: &mut Values) -> Option<()> {
        const SEND_TYPES: u16 = 128;
        let mut reader = Reader(payload);
        if reader.u16()? & SEND_TYPES != 0 {
            self.types = types(&mut reader, self.params, false)?;
        }
        if self.types.is_empty() || self.types.len() < self.params {
            return None;
        }
        while !reader.0.is_empty() {
            for kind in &self.types {
                // Indicator: 0 a value, 1 NULL, 2 the default, 3 leave it as it is.
                if reader.u8()? == 0 {
                    kind.value(&mut reader, values)?;
                }
            }
        }
        Some(())
    }
}

fn types(reader: &mut Reader<'_>, count: usize, named: bool) -> Option<Vec<Type>> {
    let mut types = Vec::new();
    for at in 0..count {
        let kind = Type::read(reader)?;
        if named {
            reader.lenenc_bytes()?;
        }
        if at < values::MOST {
            types.push(kind);
        }
    }
    Some(types)
}

/// The prepared statements of a connection.
#[derive(Debug, Default)]
pub(super) struct Statements {
    known: BTreeMap<u32, Statement>,
    /// Those whose `COM_STMT_PREPARE` is not answered yet, in order.
    unnamed: VecDeque<Statement>,
    last: Option<u32>,
}

impl Statements {
    /// `COM_STMT_PREPARE` was sent.
    pub(super) fn prepare(&mut self, scan: Scan) {
        self.unnamed.push_back(Statement {
            verb: scan.verb,
            text: scan.text,
            params: scan.placeholders,
            types: Vec::new(),
            long: BTreeSet::new(),
        });
    }

    /// The oldest unanswered one got this id.
    pub(super) fn prepared(&mut self, id: u32, params: u16) {
        if let Some(mut statement) = self.unnamed.pop_front() {
            statement.params = usize::from(params);
            self.last = Some(id);
            self.known.insert(id, statement);
        }
        if self.known.len() > MOST {
            self.known.pop_first();
        }
    }

    /// The oldest unanswered one was refused.
    pub(super) fn refused(&mut self) {
        self.unnamed.pop_front();
        self.last = None;
    }

    /// The statement that a command means by `id`.
    pub(super) fn get(&mut self, id: u32) -> Option<&mut Statement> {
        match id {
            LAST if self.unnamed.is_empty() => self.known.get_mut(&self.last?),
            LAST => self.unnamed.back_mut(),
            id => self.known.get_mut(&id),
        }
    }

    /// `COM_STMT_SEND_LONG_DATA`, read behind its first byte.
    pub(super) fn long_data(&mut self, payload: &[u8]) {
        let mut reader = Reader(payload);
        if let (Some(id), Some(param)) = (reader.u32(), reader.u16())
            && usize::from(param) < values::MOST
            && let Some(statement) = self.get(id)
        {
            statement.long.insert(param);
        }
    }

    /// `COM_STMT_RESET`: what was sent ahead is forgotten.
    pub(super) fn reset(&mut self, id: u32) {
        if let Some(statement) = self.get(id) {
            statement.long.clear();
        }
    }

    /// `COM_STMT_CLOSE`.
    pub(super) fn close(&mut self, id: u32) {
        self.known.remove(&id);
    }

    /// The session was reset: all statements are gone.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.last = None;
    }
}
