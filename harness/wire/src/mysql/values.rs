//! The values of a statement by which it may be told which message it is about.

use std::collections::BTreeSet;

use super::read::Reader;

/// How many values of one statement are kept.
pub(super) const MOST: usize = 2_000;
/// Length of the longest text that may be a key.
const LONGEST: usize = 64;

/// Integers in decimal, and short texts.
#[derive(Debug, Default)]
pub(super) struct Values(BTreeSet<String>);

impl Values {
    pub(super) fn found(&self) -> &BTreeSet<String> {
        &self.0
    }

    pub(super) fn integer(&mut self, value: impl Into<i128>) {
        self.insert(|| value.into().to_string());
    }

    pub(super) fn text(&mut self, value: &[u8]) {
        if (1..=LONGEST).contains(&value.len())
            && let Ok(text) = std::str::from_utf8(value)
        {
            self.insert(|| text.to_owned());
        }
    }

    fn insert(&mut self, value: impl FnOnce() -> String) {
        if self.0.len() < MOST {
            self.0.insert(value());
        }
    }
}

/// Type of a parameter in the binary protocol.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    code: u8,
    unsigned: bool,
}

impl Type {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let [code, flags] = reader.array()?;
        Some(Self {
            code,
            unsigned: flags & 0x80 != 0,
        })
    }

    /// Reads one value of this type. `None` when it is cut off or of an unknown type, so that no more can be read.
    pub(super) fn value(self, reader: &mut Reader<'_>, values: &mut Values) -> Option<()> {
        match (self.code, self.unsigned) {
            (0x01, false) => values.integer(reader.array().map(i8::from_le_bytes)?),
            (0x01, true) => values.integer(reader.u8()?),
            // SHORT, YEAR
            (0x02 | 0x0d, false) => values.integer(reader.array().map(i16::from_le_bytes)?),
            (0x02 | 0x0d, true) => values.integer(reader.u16()?),
            // LONG, INT24
            (0x03 | 0x09, false) => values.integer(reader.array().map(i32::from_le_bytes)?),
            (0x03 | 0x09, true) => values.integer(reader.u32()?),
            (0x08, false) => values.integer(reader.array().map(i64::from_le_bytes)?),
            (0x08, true) => values.integer(reader.u64()?),
            // FLOAT, DOUBLE, NULL
            (0x04, _) => drop(reader.take(4)?),
            (0x05, _) => drop(reader.take(8)?),
            (0x06, _) => {}
            // TIMESTAMP, DATE, TIME, DATETIME: a length of one byte
            (0x07 | 0x0a..=0x0c, _) => {
                let length = reader.u8()?;
                reader.take(usize::from(length))?;
            }
            // DECIMAL, VARCHAR, BIT; VECTOR and up: JSON, NEWDECIMAL, ENUM, SET, the BLOBs and strings, GEOMETRY
            (0x00 | 0x0f | 0x10 | 0xf2 | 0xf5..=0xff, _) => values.text(reader.lenenc_bytes()?),
            _ => return None,
        }
        Some(())
    }
}
